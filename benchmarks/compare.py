"""Two results of one kind, side by side: what changed, by how much, and is it more than noise?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from motionfit.benchmarks import estimates
from motionfit.benchmarks.result import Result, ResultError
from motionfit.training.json_record import Estimate
from motionfit.training.scores import Accuracy, Outcome, cluster_numbers, weighted_mean

OUTCOME_FIGURES: dict[str, Callable[[Outcome], float]] = {
    "top1": lambda outcome: outcome.rank == 0,
    "top5": lambda outcome: outcome.rank < 5,
    "nll": lambda outcome: outcome.nll,
    "answered": lambda outcome: outcome.answered,
}


@dataclass(frozen=True, kw_only=True)
class TimeChange:
    """A case that both results have."""

    name: str
    first_ms: float | None
    """Median; None when there are too few samples."""
    second_ms: float | None
    ratio: Estimate | None
    """Second median over first; the runs were separate, so each is resampled on its own."""


@dataclass(frozen=True, kw_only=True)
class AccuracyChange:
    """A figure of accuracy that both results have."""

    name: str
    first: float
    second: float
    difference: Estimate | None
    """Second minus first over the same videos, resampled by cluster; None when they differ."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that changed from the first result to the second."""

    times: tuple[TimeChange, ...]
    accuracy: tuple[AccuracyChange, ...]
    warnings: tuple[str, ...]
    """Why the two may not be comparable."""


def compare(first: Result, second: Result) -> Comparison:
    """Compare two results. Raises ResultError when they are of different kinds."""
    if first.kind != second.kind:
        raise ResultError(
            f"results of different kinds cannot be compared: the first is {first.kind}, "
            f"the second {second.kind}"
        )
    before = {case.name: case for case in first.cases}
    after = {case.name: case for case in second.cases}
    times = tuple(
        TimeChange(
            name=name,
            first_ms=_median(before[name].samples_ms),
            second_ms=_median(after[name].samples_ms),
            ratio=estimates.ratio_of_medians(
                after[name].samples_ms, before[name].samples_ms, seed=first.seed
            ),
        )
        for name in before
        if name in after
    )
    accuracy: tuple[AccuracyChange, ...] = ()
    if first.accuracy is not None and second.accuracy is not None:
        accuracy = _accuracy_changes(first.accuracy, second.accuracy, seed=first.seed)
    return Comparison(times=times, accuracy=accuracy, warnings=tuple(_warnings(first, second)))


def _median(samples_ms: tuple[float, ...]) -> float | None:
    too_few = estimates.too_few(len(samples_ms), share=0.5)
    return None if too_few else float(np.median(samples_ms))


def _accuracy_changes(
    first: Accuracy, second: Accuracy, *, seed: int
) -> tuple[AccuracyChange, ...]:
    same = [(o.video, o.label) for o in first.outcomes] == [
        (o.video, o.label) for o in second.outcomes
    ]
    changes = []
    for name in ("top1", "top5", "nll", "ece", "answered", "accuracy_of_answered"):
        before, after = getattr(first, name), getattr(second, name)
        if before is None or after is None:
            continue
        figure = OUTCOME_FIGURES.get(name)
        changes.append(
            AccuracyChange(
                name=name,
                first=before.value if isinstance(before, Estimate) else before,
                second=after.value if isinstance(after, Estimate) else after,
                difference=_paired_difference(first, second, figure=figure, seed=seed)
                if same and figure
                else None,
            )
        )
    return tuple(changes)


def _paired_difference(
    first: Accuracy, second: Accuracy, *, figure: Callable[[Outcome], float], seed: int
) -> Estimate:
    pairs = zip(first.outcomes, second.outcomes, strict=True)
    differences = np.array(
        [float(figure(after)) - float(figure(before)) for before, after in pairs]
    )
    return weighted_mean(differences, clusters=cluster_numbers(first.outcomes), seed=seed)


def _warnings(first: Result, second: Result) -> list[str]:
    libraries = {
        name
        for name in first.libraries | second.libraries
        if first.libraries.get(name) != second.libraries.get(name)
    }
    settings = {
        name
        for name in first.settings | second.settings
        if first.settings.get(name) != second.settings.get(name)
    }
    names = {case.name for case in first.cases} ^ {case.name for case in second.cases}
    checks = {
        "measured on different machines": first.machine.hardware != second.machine.hardware,
        "measured with different models": first.model != second.model,
        "measured with different videos": _videos(first) != _videos(second),
        f"different settings: {', '.join(sorted(settings))}": bool(settings),
        f"different versions of {', '.join(sorted(libraries))}": bool(libraries),
        f"only in one of them: {', '.join(sorted(names))}": bool(names),
        "the first was measured on a noisy machine": first.noise.noisy,
        "the second was measured on a noisy machine": second.noise.noisy,
    }
    return [warning for warning, applies in checks.items() if applies]


def _videos(result: Result) -> set[str]:
    return {video.sha256 for video in result.videos}
