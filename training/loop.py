"""The supervised loop: AdamW or SGD, cosine with warm-up, label smoothing, EMA, mixed precision.

Run under ``accelerate launch`` it trains with several processes, each on its share of every step.
A stopped run goes on from its last saved state; what it then computes is bit for bit what it would
have computed (tested on one CPU).
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator, PartialState  # type: ignore[import-untyped]
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from motionfit.inference.errors import MotionfitError
from motionfit.training.checkpoint import CheckpointError
from motionfit.training.config import ConfigError, Train
from motionfit.training.dataset import Batch, BatchKeys, Clips, Epochs, clips_loader
from motionfit.training.logbook import Logbook, open_logbook
from motionfit.training.model import R2Plus1D
from motionfit.training.objectives import Forward, Objective
from motionfit.training.optimisation import make_optimizer, moving_average, warmup_then_cosine
from motionfit.training.parts import parameter_groups
from motionfit.training.state import (
    STATE,
    State,
    load_optimizer,
    load_state,
    optimizer_tensors,
    save_state,
)
from motionfit.training.stop import StopWish, stop_wish

SLOW_BF16 = "this processor has no instructions for bf16 and takes many times as long as"
AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}

Evaluate = Callable[[R2Plus1D], Mapping[str, float]]


class TrainingDiverged(MotionfitError):
    """A gradient is not finite. With fp16 that is usual now and then, and no error."""

    code = "training-diverged"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a run trains, and on what."""

    model: R2Plus1D
    """With frozen parts already frozen."""
    clips: Clips
    objective: Objective
    evaluate: Evaluate | None
    """Figures of held-out videos, ``held_out_accuracy`` among them; None if there are none."""
    fingerprint: str
    """Of everything that must be the same when a run is resumed."""


