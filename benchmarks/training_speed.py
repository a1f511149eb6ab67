"""Training clips per second, beside torchvision's reference recipe: same videos, same network.

Before anything is timed, one step of every loop on the same clips from the same weights must give
the same loss and the same gradient. Then the loops take turns, a few steps each in every round.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from rich.console import Console
from torch import nn
from torchvision.datasets import Kinetics  # type: ignore[import-untyped]
from torchvision.models.video.resnet import BasicBlock  # type: ignore[import-untyped]

from motionfit.benchmarks.contender import Batch, Contender
from motionfit.benchmarks.our_loop import VARIANTS, Variant, our_contender
from motionfit.benchmarks.reference_recipe import (
    reference_contender,
    reference_dataset,
    require_torchcodec,
    too_short,
)
from motionfit.benchmarks.result import Excluded, Rate, Ratio, Result, TimedCase
from motionfit.benchmarks.same_step import TOLERANCE, proven_equal
from motionfit.benchmarks.session import Session
from motionfit.benchmarks.timing import Case, measure
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.training.cache import Cache, open_cache
from motionfit.training.config import Augment, Input
from motionfit.training.dataset import BatchKeys, Epochs, LabelledVideo, TrainingClips, clips_loader
from motionfit.training.manifest import Row, labels_of
from motionfit.training.model import R2Plus1D

KIND = "training"
STEP, WAITING = "step", "waiting"
DAMPING = 0.1
"""Where every block's last batch norm starts. At 1 the gradient of a new network is chaotic: a
change of its input by 1e-7 moves it by a percent, so rounding alone tells two loops apart."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure, and how long."""

    spec: ClipSpec
    width: float
    batch_size: int
    workers: int
    """Processes that make clips, of each loop."""
    steps: int
    """Of each loop, one after the other, in a round."""
    rounds: int
    warmup_rounds: int
    seed: int
    variants: tuple[Variant, ...] = VARIANTS
    """The ways that our loop is run."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Loops that do the same, ready to take turns."""

    contenders: tuple[Contender, ...]
    """torchvision's first."""
    excluded: tuple[Excluded, ...]
    too_short: int
    """Videos that torchvision's recipe leaves out."""


@contextmanager
def contest(rows: Sequence[Row], plan: Plan, *, console: Console) -> Iterator[Contest]:
    """Decode the videos, set the loops up and prove that they do the same.

    Raises DatasetError when the videos do not do, MissingExtra without TorchCodec.
    """
    with ExitStack() as stack:
        require_torchcodec()
        cache = stack.enter_context(
            open_cache(rows, short_side=plan.spec.short_side, config=Input(), console=console)
        )
        readable = [row for row, _ in cache.videos]
        clips = _training_clips(cache, plan)
        folder = Path(stack.enter_context(TemporaryDirectory()))
        theirs = reference_dataset(readable, spec=plan.spec, folder=folder)
        contenders = _contenders(theirs, clips, _start(len(labels_of(readable)), plan), plan)
        for one in contenders:
            stack.callback(one.close)
        console.print("proving that the loops do the same; compiling may take minutes")
        kept, excluded = proven_equal(contenders, *_first_batch(clips, plan))
        yield Contest(contenders=kept, excluded=excluded, too_short=too_short(theirs))


def training_result(
    ready: Contest,
    plan: Plan,
    *,
    data: Mapping[str, str | int],
    session: Session,
    after_round: Callable[[], None] = lambda: None,
) -> Result:
    """Let the loops take turns: a result of kind ``training``. ``data`` says on which videos.

    Cases are the mean milliseconds of a step, and of its waiting for data, in each turn; ratios
    are torchvision's step over each of ours, and each loop's waiting over its step.
    """
    turns = measure(
        [Case(name=one.name, run=partial(one.turn, plan.steps)) for one in ready.contenders],
        rounds=plan.rounds,
        warmup_rounds=plan.warmup_rounds,
        seed=plan.seed,
        after_round=after_round,
    )
    waited = {one.name: one.waited_ms[-plan.rounds :] for one in ready.contenders}
    steps = {name: _per_step(f"{STEP}/{name}", ms, plan) for name, ms in turns.items()}
    waits = {name: _per_step(f"{WAITING}/{name}", ms, plan) for name, ms in waited.items()}
    reference, *ours = steps.values()
    ratio = partial(Ratio.of, seed=plan.seed)
    return session.finish(
        kind=KIND,
        settings={**data, **_settings(plan), "videos_too_short_for_torchvision": ready.too_short},
        bundle=None,
        cases=(*steps.values(), *waits.values()),
        rates=[Rate.of(step, count=plan.batch_size, unit="clips") for step in steps.values()],
        ratios=(
            *(ratio(reference, step) for step in ours),
            *(ratio(waits[name], step) for name, step in steps.items()),
        ),
        excluded=ready.excluded,
    )


def _contenders(
    theirs: Kinetics, clips: TrainingClips, start: R2Plus1D, plan: Plan
) -> tuple[Contender, ...]:
    reference = reference_contender(
        copy.deepcopy(start),
        theirs,
        spec=plan.spec,
        batch_size=plan.batch_size,
        workers=plan.workers,
        device=PartialState().device,
    )
    ours = (
        our_contender(
            copy.deepcopy(start),
            clips,
            variant,
            batch_size=plan.batch_size,
            steps=(plan.rounds + plan.warmup_rounds) * plan.steps + 1,
            workers=plan.workers,
        )
        for variant in plan.variants
    )
    return (reference, *ours)


def _start(classes: int, plan: Plan) -> R2Plus1D:
    torch.manual_seed(plan.seed)
    model = R2Plus1D(classes, width=plan.width)
    for block in model.modules():
        if isinstance(block, BasicBlock):
            nn.init.constant_(block.conv2[1].weight, DAMPING)
    return model


def _training_clips(cache: Cache, plan: Plan) -> TrainingClips:
    if len(cache.videos) < plan.batch_size:
        raise DatasetError(
            f"{len(cache.videos)} readable videos do not fill a batch of {plan.batch_size}; "
            "give more, or a smaller --batch-size"
        )
    labels = labels_of(row for row, _ in cache.videos)
    videos = [LabelledVideo(video=v, label=labels.index(row.label)) for row, v in cache.videos]
    return TrainingClips(videos, spec=plan.spec, augment=Augment(), seed=plan.seed)


def _first_batch(clips: TrainingClips, plan: Plan) -> Batch:
    keys = BatchKeys(len(clips), batch_size=plan.batch_size, length=Epochs(1), seed=plan.seed)
    frames, labels = next(iter(clips_loader(clips, keys, workers=0)))
    return frames, labels


def _per_step(name: str, turns_ms: Sequence[float], plan: Plan) -> TimedCase:
    return TimedCase.of(name, [ms / plan.steps for ms in turns_ms], seed=plan.seed)


def _settings(plan: Plan) -> dict[str, str | int | float]:
    return {
        "width": plan.width,
        "frames": plan.spec.num_frames,
        "frame_rate": plan.spec.frame_rate,
        "short_side": plan.spec.short_side,
        "crop": plan.spec.crop,
        "batch_size": plan.batch_size,
        "workers": plan.workers,
        "threads": torch.get_num_threads(),
        "device": PartialState().device.type,
        "rounds": plan.rounds,
        "warmup_rounds": plan.warmup_rounds,
        "steps_per_round": plan.steps,
        **{f"tolerance_{name}": value for name, value in TOLERANCE.items()},
    }
