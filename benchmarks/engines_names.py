"""What the cases of a result of engines are called: ``batch4/torch/eager``, ``peak/fp32``."""

PEAK = "peak"
BATCH = "batch"


def case_name(engine: str, *, batch: int) -> str:
    """The name of an engine at a batch size."""
    return f"{BATCH}{batch}/{engine}"


def peak_name(precision: str) -> str:
    """The name of the peak of a precision."""
    return f"{PEAK}/{precision}"


def engine_of(case: str) -> tuple[int, str] | None:
    """The batch size and the engine that a case is named after; None for a peak."""
    first, _, rest = case.partition("/")
    return None if first == PEAK else (int(first.removeprefix(BATCH)), rest)