@dataclass
class Course:
    """Where a run stands: all that changes besides tensors."""

    step: int = 0
    """Forward passes done."""
    loss_sum: float = 0.0
    right: float = 0.0
    seen: float = 0.0
    """Of the epoch under way, on this process."""
    seconds: float = 0.0
    waited: float = 0.0
    best: float = -1.0
    """The highest held-out accuracy."""
    looks_since_best: int = 0


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The moving parts of a run."""

    task: Task
    config: Train
    accelerator: Accelerator
    keys: BatchKeys
    wrapped: nn.Module
    """The model as it is called: on its device, gradients shared between processes."""
    optimizer: Optimizer
    peaks: tuple[float, ...]
    """The learning rate of each parameter group at its highest."""
    scaler: torch.amp.GradScaler
    averaged: AveragedModel | None
    course: Course
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def student(self) -> R2Plus1D:
        """What is measured and saved: the average of the weights, or the weights."""
        model = self.task.model if self.averaged is None else self.averaged.module
        assert isinstance(model, R2Plus1D)
        return model

    @property
    def epoch(self) -> int:
        """The one under way or just ended, counted from 1."""
        return math.ceil(self.course.step / self.keys.steps_per_epoch)

    @property
    def epochs(self) -> int:
        """Of the whole run, the last perhaps not a whole one."""
        return math.ceil(self.keys.total_steps / self.keys.steps_per_epoch)


def train(
    task: Task, *, config: Train, workers: int, run: Path, resume: bool, console: Console
) -> R2Plus1D:
    """Train and return the student, on the CPU in eval mode.

    ``run`` gets log.jsonl, TensorBoard's events and, now and then and when stopped by Ctrl-C or
    SIGTERM (which end in KeyboardInterrupt), the state that ``resume`` goes on from.
    """
    accelerator = Accelerator(mixed_precision="no")  # precision is ours, whatever is configured
    state = load_state(run / STATE) if resume and (run / STATE).exists() else None
    loop = set_up(task, config=config, accelerator=accelerator, state=state)
    with stop_wish() as wish:
        if accelerator.is_main_process:
            epochs_done = loop.course.step // loop.keys.steps_per_epoch
            with open_logbook(run, epochs_done=epochs_done, console=console) as logbook:
                _train(loop, wish=wish, workers=workers, run=run, logbook=logbook)
        else:
            _train(loop, wish=wish, workers=workers, run=run, logbook=None)
    if loop.best_weights:
        loop.student.load_state_dict(loop.best_weights)
    return loop.student.cpu().eval()


def check_precision(config: Train, *, console: Console) -> None:
    """Say when this machine is slow in the precision asked for. Raises ConfigError when it cannot
    train in it."""
    if config.precision == "fp16" and PartialState().device.type == "cpu":
        raise ConfigError("train.precision fp16 needs a GPU, and there is none; bf16 does without")
    if is_slow_in(config.precision):
        console.print(f"warning: {SLOW_BF16} with train.precision fp32", markup=False)


def is_slow_in(precision: str) -> bool:
    """Whether this machine would train in it value by value: bf16, on a processor for which oneDNN
    does not multiply in it. PyTorch asks oneDNN alike, and has no public name for the question."""
    return (
        precision == "bf16"
        and PartialState().device.type == "cpu"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def set_up(task: Task, *, config: Train, accelerator: Accelerator, state: State | None) -> Loop:
    """A run ready for its next step: its first, or the one after ``state`` was saved."""
    course = Course() if state is None else Course(**state.values["course"])
    if state is not None:
        if state.values["fingerprint"] != task.fingerprint:
            raise CheckpointError(
                "this run was begun with other videos or labels, or another number of processes; "
                "give them back, or start a new run"
            )
        task.model.load_state_dict(state.tensors["model"])
    task.model.to(memory_format=torch.channels_last_3d)
    averaged = None
    if config.ema:
        averaged = AveragedModel(
            task.model.to(accelerator.device), avg_fn=moving_average(config.ema), use_buffers=True
        )
    wrapped = accelerator.prepare_model(task.model)
    groups = parameter_groups(
        task.model,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        factors=dict(config.learning_rate_factors.items()),
    )
    loop = Loop(
        task=task,
        config=config,
        accelerator=accelerator,
        keys=BatchKeys(
            len(task.clips),
            batch_size=max(1, config.batch_size // task.clips.clips_each),
            length=config.clips_seen // task.clips.clips_each
            if config.clips_seen
            else Epochs(config.epochs),
            seed=config.seed,
            first_step=course.step,
            process=accelerator.process_index,
            processes=accelerator.num_processes,
        ),
        wrapped=wrapped,
        optimizer=make_optimizer(groups, config),
        peaks=tuple(group["lr"] for group in groups),
        scaler=torch.amp.GradScaler(accelerator.device.type, enabled=config.precision == "fp16"),
        averaged=averaged,
        course=course,
    )
    if state is not None:
        _restore(loop, state)
    return loop


def _train(loop: Loop, *, wish: StopWish, workers: int, run: Path, logbook: Logbook | None) -> None:
    config, course, accelerator = loop.config, loop.course, loop.accelerator
    per_epoch = loop.keys.steps_per_epoch
    forward = torch.compile(loop.wrapped) if config.compile else loop.wrapped
    loader = clips_loader(loop.task.clips, loop.keys, workers=workers)
    saved_at = time.monotonic()
    loop.wrapped.train()
    with Progress(console=logbook.console if logbook else Console(quiet=True)) as progress:
        bar = progress.add_task("training", total=loop.keys.total_steps, completed=course.step)
        for batch in _timed(loader, course):
            updated = step(loop, forward, batch)
            progress.advance(bar)
            ended = course.step == loop.keys.total_steps
            if (ended or course.step % per_epoch == 0) and _epoch_done(loop, logbook):
                return
            if not updated or ended:
                continue
            stopping = _anyone(accelerator, wish.made)
            due = time.monotonic() - saved_at > config.save_minutes * 60
            if logbook and (due or stopping):
                save_state(run / STATE, _state(loop))
                saved_at = time.monotonic()
            if stopping:
                raise KeyboardInterrupt


def _timed(loader: Iterable[Batch], course: Course) -> Iterator[Batch]:
    """The batches, noting in ``course`` how long each was waited for and worked on."""
    batches = iter(loader)
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            return
        got = time.perf_counter()
        course.waited += got - asked
        # Before the step, which may end the epoch: the time is then in the epoch's figures.
        course.seconds += got - asked
        yield batch


def step(loop: Loop, forward: Forward, batch: Batch) -> bool:
    """One forward and backward pass; True if the weights were updated after it."""
    started = time.perf_counter()
    config, course, accelerator = loop.config, loop.course, loop.accelerator
    device = accelerator.device
    number = course.step + 1
    updating = number % config.accumulate == 0 or number == loop.keys.total_steps
    dtype = AUTOCAST[config.precision]
    with nullcontext() if updating else accelerator.no_sync(loop.wrapped):
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            outcome = loop.task.objective(forward, *(tensor.to(device) for tensor in batch))
        loop.scaler.scale(outcome.loss / config.accumulate).backward()  # type: ignore[no-untyped-call]
    if updating:
        _update(loop, loss=float(outcome.loss.detach()))
    course.step += 1
    course.loss_sum += float(outcome.loss.detach()) * outcome.samples
    course.right += outcome.right
    course.seen += outcome.samples
    course.seconds += time.perf_counter() - started
    return updating


def _update(loop: Loop, *, loss: float) -> None:
    config = loop.config
    for group, rate in zip(loop.optimizer.param_groups, _rates(loop), strict=True):
        group["lr"] = rate
    parameters = [one for one in loop.task.model.parameters() if one.grad is not None]
    loop.scaler.unscale_(loop.optimizer)
    norm = nn.utils.get_total_norm([one.grad for one in parameters if one.grad is not None])
    # With fp16 the scaler leaves such an update out, and scales less.
    if not loop.scaler.is_enabled() and not norm.isfinite():
        raise TrainingDiverged(
            f"the gradient of step {loop.course.step + 1} is {norm:g}, its loss {loss:.3g}; the "
            "weights were not changed by it. Begin a new run with a lower train.learning_rate, a "
            "train.clip_norm such as 1, or train.precision fp32: --resume would come to the same"
        )
    if config.clip_norm:
        nn.utils.clip_grads_with_norm_(parameters, config.clip_norm, norm)
    loop.scaler.step(loop.optimizer)
    loop.scaler.update()
    loop.optimizer.zero_grad()
    if loop.averaged is not None:
        loop.averaged.update_parameters(loop.task.model)


def _rates(loop: Loop) -> list[float]:
    """The learning rate of each parameter group at the update under way."""
    accumulate = loop.config.accumulate
    factor = warmup_then_cosine(
        math.ceil(loop.keys.total_steps / accumulate), warmup=loop.config.warmup
    )(loop.course.step // accumulate)
    return [peak * factor for peak in loop.peaks]


def _epoch_done(loop: Loop, logbook: Logbook | None) -> bool:
    """Note the epoch's figures and look at held-out videos when due. True if it was the last."""
    config, course, accelerator = loop.config, loop.course, loop.accelerator
    epoch, epochs = loop.epoch, loop.epochs
    figures = _epoch_figures(loop)
    course.loss_sum = course.right = course.seen = course.seconds = course.waited = 0.0
    look = epoch % math.ceil(epochs / config.evaluations) == 0 or epoch == epochs
    enough = False
    if logbook is not None:
        if look and loop.task.evaluate is not None:
            figures |= loop.task.evaluate(loop.student.eval())
            loop.wrapped.train()
            enough = _enough(loop, accuracy=figures["held_out_accuracy"])
        logbook.write(figures, epoch=epoch, epochs=epochs)
        if enough:
            logbook.console.print(
                f"stopped early: no better held-out accuracy in {config.patience} looks"
            )
    return _anyone(accelerator, enough)


