"""What a report is to measure, as it is kept in its folder, so that a killed run goes on alike."""

import random
from pathlib import Path

from motionfit.benchmarks.report.networks import TrainedCell, main_cells
from motionfit.benchmarks.report.systems import FLOW_STREAM, MARS, MERS, RGB_STREAM, STUDENT
from motionfit.inference.bundle import sha256_of
from motionfit.inference.errors import DatasetError
from motionfit.training.json_record import Record
from motionfit.training.manifest import Row, matching, parse_filter, read_manifest

NEEDED = (STUDENT, RGB_STREAM, FLOW_STREAM)
"""Arms that a cell of the experiment must have to be measured."""
ARMS = (*NEEDED, MERS, MARS)
TIMED_VIDEOS = 26
CALIBRATION_VIDEOS = 16
QUICK_SHARE = 5
"""One in so many test videos gives the accuracy of a quick look."""


class Options(Record):
    """Everything that decides what is measured."""

    videos: tuple[str, ...]
    """Files to be timed; empty: test videos of the data set."""
    runs: str | None
    """An experiment's folder; null: networks are made, and nothing has an accuracy."""
    data: str | None
    """The experiment's data set."""
    networks: dict[str, dict[str, str]] = {}
    """Cell of the experiment -> arm -> SHA-256 of its network, of all that were trained when the
    report was begun. Those trained since do not take part."""
    threads: int
    """Of each engine, and of the computation of flow."""
    num_clips: int
    """Clips of a video."""
    seed: int
    quick: bool
    headline: bool = False
    """Only like for like."""

    @property
    def whole(self) -> bool:
        """Whether all is measured."""
        return not (self.quick or self.headline)

    def trained_cells(self) -> tuple[TrainedCell, ...]:
        """The cells of the experiment whose student and both streams are trained."""
        return tuple(
            TrainedCell(runs=Path(self.runs or ""), name=name, networks=own)
            for name, own in self.networks.items()
        )

    def timed_cell(self) -> TrainedCell | None:
        """The cell whose networks are timed: the first that is trained; None: made networks."""
        return next(iter(self.trained_cells()), None)

    def timed_videos(self) -> tuple[Path, ...]:
        """The files that are timed: those given, or some of the test videos, evenly spread.

        They come in an order drawn once, so that any few that follow each other are of several
        classes.
        """
        found = tuple(map(Path, self.videos)) or _spread(self._timed_rows(), TIMED_VIDEOS)
        return tuple(random.Random(self.seed).sample(found, len(found)))

    def _timed_rows(self) -> tuple[Row, ...]:
        cell = self.timed_cell()
        if cell is None:
            raise DatasetError("give videos, or an experiment with --runs and --data")
        return self.test_rows(cell)

    def test_rows(self, cell: TrainedCell) -> tuple[Row, ...]:
        """The videos that the networks of a cell are measured on; a quick look takes some."""
        rows = self._rows(cell.cell.split.test)
        return rows[::QUICK_SHARE] if self.quick else rows

    def calibration_videos(self, cell: TrainedCell | None) -> tuple[Path, ...]:
        """Files that the ranges of int8 are taken from: labelled ones of the networks' own cell."""
        if cell is None:
            return self.timed_videos()[:CALIBRATION_VIDEOS]
        return _spread(self._rows(cell.cell.labelled), CALIBRATION_VIDEOS)

    def _rows(self, groups: tuple[str, ...]) -> tuple[Row, ...]:
        if self.data is None:
            raise DatasetError("networks of an experiment need its data set: give --data")
        rows = read_manifest(Path(self.data))
        return matching(rows, [parse_filter(f"group={','.join(groups)}")])


def trained_networks(runs: Path) -> dict[str, dict[str, str]]:
    """What ``Options.networks`` says of an experiment's folder as it is now."""
    found = {}
    for one in main_cells():
        cell = TrainedCell(runs=runs, name=one.name, networks={})
        files = {arm: cell.checkpoint(arm) for arm in ARMS}
        own = {arm: sha256_of(path) for arm, path in files.items() if path.is_file()}
        if all(arm in own for arm in NEEDED):
            found[one.name] = own
    return found


def _spread(rows: tuple[Row, ...], most: int) -> tuple[Path, ...]:
    """At most so many of the rows' files, evenly spread over their order."""
    count = min(most, len(rows))
    return tuple(rows[number * len(rows) // count].path for number in range(count))
