"""What every result says besides its figures, gathered around the measurement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from motionfit.benchmarks import machine, noise
from motionfit.benchmarks.machine import Machine
from motionfit.benchmarks.result import (
    Excluded,
    Fault,
    Figure,
    Model,
    Rate,
    Ratio,
    Result,
    Target,
    TimedCase,
    Video,
)
from motionfit.inference.bundle import Bundle
from motionfit.training.scores import Accuracy


@dataclass(frozen=True, kw_only=True)
class Session:
    """A measurement that has begun. Start one right before it, ``finish`` it right after."""

    command: str
    seed: int
    created_utc: datetime
    machine: Machine
    noise_before: tuple[float, ...]

    @classmethod
    def start(cls, *, command: str, seed: int) -> Self:
        """Record the machine and time the noise check's calculation."""
        return cls(
            command=command,
            seed=seed,
            created_utc=datetime.now(UTC).replace(microsecond=0),
            machine=machine.describe(),
            noise_before=noise.probe(),
        )

    def finish(
        self,
        *,
        kind: str,
        settings: dict[str, str | int | float | bool | None],
        bundle: Bundle | None,
        videos: Sequence[Video] = (),
        cases: Sequence[TimedCase] = (),
        ratios: Sequence[Ratio] = (),
        excluded: Sequence[Excluded] = (),
        accuracy: Accuracy | None = None,
        rates: Sequence[Rate] = (),
        figures: Sequence[Figure] = (),
        targets: Sequence[Target] = (),
        faults: Sequence[Fault] = (),
        model: Model | None = None,
    ) -> Result:
        """The result, with the noise check's second half.

        ``model`` is the one that was measured where no ``bundle`` of it is at hand.
        """
        return Result(
            kind=kind,
            command=self.command,
            created_utc=self.created_utc,
            seed=self.seed,
            settings=settings,
            machine=self.machine,
            noise=noise.judge(self.noise_before, noise.probe()),
            libraries=machine.libraries(),
            model=Model.of(bundle) if bundle else model,
            videos=tuple(videos),
            cases=tuple(cases),
            ratios=tuple(ratios),
            excluded=tuple(excluded),
            accuracy=accuracy,
            rates=tuple(rates),
            figures=tuple(figures),
            targets=tuple(targets),
            faults=tuple(faults),
        )
