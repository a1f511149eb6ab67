"""An export is finished only when it agrees with its source, on real clips."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from motionfit.export.batches import BATCH, Frames, Run, in_batches, joined, torch_run
from motionfit.export.clips import RealClips
from motionfit.export.parity import (
    HALF,
    ROUNDING,
    RUNTIME,
    Distance,
    Limits,
    Parity,
    compare,
    distance,
)
from motionfit.inference.backends import (
    Backend,
    Device,
    choose,
    cuda_problem,
    installed_backends,
)
from motionfit.inference.bundle import FP16, LOWERED, MODEL, WEIGHTS, Bundle
from motionfit.inference.errors import VerificationError
from motionfit.inference.plan import Profile, plans_of, why_not_here
from motionfit.inference.plan_library import PlanKind
from motionfit.inference.runner import Runner
from motionfit.inference.tensors import Output
from motionfit.training.checkpoint import Checkpoint, load_checkpoint

DISTINCT = 8  # clips that a batch for the check of its rows is made of


def verify(bundle: Bundle, *, source: Checkpoint, clips: RealClips) -> tuple[Parity, ...]:
    """Hold a bundle against the checkpoint it was made from, link by link.

    The bundle's weights, in PyTorch, are held against the checkpoint's; every other file, in each
    runtime that is here, against the bundle's weights in PyTorch.

    Raises VerificationError, with all that is wrong, when anything is outside its limits.
    """
    original = in_batches(torch_run(source.model, spec=source.spec), clips.frames)
    stored = _stored(bundle, clips)
    weights = compare(
        stored,
        original,
        subject=WEIGHTS,
        against="checkpoint",
        limits=ROUNDING,
        true=_classes(clips, labels=bundle.labels),
    )
    results = (weights, *_against(stored, bundle, clips=clips))
    if problems := outside(results):
        raise VerificationError("; ".join(problems))
    return results


def verify_bundle(bundle: Bundle, *, clips: RealClips) -> tuple[Parity, ...]:
    """Hold every file of a bundle, in each runtime that is here, against the bundle's weights.

    ``outside`` tells what is wrong. Raises BundleError when the bundle holds no weights, and
    MissingExtra when there is no runtime.
    """
    choose(backend=Backend.AUTO, device=Device.CPU)
    reference = _stored(bundle, clips)
    return tuple(_against(reference, bundle, clips=clips))


def outside(results: Sequence[Parity]) -> list[str]:
    """What is outside its limits, as sentences; empty when all is well."""
    return [problem for result in results for problem in result.problems()]


def row_distance(run: Run, frames: Frames, *, batches: Sequence[int] = (BATCH,)) -> Distance:
    """How far clips at the rows of batches are from the same clips alone.

    In each batch one clip is at every other row and different ones between; a second batch swaps
    them, so that the clip was at every row, among others. Where ``frames`` has too few, mirrored
    ones are the others.
    """
    mirrored = frames[:, :, :, ::-1]
    distinct = np.resize(np.concatenate([frames, mirrored]), (DISTINCT, *frames.shape[1:]))
    alone = joined([run(clip[np.newaxis]) for clip in distinct])
    orders = [order for size in batches for order in _alternating(size)]
    within = joined([run(distinct[order]) for order in orders])
    rows = np.concatenate(orders)
    return distance(within, Output(alone.logits[rows], alone.embedding[rows]))


def _alternating(size: int) -> list[NDArray[np.intp]]:
    """Which of the distinct clips is at each row: 0 at all even ones, then at all odd ones."""
    others = np.resize(np.arange(1, DISTINCT), size)
    even = np.arange(size) % 2 == 0
    return [np.where(first, 0, others) for first in (even, ~even)]


@dataclass(frozen=True, kw_only=True)
class _Engine:
    """A file of a bundle and what can run it here."""

    file: str
    open: Callable[[], Runner]
    limits: Limits
    profile: Profile
    """How many clips at a time it is held at, beside one alone."""


def _against(reference: Output, bundle: Bundle, *, clips: RealClips) -> Iterator[Parity]:
    for engine in _engines(bundle):
        batches = (engine.profile.opt, engine.profile.max)
        with closing(engine.open()) as runner:
            yield compare(
                in_batches(runner.run, clips.frames),
                reference,
                subject=f"{engine.file} in {runner.name}",
                against=WEIGHTS,
                limits=engine.limits,
                true=_classes(clips, labels=bundle.labels),
                rows=row_distance(runner.run, clips.frames, batches=batches),
                batches=batches,
            )


def _engines(bundle: Bundle) -> Iterator[_Engine]:
    for file in (MODEL, LOWERED, FP16):
        if file in bundle.files:
            limits = HALF if file == FP16 else RUNTIME
            for opening in _runtimes():
                yield _Engine(
                    file=file,
                    open=partial(opening, bundle, file),
                    limits=limits,
                    profile=Profile(),
                )
    for plan in plans_of(bundle):
        if why_not_here(plan) is None:
            yield _Engine(
                file=plan.kind.file,
                open=partial(_open_plan, bundle, plan.kind),
                limits=HALF,
                profile=plan.profile,
            )


def _runtimes() -> Iterator[Callable[[Bundle, str], Runner]]:
    """What loads ONNX files here."""
    if Backend.ONNX in installed_backends():
        yield partial(_open_onnx, cuda=False)
        if cuda_problem() is None:
            yield partial(_open_onnx, cuda=True)
    if Backend.OPENVINO in installed_backends():
        yield _open_openvino


# A runtime is an optional extra: only those that are installed are imported.


def _open_onnx(bundle: Bundle, file: str, *, cuda: bool) -> Runner:
    from motionfit.inference.runner_onnx import OnnxRunner

    return OnnxRunner(bundle, cuda=cuda, file=file)


def _open_openvino(bundle: Bundle, file: str) -> Runner:
    from motionfit.inference.runner_openvino import OpenVinoRunner

    return OpenVinoRunner(bundle, file=file)


def _open_plan(bundle: Bundle, kind: PlanKind) -> Runner:
    from motionfit.inference.runner_tensorrt import TensorRtRunner

    return TensorRtRunner(bundle, kind=kind)


def _stored(bundle: Bundle, clips: RealClips) -> Output:
    """What the bundle's weights give, in PyTorch."""
    checkpoint = load_checkpoint(bundle.file(WEIGHTS))
    return in_batches(torch_run(checkpoint.model, spec=checkpoint.spec), clips.frames)


def _classes(clips: RealClips, *, labels: Sequence[str]) -> list[int | None]:
    return [None if name is None else labels.index(name) for name in clips.true]
