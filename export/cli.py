"""motionfit-export: a checkpoint or a bundle becomes a verified bundle; inspect, verify."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from motionfit.export.inspect_command import inspect_command
from motionfit.export.verify_command import verify_command
from motionfit.inference.bundle import WEIGHTS
from motionfit.inference.console import default_command, run
from motionfit.inference.errors import require_extra
from motionfit.inference.plan import Profile, plans_of, why_not_here

if TYPE_CHECKING:
    from motionfit.export.pipeline import Export

DEFAULT_OUTPUT = Path("bundle")
DEFAULT_PROFILE = Profile()

app = typer.Typer(
    cls=default_command("convert"),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Turn a trained checkpoint into a bundle that can be served (convert), verify one, or "
    "tell what is in one (inspect). Without the name of a command it is convert: "
    "motionfit-export CHECKPOINT -o BUNDLE.",
    epilog="--debug anywhere on the command line shows the traceback of a failure.",
)


@app.command()
def convert(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CHECKPOINT|BUNDLE]",
            help="A run folder of motionfit-train, a checkpoint file in one, or a bundle.",
            show_default="the student embedded in the package",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The bundle to make: a new folder, or a bundle to replace."
        ),
    ] = DEFAULT_OUTPUT,
    fp16: Annotated[
        bool,
        typer.Option(
            "--fp16",
            help="Also ONNX in half precision and, where it can be built, a TensorRT plan.",
        ),
    ] = False,
    tensorrt: Annotated[
        bool, typer.Option("--tensorrt", help="Also a TensorRT plan, or fail; includes --fp16.")
    ] = False,
    compute_capability: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X.Y",
            help="Build the plan with TensorRT-RTX for GPUs of this compute capability, such as "
            "8.9, which need not be here; can be given several times. Includes --tensorrt.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[
        tuple[int, int, int],
        typer.Option(
            metavar="MIN OPT MAX",
            help="How many clips at a time a plan takes, and for how many it is made fastest.",
        ),
    ] = (DEFAULT_PROFILE.min, DEFAULT_PROFILE.opt, DEFAULT_PROFILE.max),
    triton: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also write the bundle into this model repository of a Triton Inference Server.",
            show_default=False,
        ),
    ] = None,
    clips: Annotated[
        list[Path] | None,
        typer.Option(
            help="A real video, or a folder of them, to verify on; can be given several times.",
            show_default="the clips that training stored, else a small video in the package",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="The model's name in answers.",
            show_default="a bundle's own, or one of architecture, width and number of classes",
        ),
    ] = None,
) -> None:
    """Export a checkpoint, or the weights of a bundle, to ONNX and TensorRT, and hold each file
    against PyTorch on real clips.

    The bundle appears only when the outputs agree; otherwise the exit code is 1 and what was there
    is as it was.
    """
    require_extra("export", "onnx", "onnxscript", "safetensors", "torch", "torchvision")
    from motionfit.export.pipeline import Wanted, export_bundle

    smallest, usual, largest = batch
    wanted = Wanted(
        fp16=fp16,
        tensorrt=tensorrt,
        profile=Profile(min=smallest, opt=usual, max=largest),
        compute_capabilities=tuple(compute_capability or ()),
        triton=triton,
    )
    export = export_bundle(source, output, videos=clips or (), name=name, wanted=wanted)
    _report(export, console=Console())


app.command("verify")(verify_command)
app.command("inspect")(inspect_command)


def main() -> None:
    """The command ``motionfit-export``."""
    run(app, name="motionfit-export")


def _report(export: "Export", *, console: Console) -> None:
    scale = export.parity[0].distance.logits.scale
    table = Table(
        title=f"Verified on {len(export.clips.frames)} real clips; logits up to {scale:.3g}",
        caption=(
            f"Largest absolute differences. {WEIGHTS} is held against the source, each file in "
            f"each runtime against {WEIGHTS}. Top-1: same best class. In batch: against the clip "
            "alone."
        ),
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),  # so that all fits into 80 columns
    )
    for heading in ("", "logits", "embedding", "top-1", "in batch"):
        table.add_column(heading, no_wrap=True)
    for result in export.parity:
        table.add_row(
            result.subject,
            f"{result.distance.logits.largest:.0e}",
            f"{result.distance.embedding.largest:.0e}",
            f"{result.top1_agreement:.1%}",
            f"{result.rows.logits.largest:.0e}" if result.rows else "",
        )
    console.print(table)
    for line in _result(export):
        console.print(Text(line), soft_wrap=True)


def _result(export: "Export") -> Iterator[str]:
    bundle = export.bundle
    yield f"The clips are of {export.clips.source}."
    for plan in plans_of(bundle):
        if problem := why_not_here(plan):
            yield f"{plan.kind.file} was built for elsewhere, not run: here {problem}"
    if export.skipped:
        yield export.skipped
    if export.triton is not None:
        model = export.triton
        yield f"{model.path}: {model.source}, for Triton's backend {model.backend}"
    size = sum(entry["bytes"] for entry in bundle.manifest["files"].values())
    yield f"{bundle.path}: {bundle.name}, {len(bundle.labels)} classes, {size / 1e6:.1f} MB"
