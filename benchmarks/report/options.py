"""What a report is to measure, as it is kept in its folder, so that a killed run goes on alike."""

from pathlib import Path

from motionfit.benchmarks.report.networks import TrainedCell, main_cells
from motionfit.benchmarks.report.systems import FLOW_STREAM, RGB_STREAM, STUDENT
from motionfit.benchmarks.result import ResultError, checked, read_json
from motionfit.inference.errors import DatasetError
from motionfit.training.json_record import Record
from motionfit.training.manifest import Row, matching, parse_filter, read_manifest
from motionfit.training.whole_files import written_whole

OPTIONS = "options.json"
NEEDED = (STUDENT, RGB_STREAM, FLOW_STREAM)
"""Arms that a cell of the experiment must have to be measured."""
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
    threads: int
    """Of each engine, and of the computation of flow."""
    num_clips: int
    """Clips of a video."""
    seed: int
    quick: bool

    def trained_cells(self) -> tuple[TrainedCell, ...]:
        """The cells of the experiment whose student and both streams are trained."""
        if self.runs is None:
            return ()
        found = (TrainedCell(runs=Path(self.runs), name=one.name) for one in main_cells())
        return tuple(one for one in found if all(one.has(arm) for arm in NEEDED))

    def timed_cell(self) -> TrainedCell | None:
        """The cell whose networks are timed: the first that is trained; None: made networks."""
        return next(iter(self.trained_cells()), None)

    def timed_videos(self) -> tuple[Path, ...]:
        """The files that are timed: those given, or some of the test videos, evenly spread."""
        if self.videos:
            return tuple(map(Path, self.videos))
        cell = self.timed_cell()
        if cell is None:
            raise DatasetError("give videos, or an experiment with --runs and --data")
        return _spread(self.test_rows(cell), TIMED_VIDEOS)

    def test_rows(self, cell: TrainedCell) -> tuple[Row, ...]:
        """The videos that the networks of a cell are measured on; a quick look takes some."""
        rows = self._rows(cell.cell.split.test)
        return rows[::QUICK_SHARE] if self.quick else rows

    def calibration_videos(self) -> tuple[Path, ...]:
        """Files that the ranges of int8 are taken from: labelled ones of the timed cell."""
        cell = self.timed_cell()
        if cell is None:
            return self.timed_videos()[:CALIBRATION_VIDEOS]
        return _spread(self._rows(cell.cell.labelled), CALIBRATION_VIDEOS)

    def _rows(self, groups: tuple[str, ...]) -> tuple[Row, ...]:
        if self.data is None:
            raise DatasetError("networks of an experiment need its data set: give --data")
        rows = read_manifest(Path(self.data))
        return matching(rows, [parse_filter(f"group={','.join(groups)}")])


def keep_options(options: Options, folder: Path) -> None:
    """Write the options into a new folder. Raises ResultError when it was begun with others."""
    path = folder / OPTIONS
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as unfinished:
            unfinished.write_text(options.document(), encoding="utf-8")
        return
    before = read_options(folder)
    changed = [
        name for name in Options.model_fields if getattr(before, name) != getattr(options, name)
    ]
    if changed:
        raise ResultError(
            f"{folder} was begun with other options ({', '.join(changed)}): give the same to go "
            "on, or another folder"
        )


def read_options(folder: Path) -> Options:
    """The options that a folder was begun with. Raises ResultError."""
    path = folder / OPTIONS
    return checked(read_json(path), Options, path=path)


def _spread(rows: tuple[Row, ...], most: int) -> tuple[Path, ...]:
    """At most so many of the rows' files, evenly spread over their order."""
    count = min(most, len(rows))
    return tuple(rows[number * len(rows) // count].path for number in range(count))
