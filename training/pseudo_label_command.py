"""``motionfit-train pseudo-label``: what a teacher makes of unlabelled videos."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from motionfit.inference.console import stderr
from motionfit.inference.errors import require_extra
from motionfit.training.config import Data, Input
from motionfit.training.stage_config import Source

_CACHE = Input.model_fields["cache"]
_CACHE_GB = Input.model_fields["cache_gb"]


def pseudo_label_command(
    teacher: Annotated[
        Path, typer.Argument(metavar="TEACHER", help="A run folder or a checkpoint file.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Folder for labels.parquet, quality.json, quality.md and predictions/; one that "
            "holds predictions of the same teacher on the same videos is gone on with.",
        ),
    ],
    unlabelled: Annotated[Path, typer.Option(help=Source.model_fields["unlabelled"].description)],
    lists: Annotated[Path | None, typer.Option(help=Data.model_fields["lists"].description)] = None,
    where: Annotated[
        list[str] | None, typer.Option(help=Data.model_fields["where"].description)
    ] = None,
    flow: Annotated[
        Path | None,
        typer.Option(
            help="For a teacher that sees flow: the folder of it; what it lacks is computed and "
            "kept."
        ),
    ] = None,
    grid_clips: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="For a teacher that sees RGB: clips spread evenly over each video.",
            show_default="8",
        ),
    ] = None,
    kind: Annotated[
        Literal["soft", "hard", "clusters"],
        typer.Option(
            help="Class probabilities, the most probable class, or k-means clusters of features."
        ),
    ] = "soft",
    temperature: Annotated[
        float,
        typer.Option(min=0.01, max=100, help="Logits are divided by it before the softmax."),
    ] = 1.0,
    clusters: Annotated[
        int | None,
        typer.Option(
            min=2, help="How many clusters.", show_default="as many as the teacher has classes"
        ),
    ] = None,
    granularity: Annotated[
        Literal["clip", "video", "tsn", "actionbytes"],
        typer.Option(
            help="What gets a label of its own: each clip, the whole video, each of --segments "
            "equal parts (tsn), or what lies between two changes of the features (actionbytes)."
        ),
    ] = "clip",
    segments: Annotated[
        int, typer.Option(min=1, max=64, help="Parts of a video with --granularity tsn.")
    ] = 3,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out labels of a lower confidence.")
    ] = 0.0,
    per_class: Annotated[
        int | None,
        typer.Option(
            min=1, help="Keep the most confident labels of each class.", show_default="all"
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Clips that the teacher looks at together.")
    ] = 32,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="Processes in which it looks. The labels do not depend on it.",
            show_default="one; on a CPU one for each core, at most 8",
        ),
    ] = None,
    cache: Annotated[Path | None, typer.Option(help=_CACHE.description)] = None,
    cache_gb: Annotated[float, typer.Option(min=0, help=_CACHE_GB.description)] = _CACHE_GB.default,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the clusters.")] = 0,
) -> None:
    """Label unlabelled videos by what a trained teacher says of them, and say how good that is.

    Where true labels are known, they are compared with, apart for videos that the teacher never
    saw. A command that was stopped goes on when it is given again; other labels of the same
    predictions take seconds. Videos that cannot be read are named and left out.
    """
    require_extra("train", "cv2", "faiss", "pyarrow", "safetensors", "sklearn", "torch")
    from motionfit.training.labelling import LabelOptions
    from motionfit.training.manifest import parse_filter
    from motionfit.training.provenance import command_line
    from motionfit.training.pseudo_label import PREDICTIONS, PseudoLabelOptions, pseudo_label

    used = output.exists() and (not output.is_dir() or any(output.iterdir()))
    if used and not (output / PREDICTIONS).is_dir():
        raise typer.BadParameter(
            f"{output} is neither new nor empty, and holds no predictions to go on with",
            param_hint="-o",
        )
    options = PseudoLabelOptions(
        teacher=teacher,
        unlabelled=unlabelled,
        lists=lists,
        where=tuple(parse_filter(text) for text in where or ()),
        output=output,
        flow=flow,
        grid_clips=grid_clips,
        labels=LabelOptions(
            kind=kind,
            temperature=temperature,
            clusters=clusters,
            granularity=granularity,
            segments=segments,
            threshold=threshold,
            per_class=per_class,
            seed=seed,
        ),
        batch_size=batch_size,
        processes=processes,
        input=Input(cache=cache, cache_gb=cache_gb),
        command=command_line(["motionfit-train", *sys.argv[1:]]),
    )
    pseudo_label(options, console=stderr)
