"""motionfit-export: a checkpoint becomes a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from motionfit.inference.bundle import WEIGHTS
from motionfit.inference.console import default_command, run
from motionfit.inference.errors import require_extra

if TYPE_CHECKING:
    from motionfit.export.parity import Difference
    from motionfit.export.pipeline import Export

app = typer.Typer(
    cls=default_command("convert"),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Turn a trained checkpoint into a bundle that can be served. Without the name of a "
    "command it is convert: motionfit-export CHECKPOINT -o BUNDLE.",
    epilog="--debug anywhere on the command line shows the traceback of a failure.",
)


@app.callback()
def group() -> None:
    """Keep ``convert`` a sub-command although it is the only one."""


@app.command()
def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="A run folder of motionfit-train, or a checkpoint file in one.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The bundle to make: a new folder, or a bundle to replace."
        ),
    ],
    clips: Annotated[
        list[Path] | None,
        typer.Option(
            help="A real video, or a folder of them, to verify on; can be given several times.",
            show_default="the clips that training stored with the checkpoint",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="The model's name in answers.",
            show_default="made of architecture, width and number of classes",
        ),
    ] = None,
) -> None:
    """Export CHECKPOINT to ONNX and hold it against PyTorch on real clips.

    The bundle appears only when the outputs agree; otherwise the exit code is 1 and nothing is
    left behind.
    """
    require_extra("export", "onnx", "onnxscript", "safetensors", "torch", "torchvision")
    from motionfit.export.pipeline import export_bundle

    _report(export_bundle(checkpoint, output, videos=clips or (), name=name), console=Console())


def main() -> None:
    """The command ``motionfit-export``."""
    run(app, name="motionfit-export")


def _report(export: "Export", *, console: Console) -> None:
    scale = export.parity[0].distance.logits.scale
    table = Table(
        title=f"Verified on {export.num_clips} real clips; logits up to {scale:.3g}",
        caption=(
            f"Absolute differences, largest / mean. {WEIGHTS} is held against the checkpoint, each "
            f"runtime against {WEIGHTS}. Top-1: same best class. In batch: against the clip alone."
        ),
        box=box.SIMPLE,
    )
    for heading in ("", "logits", "embedding", "top-1", "in batch"):
        table.add_column(heading, no_wrap=True)
    for result in export.parity:
        table.add_row(
            result.subject,
            _cell(result.distance.logits),
            _cell(result.distance.embedding),
            f"{result.top1_agreement:.1%}",
            f"{result.rows.logits.largest:.0e}" if result.rows else "",
        )
    console.print(table)
    bundle = export.bundle
    size = sum(entry["bytes"] for entry in bundle.manifest["files"].values())
    console.print(
        f"{bundle.path}: {bundle.name}, {len(bundle.labels)} classes, {size / 1e6:.1f} MB",
        highlight=False,
        soft_wrap=True,
    )


def _cell(difference: "Difference") -> str:
    return f"{difference.largest:.0e} / {difference.mean:.0e}"
