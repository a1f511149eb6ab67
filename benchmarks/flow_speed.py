"""Videos a second of ``motionfit-train flow``, beside a few lines of OpenCV on the same videos.

First both must give the same flow where they look at the same frames. Then they take turns: ours
in one process, ours in as many as it uses (their start counts), and the plain loop, whose OpenCV
may use all cores. Beside it the milliseconds of one field by each method, by one thread.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
from rich.console import Console

from motionfit.benchmarks.flow_agreement import agreement
from motionfit.benchmarks.opencv_flow import opencv_flow
from motionfit.benchmarks.result import Excluded, Rate, Ratio, Result, TimedCase
from motionfit.benchmarks.session import Session
from motionfit.benchmarks.timing import Case, measure
from motionfit.inference.errors import MotionfitError
from motionfit.inference.video import read_frames
from motionfit.training.flow_methods import FlowFunction, Picture, flow_function
from motionfit.training.flow_spec import FlowMethod, FlowSpec
from motionfit.training.flow_store import open_flow, open_store
from motionfit.training.manifest import Row
from motionfit.training.videos import reading_processes

KIND = "flow"
VIDEOS, FIELD = "videos", "field"
OPENCV, ONE_PROCESS, MOTIONFIT = "opencv", "one-process", "motionfit"
METHODS: tuple[FlowMethod, ...] = ("dis", "farneback", "tvl1", "raft")
_PROVEN_ON = 12  # videos, spread over those given


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure, and how long."""

    spec: FlowSpec
    """By DIS, which the plain loop computes too."""
    rounds: int
    warmup_rounds: int
    seed: int
    methods: tuple[FlowMethod, ...] = METHODS
    """Of which the time of one field is taken."""


def flow_result(
    rows: Sequence[Row],
    plan: Plan,
    *,
    data: Mapping[str, str | int | float],
    session: Session,
    after_round: Callable[[], None] = lambda: None,
) -> Result:
    """Let them take turns: a result of kind ``flow``. ``data`` says on which videos.

    Ratios are the plain loop's time over each of ours. Raises VerificationError when they do not
    do the same, a VideoError when a video cannot be read.
    """
    paths = [row.path for row in rows]
    proven = agreement(paths[:: max(1, len(paths) // _PROVEN_ON)], spec=plan.spec)
    fields, excluded = _field_cases(paths[0], plan)
    samples = measure(
        [*_video_cases(rows, plan.spec), *fields],
        rounds=plan.rounds,
        warmup_rounds=plan.warmup_rounds,
        seed=plan.seed,
        after_round=after_round,
    )
    cases = [TimedCase.of(name, ms, seed=plan.seed) for name, ms in samples.items()]
    plain, *ours = cases[:3]
    return session.finish(
        kind=KIND,
        settings={
            **data,
            **plan.spec.to_json(),
            "rounds": plan.rounds,
            "warmup_rounds": plan.warmup_rounds,
            "processes": reading_processes(),
            "opencv_threads": _opencv_threads(),
            "bytes_per_clip": _bytes_per_clip(rows, plan.spec),
            **proven.settings(),
        },
        bundle=None,
        cases=cases,
        rates=[
            Rate.of(case, count=len(rows) * count, unit=unit)
            for unit, count in (("videos", 1), ("clips", plan.spec.grid_clips))
            for case in (plain, *ours)
        ],
        ratios=[Ratio.of(plain, one, seed=plan.seed) for one in ours],
        excluded=excluded,
    )


def _video_cases(rows: Sequence[Row], spec: FlowSpec) -> list[Case]:
    runs = {OPENCV: _plain, ONE_PROCESS: _one_process, MOTIONFIT: _several_processes}
    return [
        Case(name=f"{VIDEOS}/{name}", run=partial(run, rows, spec)) for name, run in runs.items()
    ]


def _plain(rows: Sequence[Row], spec: FlowSpec) -> None:
    _opencv_threads()
    for row in rows:
        opencv_flow(row.path, spec=spec)


def _one_process(rows: Sequence[Row], spec: FlowSpec) -> None:
    cv2.setNumThreads(1)
    with TemporaryDirectory() as folder:
        store = open_store(Path(folder), spec=spec)
        for row in rows:
            store.compute(row.path)


def _several_processes(rows: Sequence[Row], spec: FlowSpec) -> None:
    with TemporaryDirectory() as folder:
        open_flow(rows, folder=Path(folder), spec=spec, console=Console(quiet=True))


def _field_cases(path: Path, plan: Plan) -> tuple[list[Case], list[Excluded]]:
    """One field by each method that is there, between two frames a tenth of a second apart."""
    frames = read_frames(path, short_side=plan.spec.compute_side).frames
    cases, excluded = [], []
    for method in plan.methods:
        try:
            compute = flow_function(method)
        except MotionfitError as error:
            excluded.append(Excluded(name=f"{FIELD}/{method}", reason=str(error)))
        else:
            run = partial(_one_field, compute, frames[0], frames[min(3, len(frames) - 1)])
            cases.append(Case(name=f"{FIELD}/{method}", run=run))
    return cases, excluded


def _one_field(compute: FlowFunction, a: Picture, b: Picture) -> None:
    cv2.setNumThreads(1)
    compute(a, b)


def _opencv_threads() -> int:
    """How many threads OpenCV uses unless it is told otherwise, as it is told here."""
    cv2.setNumThreads(-1)
    return cv2.getNumThreads()


def _bytes_per_clip(rows: Sequence[Row], spec: FlowSpec) -> int:
    with TemporaryDirectory() as folder:
        flow = open_flow(rows, folder=Path(folder), spec=spec, console=Console(quiet=True))
        total = sum(video.path.stat().st_size for _, video in flow.videos)
        return round(total / sum(video.shape[0] for _, video in flow.videos))
