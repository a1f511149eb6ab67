"""motionfit-export verify: hold the files of a bundle against its weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from motionfit.inference.bundle import Bundle
from motionfit.inference.errors import VerificationError, require_extra

if TYPE_CHECKING:
    from motionfit.export.clips import RealClips
    from motionfit.export.parity import Parity


def verify_command(
    bundle: Annotated[
        Path | None,
        typer.Argument(help="The bundle to verify.", show_default="the embedded student"),
    ] = None,
    clips: Annotated[
        list[Path] | None,
        typer.Option(
            help="A real video, or a folder of them, to verify on; can be given several times. "
            "A folder named like a class says what its videos show.",
            show_default="a small video in the package",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="A folder for parity.json and parity.md.", show_default=False
        ),
    ] = None,
) -> None:
    """Hold every file of BUNDLE, in each runtime that is here, against its weights in PyTorch.

    The exit code is 1 when anything is outside its limits.
    """
    require_extra("export", "onnx", "safetensors", "torch", "torchvision")
    from motionfit.export.clips import find_clips
    from motionfit.export.report import write_report
    from motionfit.export.verify import outside, verify_bundle

    opened = Bundle.open(bundle)
    real = find_clips(opened.path, spec=opened.spec, labels=opened.labels, videos=clips or ())
    results = verify_bundle(opened, clips=real)
    if output is not None:
        write_report(results, output, bundle=opened, clips=real)
    Console(highlight=False).print(_table(results, clips=real))
    if problems := outside(results):
        raise VerificationError("; ".join(problems))


def _table(results: "Sequence[Parity]", *, clips: "RealClips") -> Table:
    table = Table(
        title=f"Held against {results[0].reference} on {len(clips.frames)} real clips",
        caption=(
            f"The clips are of {clips.source}. Largest differences, as shares of the largest "
            "value; KL: divergence of the classes in nats; same: clips with the same best class; "
            "top-1: of clips of known class; in batch: against the clip alone."
        ),
        box=box.SIMPLE,
    )
    for heading in ("", "logits", "embedding", "KL", "same", "top-1", "in batch"):
        table.add_column(heading, no_wrap=True)
    for result in results:
        rows, accuracy = result.rows, result.accuracy
        table.add_row(
            result.subject.replace(" in ", "\nin "),
            f"{result.distance.logits.share:.0e}",
            f"{result.distance.embedding.share:.0e}",
            f"{result.divergence:.0e}",
            f"{result.top1_agreement:.1%}",
            f"{accuracy.found:.1%}" if accuracy else "",
            f"{rows.logits.share:.0e}" if rows else "",
        )
    return table
