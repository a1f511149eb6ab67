"""What a doctor says of a data set: one finding each for what is wrong, with what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong, or worth knowing."""

    severity: Severity
    """error: results would be wrong, or a video is lost; warning: look at it; note: know it."""
    code: str
    """Stable, for machines."""
    summary: str
    advice: str
    """What to do."""
    items: tuple[str, ...]
    """Each video, class or group that it is about."""


def finding(
    severity: Severity, code: str, summary: str, *, advice: str, items: Iterable[str]
) -> tuple[Finding, ...]:
    """A finding about ``items``, whose number ends the summary; none without them."""
    named = tuple(items)
    if not named:
        return ()
    return (
        Finding(
            severity=severity,
            code=code,
            summary=f"{summary}: {len(named)}",
            advice=advice,
            items=named,
        ),
    )
