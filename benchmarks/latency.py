"""How long each stage takes between a video and its answer, for each runtime that is installed."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from motionfit.benchmarks.result import Excluded, Ratio, Result, ResultError, TimedCase, Video
from motionfit.benchmarks.rivals import Arrays, prove_equal
from motionfit.benchmarks.session import Session
from motionfit.benchmarks.timing import Case, measure
from motionfit.inference.bundle import Bundle
from motionfit.inference.classifier import Answer, Classifier, answer
from motionfit.inference.errors import BackendError, MissingExtra, VideoError
from motionfit.inference.isolation import DecoderProcess
from motionfit.inference.runner import Backend
from motionfit.inference.video import Clips, read_clips

TOP = 5
TOLERANCE = 1e-3
"""Largest difference between runtimes: of a logit, in the largest logit's magnitude; of a score."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure, and how long."""

    videos: tuple[Path, ...]
    backends: tuple[Backend, ...] | None
    """None for every runtime that is installed."""
    num_clips: int | None
    """Clips of a video; None for the bundle's own number."""
    threads: int | None
    """CPU threads of the runtime; None leaves it to the runtime."""
    rounds: int
    warmup_rounds: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Latency:
    """What was measured."""

    videos: tuple[Video, ...]
    cases: tuple[TimedCase, ...]
    ratios: tuple[Ratio, ...]
    excluded: tuple[Excluded, ...]
    runners: Mapping[str, str]
    """Backend -> runtime and device that ran it."""


def measure_latency(
    bundle: Bundle, plan: Plan, *, after_round: Callable[[], None] = lambda: None
) -> Latency:
    """Time reading, inference, post-processing and the whole, for each video and runtime.

    Files are read from the system's cache: the warm-up has put them there. Raises BackendError or
    MissingExtra when a runtime that was asked for (or every runtime) is not there, and a
    VideoError when a video cannot be read.
    """
    names = video_names(plan.videos)
    with ExitStack() as stack:
        classifiers, excluded = open_classifiers(bundle, plan=plan, stack=stack)
        decoder = stack.enter_context(DecoderProcess())
        rivals: list[tuple[Case, ...]] = []
        records = []
        for path, name in zip(plan.videos, names, strict=True):
            clips = _read(decoder, path, name=name, bundle=bundle, plan=plan)
            records.append(Video.of(path, info=clips.info, name=name))
            kept, dropped = _cases(
                path, name=name, clips=clips, decoder=decoder, classifiers=classifiers, plan=plan
            )
            rivals += kept
            excluded += dropped
        samples = measure(
            [case for group in rivals for case in group],
            rounds=plan.rounds,
            warmup_rounds=plan.warmup_rounds,
            seed=plan.seed,
            after_round=after_round,
        )
        runners = {name: classifier.runner.name for name, classifier in classifiers.items()}
    timed = {n: TimedCase.of(n, values, seed=plan.seed) for n, values in samples.items()}
    return Latency(
        videos=tuple(records),
        cases=tuple(timed.values()),
        ratios=tuple(
            Ratio.of(timed[other.name], timed[first.name], seed=plan.seed)
            for first, *others in rivals
            for other in others
        ),
        excluded=tuple(excluded),
        runners=runners,
    )


def latency_result(
    bundle: Bundle, plan: Plan, *, session: Session, after_round: Callable[[], None]
) -> Result:
    """``measure_latency`` as a result of kind ``latency``."""
    found = measure_latency(bundle, plan, after_round=after_round)
    return session.finish(
        kind="latency",
        settings={
            "rounds": plan.rounds,
            "warmup_rounds": plan.warmup_rounds,
            "clips": plan.num_clips or bundle.spec.num_clips,
            "threads": plan.threads,
            "tolerance": TOLERANCE,
            **{f"runner_{name}": runner for name, runner in found.runners.items()},
        },
        bundle=bundle,
        videos=found.videos,
        cases=found.cases,
        ratios=found.ratios,
        excluded=found.excluded,
    )


def video_names(videos: Sequence[Path]) -> tuple[str, ...]:
    """What the results call the videos. Raises ResultError when two would be called the same."""
    names = tuple("_".join(path.name.replace("/", "_").split()) for path in videos)
    for name, same in groupby(sorted(names)):
        if len(list(same)) > 1:
            raise ResultError(f"videos must have different file names; two are called {name}")
    return names


def open_classifiers(
    bundle: Bundle, *, plan: Plan, stack: ExitStack
) -> tuple[dict[str, Classifier], list[Excluded]]:
    """The runtimes asked for; or else those that are there, with why the others are not."""
    found: dict[str, Classifier] = {}
    excluded: list[Excluded] = []
    for backend in plan.backends or (Backend.ONNX, Backend.OPENVINO):
        try:
            classifier = Classifier.open(bundle.path, backend=backend, threads=plan.threads)
        except (BackendError, MissingExtra) as error:
            if plan.backends:
                raise
            excluded.append(Excluded(name=str(backend), reason=str(error)))
            continue
        found[str(backend)] = stack.enter_context(classifier)
    if not found:
        raise BackendError(f"no runtime can be measured: {excluded[-1].reason}")
    return found, excluded


def _read(decoder: DecoderProcess, path: Path, *, name: str, bundle: Bundle, plan: Plan) -> Clips:
    try:
        return decoder.read_clips(path, spec=bundle.spec, num_clips=plan.num_clips)
    except VideoError as error:
        raise type(error)(f"{name}: {error}") from error


def _cases(
    path: Path,
    *,
    name: str,
    clips: Clips,
    decoder: DecoderProcess,
    classifiers: Mapping[str, Classifier],
    plan: Plan,
) -> tuple[list[tuple[Case, ...]], list[Excluded]]:
    """Groups of rivals, each proven equal, and what was not."""
    first = next(iter(classifiers.values()))
    decode = [
        Case(
            name=f"{name}/decode/{where}",
            run=partial(read, path, spec=first.bundle.spec, num_clips=plan.num_clips),
        )
        for where, read in (("in-process", read_clips), ("child", decoder.read_clips))
    ]
    infer = [
        Case(name=f"{name}/infer/{backend}", run=partial(one.runner.run, clips.frames))
        for backend, one in classifiers.items()
    ]
    output = first.runner.run(clips.frames)
    post = Case(
        name=f"{name}/post",
        run=partial(answer, output, clips, bundle=first.bundle, top=TOP, timings_ms={}),
    )
    decode_kept, decode_excluded = prove_equal(decode, arrays=_clip_arrays, tolerance=0)
    infer_kept, infer_excluded = prove_equal(infer, arrays=tuple, tolerance=TOLERANCE)
    proven = [case.name.rpartition("/")[2] for case in infer_kept]
    total = [
        Case(
            name=f"{name}/total/{backend}",
            run=partial(classifiers[backend].classify, path, clips=plan.num_clips, top=TOP),
        )
        for backend in proven
    ]
    total_kept, total_excluded = prove_equal(total, arrays=_score_arrays, tolerance=TOLERANCE)
    return (
        [decode_kept, infer_kept, (post,), total_kept],
        [*decode_excluded, *infer_excluded, *total_excluded],
    )


def _clip_arrays(clips: Clips) -> Arrays:
    return clips.frames, clips.starts_us


def _score_arrays(found: Answer) -> Arrays:
    return (np.array([entry.score for entry in found.top]),)
