"""Which TensorRT plan an export makes here, or why none."""

from collections.abc import Sequence
from dataclasses import dataclass

from motionfit.export.plan_network import PlanOptions, chosen_targets
from motionfit.export.to_tensorrt import tensorrt_problem
from motionfit.inference.errors import BackendError
from motionfit.inference.plan_library import PlanKind, load_library


@dataclass(frozen=True, kw_only=True)
class PlanChoice:
    """The library to build a plan with; or why there is none, or neither when none is wanted."""

    kind: PlanKind | None = None
    skipped: str | None = None
    """One line: why no plan is made, and what to run where."""


def choose_plan(
    *, wanted: bool, required: bool, compute_capabilities: Sequence[str] = ()
) -> PlanChoice:
    """TensorRT where it can build here, else TensorRT-RTX, which alone builds for other GPUs.

    Raises BackendError when a plan is ``required`` and cannot be built here, or not for these
    compute capabilities.
    """
    if not (wanted or required):
        return PlanChoice()
    kinds = (PlanKind.RTX,) if compute_capabilities else (PlanKind.TENSORRT, PlanKind.RTX)
    problems = {kind: tensorrt_problem(kind) for kind in kinds}
    if kind := next((kind for kind in kinds if problems[kind] is None), None):
        if compute_capabilities:
            options = PlanOptions(compute_capabilities=tuple(compute_capabilities))
            chosen_targets(load_library(kind), options)
        return PlanChoice(kind=kind)
    if required:
        raise BackendError(f"no TensorRT plan can be built here: {problems[kinds[0]]}")
    return PlanChoice(skipped=f"No TensorRT plan was built: {problems[kinds[0]]}")
