"""Opening systems in a process that measures, and proving that those in other engines are equal."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import torch

from motionfit.benchmarks.report.engines import Loader
from motionfit.benchmarks.report.networks import TrainedCell
from motionfit.benchmarks.report.options import Options
from motionfit.benchmarks.report.pipeline import Opener, Pipeline, clips_for
from motionfit.benchmarks.report.systems import INT8, System
from motionfit.benchmarks.result import Excluded
from motionfit.benchmarks.rivals import Arrays, prove_equal
from motionfit.benchmarks.timing import Case
from motionfit.export.parity import RUNTIME
from motionfit.inference.errors import MotionfitError

NETWORKS, FLOW = "networks", "flow"
TOLERANCE = RUNTIME.difference
"""Largest difference of logits between engines, times their largest magnitude."""


@contextmanager
def opener(
    options: Options,
    folder: Path,
    *,
    cell: TrainedCell | None,
    threads: int | None = None,
    num_clips: int | None = None,
) -> Iterator[Opener]:
    """What opens systems with the networks of ``cell``; files are kept in ``folder``."""
    threads = threads or options.threads
    cv2.setNumThreads(1)  # pairs are computed side by side instead
    torch.set_num_threads(threads)
    with ThreadPoolExecutor(threads) as pool:
        calibrating = partial(
            clips_for, paths=list(options.calibration_videos(cell)), pool=pool, num_clips=2
        )
        yield Opener(
            cell=cell,
            loader=Loader(folder=folder / NETWORKS, threads=threads, calibrating=calibrating),
            pool=pool,
            flow_folder=folder / FLOW,
            num_clips=num_clips or options.num_clips,
            loaded={},
        )


def open_all(
    found: Opener, systems: Sequence[System], *, video: Path
) -> tuple[tuple[Pipeline, ...], tuple[Excluded, ...]]:
    """The systems that can run here and answer as they should, and the others with the reason.

    One that differs from another in its engine alone must give the same logits of ``video``.
    """
    opened: list[Pipeline] = []
    excluded: list[Excluded] = []
    for system in systems:
        try:
            opened.append(found.open(system))
        except MotionfitError as error:
            excluded.append(Excluded(name=system.name, reason=str(error)))
    kept: list[Pipeline] = []
    first: dict[object, tuple[Pipeline, Arrays]] = {}
    for one in opened:
        one.store_flow(video)
        if reason := _problem(one, first, video=video):
            excluded.append(Excluded(name=one.system.name, reason=reason))
        else:
            kept.append(one)
    return tuple(kept), tuple(excluded)


def _problem(
    one: Pipeline, first: dict[object, tuple[Pipeline, Arrays]], *, video: Path
) -> str | None:
    system = one.system
    same = (system.rgb, system.flow, system.algorithm, system.stored, system.shape)
    try:
        logits = one.logits(video)
    except MotionfitError as error:
        return str(error)
    if system.engine == INT8:  # it answers otherwise, as it must: its accuracy is measured
        return None
    other, expected = first.setdefault(same, (one, logits))
    _, unequal = prove_equal(
        [
            Case(name=other.system.name, run=lambda: expected),
            Case(name=system.name, run=lambda: logits),
        ],
        arrays=lambda found: found,
        tolerance=TOLERANCE,
    )
    return unequal[0].reason if unequal else None


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))
