"""Numbers as the report writes them."""

from motionfit.training.json_record import Estimate

DASH = "-"
_THOUSAND = 1000


def milliseconds(value: float | None) -> str:
    """``4.3 ms``, ``120 ms``, ``2.3 s``"""
    if value is None:
        return DASH
    if value >= 2 * _THOUSAND:
        return f"{value / _THOUSAND:.3g} s"
    return f"{value:.2g} ms" if value < 10 else f"{value:.0f} ms"


def ms_of(estimate: Estimate | None) -> str:
    """A median alone."""
    return milliseconds(estimate.value if estimate else None)


def interval(estimate: Estimate | None, form: str, *, scale: float = 1, unit: str = "") -> str:
    """``3.2 (2.9 to 3.5)``"""
    if estimate is None:
        return DASH
    value, low, high = (one * scale for one in (estimate.value, estimate.low, estimate.high))
    return f"{value:{form}}{unit} ({low:{form}} to {high:{form}})"


def times(estimate: Estimate | None) -> str:
    """``3.23 x (2.82 to 3.56)``"""
    return interval(estimate, ".3g", unit=" x")


def percent(estimate: Estimate | None) -> str:
    """``45.6 % (35.9 to 55.3)``"""
    return interval(estimate, ".1f", scale=100, unit=" %")


def points(estimate: Estimate | None) -> str:
    """``+2.1 (-1.0 to +5.2)``, of a hundred"""
    return interval(estimate, "+.1f", scale=100)


def size(value: float | None) -> str:
    """Bytes: ``430 kB``, ``1.2 GB``"""
    if value is None:
        return DASH
    for unit in ("bytes", "kB", "MB"):
        if value < _THOUSAND:
            return f"{value:.3g} {unit}"
        value /= _THOUSAND
    return f"{value:.3g} GB"