def _epoch_figures(loop: Loop) -> dict[str, float]:
    course = loop.course
    sums = torch.tensor([course.loss_sum, course.right, course.seen], dtype=torch.float64)
    loss_sum, right, seen = loop.accelerator.reduce(sums.to(loop.accelerator.device)).tolist()
    return {
        "loss": loss_sum / seen,
        "training_accuracy": right / seen,
        "learning_rate": loop.optimizer.param_groups[0]["lr"],
        "clips_per_second": seen * loop.task.clips.clips_each / course.seconds,
        "waiting_share": course.waited / course.seconds,
    }


def _enough(loop: Loop, *, accuracy: float) -> bool:
    """Keep the weights if they are the best so far; True if there have been none for long."""
    course = loop.course
    if not loop.config.patience:
        return False
    if accuracy > course.best:
        course.best, course.looks_since_best = accuracy, 0
        loop.best_weights.update(
            {name: one.detach().cpu().clone() for name, one in loop.student.state_dict().items()}
        )
    else:
        course.looks_since_best += 1
    return course.looks_since_best >= loop.config.patience


def _anyone(accelerator: Accelerator, here: bool) -> bool:
    """Whether it is so on any process; all must ask."""
    if accelerator.num_processes == 1:
        return here
    flag = torch.tensor([float(here)], device=accelerator.device)
    return bool(accelerator.reduce(flag).item())


def _state(loop: Loop) -> State:
    tensors = {
        "model": loop.task.model.state_dict(),
        "optimizer": optimizer_tensors(loop.optimizer),
        "best": loop.best_weights,
    }
    if loop.averaged is not None:
        tensors["averaged"] = loop.averaged.state_dict()
    return State(
        tensors=tensors,
        values={
            "course": asdict(loop.course),
            "scaler": loop.scaler.state_dict(),
            "fingerprint": loop.task.fingerprint,
        },
    )


def _restore(loop: Loop, state: State) -> None:
    load_optimizer(loop.optimizer, state.tensors.get("optimizer", {}))
    loop.scaler.load_state_dict(state.values["scaler"])
    loop.best_weights.update(state.tensors.get("best", {}))
    if loop.averaged is not None:
        loop.averaged.load_state_dict(state.tensors["averaged"])
