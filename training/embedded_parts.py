"""Two parts of a data set, one to compare with or learn from and one to test on, as embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from motionfit.inference.errors import DatasetError
from motionfit.training.checkpoint import CheckpointError, load_student
from motionfit.training.embeddings import Embedded, embed
from motionfit.training.manifest import Filter, Row, data_hash, matching, read_dataset
from motionfit.training.origins import Network, available_device
from motionfit.training.report import Data
from motionfit.training.row_clusters import group_of
from motionfit.training.seen_videos import use_warnings, uses_of
from motionfit.training.used_videos import FILE, HELD_OUT, TRAINING, USED, read_used

OF_TRAINING, OF_HELD_OUT = (f"{USED}={what}" for what in (TRAINING, HELD_OUT))
"""Choose the videos that the run was trained on, and those that it held out."""


@dataclass(frozen=True, kw_only=True)
class PartsOptions:
    """Which network, and which videos."""

    run: Path
    """A run folder or a checkpoint file"""
    labelled: Path
    lists: Path | None
    where: tuple[Filter, ...]
    """Of both parts"""
    reference: tuple[Filter, ...]
    """The part to compare with or to learn from"""
    test: tuple[Filter, ...]
    clips: int | None
    """Clips of a video; None for the checkpoint's own number"""
    seed: int
    command: str
    """The command line, for the record"""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Both parts, as the network sees them."""

    network: Network
    clips: int
    """Clips of each video."""
    reference: Embedded
    test: Embedded
    reference_data: Data
    test_data: Data
    warnings: tuple[str, ...]
    """Why figures on the test part may say less than they seem to."""


def embed_parts(options: PartsOptions, *, console: Console) -> Parts:
    """Read and embed both parts. Raises CheckpointError or DatasetError."""
    checkpoint = load_student(options.run)
    dataset = read_dataset(options.labelled, lists=options.lists)
    rows = matching(_with_used(dataset.rows, options=options), options.where)
    reference, test = matching(rows, options.reference), matching(rows, options.test)
    check_parts(reference, test=test)
    on_device = replace(checkpoint, model=checkpoint.model.to(available_device()))
    known, asked = (
        embed(on_device, part, clips=options.clips, console=console) for part in (reference, test)
    )
    check_parts(known.rows, test=asked.rows)  # without those that could not be read
    return Parts(
        network=Network.of(options.run, checkpoint),
        clips=options.clips or checkpoint.spec.num_clips,
        reference=known,
        test=asked,
        reference_data=_data(reference, options, options.reference),
        test_data=_data(test, options, options.test),
        warnings=(
            *use_warnings(
                options.run, checkpoint.training, test, network="the network", calibrated=False
            ),
            *_look_alikes(reference, test),
        ),
    )


def check_parts(reference: Sequence[Row], *, test: Sequence[Row]) -> None:
    """Raise DatasetError when the parts share a video or a class to be tested is never seen."""
    if both := sorted({row.name for row in reference} & {row.name for row in test}):
        raise DatasetError(
            f"{len(both)} videos are in both parts, among them {both[0]}: such a video would find "
            "itself; choose parts that share none"
        )
    if lost := sorted({row.label for row in test} - {row.label for row in reference}):
        raise DatasetError(
            f"of {', '.join(lost)} there are videos to test but none to compare with or learn "
            "from; leave them out with --where"
        )


def _with_used(rows: Sequence[Row], *, options: PartsOptions) -> tuple[Row, ...]:
    """The rows with the column ``used``, which says what the run used each video for: ``training``,
    ``held_out`` or ``not``. A data set's own column of that name is left as it is.
    """
    if read_used(options.run):
        used = uses_of(options.run, rows)
        return tuple(
            replace(row, columns={USED: used.get(row.name, "not"), **row.columns}) for row in rows
        )
    asked = USED in {one.column for one in (*options.where, *options.reference, *options.test)}
    if asked and not any(USED in row.columns for row in rows):
        raise CheckpointError(
            f"{options.run} has no {FILE} that tells which videos it was trained on and which it "
            "held out: give its run folder, or choose both parts by columns of the data set"
        )
    return tuple(rows)


def _data(rows: Sequence[Row], options: PartsOptions, own: Sequence[Filter]) -> Data:
    return Data(
        name=options.labelled.resolve().name,
        where=tuple(map(str, (*options.where, *own))),
        videos=len(rows),
        sha256=data_hash(rows),
    )


def _look_alikes(reference: Sequence[Row], test: Sequence[Row]) -> tuple[str, ...]:
    groups = {(row.label, group_of(row)) for row in reference}
    alike = [row for row in test if group_of(row) and (row.label, group_of(row)) in groups]
    if not alike:
        return ()
    return (
        f"{len(alike)} of the {len(test)} videos tested have a look-alike (same class and group) "
        "in the other part",
    )
