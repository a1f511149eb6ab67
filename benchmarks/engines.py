"""One network in several engines: which is fastest, and how near each is to the machine's limit.

Every engine takes uint8 clips and gives logits. It is timed at a batch size only if there its
logits are those of the first engine. Then all take turns, beside a large matrix product, whose rate
is taken for the machine's peak.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from motionfit.benchmarks.engines_names import case_name, peak_name
from motionfit.benchmarks.engines_network import Subject
from motionfit.benchmarks.result import Excluded, Rate, Ratio, Result, TimedCase
from motionfit.benchmarks.rivals import Arrays, prove_equal
from motionfit.benchmarks.session import Session
from motionfit.benchmarks.timing import Case, measure
from motionfit.export.parity import ROUNDING, RUNTIME
from motionfit.inference.errors import MotionfitError

SETTLE_SECONDS = 0.1
"""Before each case: threads of ONNX Runtime go on spinning for about 25 ms after an answer, and
would take a core from whatever runs next."""

Precision = Literal["fp32", "fp16"]
Call = Callable[[], Tensor]
"""One call recognises the clips that it was bound to and gives their logits (N, classes)."""
Bind = Callable[[Tensor], Call]
"""What makes a call of clips (N, T, S, S, 3) uint8 in the machine's main memory."""

TOLERANCE: Mapping[Precision, float] = {"fp32": RUNTIME.difference, "fp16": ROUNDING.difference}
"""Largest difference from the first engine's logits, as a share of its largest logit."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A way to run the network."""

    name: str
    """Runtime, then what is special: ``onnxruntime/lowered``."""
    precision: Precision
    """Of weights and arithmetic."""
    open: Callable[[], Bind]
    """Load the network. Raises a MotionfitError, as its calls do, where it cannot run."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """A product of matrices that keeps the machine as busy as anything can."""

    precision: Precision
    run: Callable[[], object]
    flop: int
    """Multiplications and additions of one run."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure, and how long."""

    batches: tuple[int, ...]
    """Clips of a call, the numbers that are measured."""
    rounds: int
    warmup_rounds: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An engine at a batch size, proven equal."""

    case: Case
    batch: int
    precision: Precision


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What is measured on one kind of device."""

    kind: str
    """Of the result."""
    subject: Subject
    engines: tuple[Engine, ...]
    """The others are held against the first."""
    peaks: tuple[Peak, ...]
    """One for each precision of the engines."""
    rivals: tuple[str, ...]
    """Names of engines that every engine is set in ratio to."""
    settings: Mapping[str, str | int | float]


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Engines that give the same logits, ready to take turns."""

    suite: Suite
    entries: tuple[Entry, ...]
    excluded: tuple[Excluded, ...]


def contest(suite: Suite, *, batches: Sequence[int]) -> Contest:
    """Load the engines and hold each, at each batch size, against the first.

    One that cannot be loaded or run, or that gives other logits, is left out, with the reason.
    Errors of the first are raised.
    """
    opened, excluded = _open(suite.engines)
    entries: list[Entry] = []
    for batch in batches:
        kept, unequal = _proven(opened, suite.subject.frames[:batch])
        entries += kept
        excluded += unequal
    return Contest(suite=suite, entries=tuple(entries), excluded=tuple(excluded))


def engines_result(
    ready: Contest,
    plan: Plan,
    *,
    session: Session,
    after_round: Callable[[], None] = lambda: None,
) -> Result:
    """Let the engines take turns.

    Cases are milliseconds of one clip: of each engine at each batch size, and, as
    ``peak/PRECISION``, what the network's convolutions would take at the rate of the matrix
    product. Ratios are, at each batch size, the time of each rival over that of each engine, and
    ``peak`` over the engine, which is the engine's share of the peak.
    """
    suite = ready.suite
    flop = suite.subject.flop_per_clip
    peaks = {peak_name(peak.precision): peak for peak in suite.peaks}
    samples = measure(
        [
            *(one.case for one in ready.entries),
            *(Case(name=name, run=peak.run) for name, peak in peaks.items()),
        ],
        rounds=plan.rounds,
        warmup_rounds=plan.warmup_rounds,
        seed=plan.seed,
        before_case=partial(time.sleep, SETTLE_SECONDS),
        after_round=after_round,
    )
    clips = {one.case.name: float(one.batch) for one in ready.entries}
    clips |= {name: peak.flop / flop for name, peak in peaks.items()}
    cases = {
        name: TimedCase.of(name, [ms / clips[name] for ms in samples_ms], seed=plan.seed)
        for name, samples_ms in samples.items()
    }
    return session.finish(
        kind=suite.kind,
        settings={
            **suite.subject.settings(),
            **suite.settings,
            "batches": ",".join(map(str, plan.batches)),
            "rounds": plan.rounds,
            "warmup_rounds": plan.warmup_rounds,
            "settle_seconds": SETTLE_SECONDS,
            **{f"tolerance_{name}": value for name, value in TOLERANCE.items()},
        },
        bundle=None,
        cases=tuple(cases.values()),
        ratios=_ratios(ready.entries, cases, rivals=suite.rivals, seed=plan.seed),
        excluded=ready.excluded,
        rates=[
            *(Rate.of(cases[one.case.name], count=1, unit="clips") for one in ready.entries),
            *(Rate.of(cases[name], count=flop, unit="flop") for name in peaks),
        ],
    )


def matrix_product(size: int, *, precision: Precision, device: torch.device) -> Peak:
    """The product of two square matrices in PyTorch, ``size`` a side."""
    dtype = {"fp32": torch.float32, "fp16": torch.float16}[precision]
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    product = torch.empty_like(left)

    def run() -> None:
        torch.mm(left, right, out=product)
        finish(device)

    return Peak(precision=precision, run=run, flop=2 * size**3)


def finish(device: torch.device) -> None:
    """Wait until ``device`` has done all it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass(kw_only=True)
