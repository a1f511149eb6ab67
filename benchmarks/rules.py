"""Rules that a second result must keep against a first: ``infer.median>+5%``."""

import math
import re
from dataclasses import dataclass

from motionfit.benchmarks.result import PERCENTILES, Result
from motionfit.inference.errors import MotionfitError
from motionfit.training.json_record import Estimate, Record

TIMES = ("median", *PERCENTILES, "mean", "min", "max")
SHARES = ("top1", "top5", "nll", "ece", "answered", "accuracy_of_answered")
RULE = re.compile(
    r"(?P<target>[^<>]+)\.(?P<statistic>\w+)(?P<sign>[<>])(?P<limit>[+-]\d+(\.\d+)?)(?P<unit>%?)"
)
FORM = "write NAME.STATISTIC>CHANGE or <CHANGE, such as  infer.median>+5%  or  accuracy.top1<-0.02"


class RuleError(MotionfitError):
    """A rule is malformed, or speaks of something that the first result does not have."""

    code = "bad-rule"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A change that must not happen."""

    text: str
    target: str
    """``accuracy``, or one or more neighbouring parts of case names: ``infer/onnx``."""
    statistic: str
    over: bool
    """True when a change over the limit breaks the rule, False when one under it does."""
    limit: float
    """Share of the first value (0.05 for ``+5%``), or in the statistic's own unit."""
    relative: bool


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How one rule came out for one case."""

    rule: Rule
    name: str
    broken: bool
    reason: str


def parse(text: str) -> Rule:
    """A rule from ``NAME.STATISTIC>CHANGE``; the change has a sign, and % when it is relative.

    Raises RuleError, saying how a rule is written.
    """
    match = RULE.fullmatch(text.strip())
    if match is None:
        raise RuleError(f"{text!r} is not a rule: {FORM}")
    known = SHARES if match["target"] == "accuracy" else TIMES
    if match["statistic"] not in known:
        raise RuleError(
            f"{text!r}: {match['target']} has no {match['statistic']}; "
            f"its statistics are {', '.join(known)}"
        )
    relative = match["unit"] == "%"
    return Rule(
        text=text.strip(),
        target=match["target"],
        statistic=match["statistic"],
        over=match["sign"] == ">",
        limit=float(match["limit"]) / (100 if relative else 1),
        relative=relative,
    )


def judge(rule: Rule, first: Result, second: Result) -> tuple[Verdict, ...]:
    """How ``second`` fares against ``first``: one verdict for each case the rule speaks of.

    What cannot be judged (missing in the second, or too few samples) counts as broken. Raises
    RuleError when the first result has no such case.
    """
    before, after = _values(first, rule.statistic), _values(second, rule.statistic)
    names = [name for name in before if _speaks_of(rule.target, name)]
    if not names:
        raise RuleError(
            f"{rule.text}: the first result has no {rule.target}; "
            f"it has {', '.join(before) or 'nothing of the kind'}"
        )
    return tuple(_verdict(rule, name, before[name], after) for name in names)


def _verdict(
    rule: Rule, name: str, before: float | None, after: dict[str, float | None]
) -> Verdict:
    value = after.get(name)
    if name not in after:
        return Verdict(rule=rule, name=name, broken=True, reason="missing in the second result")
    if before is None or value is None:
        reason = f"no {rule.statistic} in one of the results: too few samples, or nothing to count"
        return Verdict(rule=rule, name=name, broken=True, reason=reason)
    change = _change(before, value, relative=rule.relative)
    shown = f"{change:+.1%}" if rule.relative else f"{change:+.4g}"
    broken = change > rule.limit if rule.over else change < rule.limit
    return Verdict(
        rule=rule, name=name, broken=broken, reason=f"{before:.4g} -> {value:.4g} ({shown})"
    )


def _change(before: float, after: float, *, relative: bool) -> float:
    if not relative:
        return after - before
    if before == 0:
        return 0.0 if after == 0 else math.copysign(math.inf, after)
    return after / before - 1


def _speaks_of(target: str, name: str) -> bool:
    return f"/{target}/" in f"/{name}/"


def _values(result: Result, statistic: str) -> dict[str, float | None]:
    records: dict[str, Record] = {case.name: case.summary for case in result.cases}
    if statistic in SHARES:
        records = {"accuracy": result.accuracy} if result.accuracy else {}
    return {name: _number(getattr(record, statistic)) for name, record in records.items()}


def _number(value: Estimate | float | None) -> float | None:
    return value.value if isinstance(value, Estimate) else value
