"""One part to be measured, and what all parts say of themselves."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motionfit.benchmarks.report.options import Options
from motionfit.benchmarks.report.plan import Cell
from motionfit.benchmarks.result import Excluded, Figure, Rate, Result, TimedCase, Video
from motionfit.benchmarks.session import Session
from motionfit.inference.decoding import VideoReader
from motionfit.inference.picture import Scaler
from motionfit.training.scores import Accuracy

SEEDS_A_RUN = 100  # more than any cell has processes
Setting = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Work:
    """A cell in a process that was started for it."""

    cell: Cell
    options: Options
    folder: Path
    """Of the report; networks and flow are kept in it."""
    process: int
    session: Session

    @property
    def seed(self) -> int:
        """Another one in each process of each run, so that orders and arrivals differ."""
        return seed_of(self.options, process=self.process)

    @property
    def videos(self) -> tuple[Path, ...]:
        """The timed videos, from another one on in each process, so that all processes together
        have had each about equally often."""
        found = self.options.timed_videos()
        first = self.process * self.cell.rounds % len(found)
        return (*found[first:], *found[:first])

    def finish(
        self,
        *,
        settings: dict[str, Setting],
        videos: tuple[Path, ...] = (),
        cases: tuple[TimedCase, ...] = (),
        excluded: tuple[Excluded, ...] = (),
        rates: tuple[Rate, ...] = (),
        figures: tuple[Figure, ...] = (),
        accuracy: Accuracy | None = None,
    ) -> Result:
        """The part as a result of kind ``report-KIND``."""
        timed = self.options.timed_cell()
        return self.session.finish(
            kind=f"report-{self.cell.kind}",
            settings={
                "cell": self.cell.name,
                "process": self.process,
                "rounds": self.cell.rounds,
                "warmup_rounds": self.cell.warmup_rounds,
                "threads": self.options.threads,
                "clips": self.options.num_clips,
                "quick": self.options.quick,
                "networks": timed.name if timed else None,
                **settings,
            },
            bundle=None,
            videos=[_record(path) for path in videos],
            cases=cases,
            excluded=excluded,
            rates=rates,
            figures=figures,
            accuracy=accuracy,
        )


def seed_of(options: Options, *, process: int) -> int:
    """The seed of a process."""
    return SEEDS_A_RUN * options.seed + process


def _record(path: Path) -> Video:
    with path.open("rb") as file, VideoReader(file) as reader:
        scaler = Scaler(short_side=8, crop=None, pixel_aspect=reader.pixel_aspect)
        reader.select(np.zeros(1, np.int64), scaler=scaler)
        return Video.of(path, info=reader.info(), name=path.name)