class _Bound:
    """An engine's call of some clips, made when it is first called."""

    bind: Bind
    frames: Tensor
    made: list[Call] = field(default_factory=list)

    def __call__(self) -> Tensor:
        if not self.made:
            self.made.append(self.bind(self.frames))
        return self.made[0]()


def _open(engines: Sequence[Engine]) -> tuple[list[tuple[Engine, Bind]], list[Excluded]]:
    opened, excluded = [(engines[0], engines[0].open())], list[Excluded]()
    for engine in engines[1:]:
        try:
            opened.append((engine, engine.open()))
        except MotionfitError as error:
            excluded.append(Excluded(name=engine.name, reason=str(error)))
    return opened, excluded


def _proven(
    opened: Sequence[tuple[Engine, Bind]], frames: Tensor
) -> tuple[list[Entry], list[Excluded]]:
    entries = [
        Entry(
            case=Case(
                name=case_name(engine.name, batch=len(frames)),
                run=_Bound(bind=bind, frames=frames),
            ),
            batch=len(frames),
            precision=engine.precision,
        )
        for engine, bind in opened
    ]
    first, *others = entries
    expected = first.case.run()
    kept, excluded = [first], list[Excluded]()
    for one in others:
        _, unequal = prove_equal(
            [Case(name=first.case.name, run=lambda: expected), one.case],
            arrays=_logits,
            tolerance=TOLERANCE[one.precision],
        )
        excluded += unequal
        if not unequal:
            kept.append(one)
    return kept, excluded


def _logits(found: Tensor) -> Arrays:
    return (found.float().cpu().numpy(),)


def _ratios(
    entries: Sequence[Entry], cases: Mapping[str, TimedCase], *, rivals: Sequence[str], seed: int
) -> list[Ratio]:
    pairs = []
    for one in entries:
        beside = [case_name(rival, batch=one.batch) for rival in rivals]
        pairs += [(rival, one.case.name) for rival in beside if rival in cases]
        pairs.append((peak_name(one.precision), one.case.name))
    return [
        Ratio.of(cases[numerator], cases[denominator], seed=seed)
        for numerator, denominator in pairs
        if numerator != denominator
    ]
