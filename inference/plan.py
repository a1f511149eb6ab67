"""What is known of a TensorRT plan without loading it: the sidecar that is written beside it.

Loading a plan that was made for another GPU or by another version fails at best, and ends the
process where there is no GPU; so whether it can be loaded is decided from its sidecar.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from motionfit.inference.bundle import Bundle, sidecar
from motionfit.inference.cuda_driver import Gpu, gpus
from motionfit.inference.errors import BundleError, ProfileError
from motionfit.inference.plan_library import (
    PlanKind,
    cuda_bindings_installed,
    gpu_problem,
    installed_version,
    library_problem,
)

FORMAT = 1

LayerTypes = Mapping[str, Mapping[str, int]]
"""Kind of layer -> type of its result -> how many: ``{"convolution": {"HALF": 37}}``."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How many clips a plan takes at a time, and for how many it is made fastest."""

    min: int = 1
    opt: int = 8
    max: int = 32

    def __post_init__(self) -> None:
        if not 1 <= self.min <= self.opt <= self.max:
            raise ProfileError(
                f"batch sizes must be 1 <= MIN <= OPT <= MAX, got {self.min} {self.opt} "
                f"{self.max}; the usual ones are 1 8 32"
            )

    def parts(self, count: int) -> list[int]:
        """Sizes, as even as can be, of the fewest batches that hold ``count`` clips.

        They hold more where a batch would otherwise be smaller than the plan takes.
        """
        number = -(-count // self.max)
        size, larger = divmod(max(count, number * self.min), number)
        return [size + 1] * larger + [size] * (number - larger)


@dataclass(frozen=True, kw_only=True)
class PlanTensor:
    """What a plan takes or gives."""

    name: str
    dtype: str
    """As TensorRT names it: ``UINT8``, ``FLOAT``."""
    shape: tuple[int | None, ...]
    """None: the number of clips."""


@dataclass(frozen=True, kw_only=True)
class PlanRecord:
    """How a plan was made, and for whom."""

    kind: PlanKind
    version: str
    """Of the library that built it, such as ``10.13.3.9``: no other version can run it."""
    precision: str
    """Of its convolutions, as proven: ``float16``."""
    layers: LayerTypes
    """Counted in the network that was handed to TensorRT, strongly typed."""
    engine_layers: LayerTypes | None
    """Counted in the built engine, by TensorRT's inspector; None: there was no GPU to load it."""
    gpu: Gpu | None
    """The only kind of GPU that runs it; None for TensorRT-RTX."""
    compute_capabilities: tuple[str, ...]
    """Of the GPUs that run it, for TensorRT-RTX: ``8.9``; ``12.0+`` is 12.0 and newer."""
    profile: Profile
    inputs: tuple[PlanTensor, ...]
    outputs: tuple[PlanTensor, ...]
    onnx_sha256: str
    plan_sha256: str

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The record that ``to_json`` gave. Raises KeyError, TypeError or ValueError otherwise."""
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}, not {FORMAT}")
        fields = {name: value for name, value in values.items() if name != "format"}
        gpu = values["gpu"]
        return cls(
            **fields
            | {
                "kind": PlanKind(values["kind"]),
                "gpu": None if gpu is None else Gpu(**gpu),
                "compute_capabilities": tuple(values["compute_capabilities"]),
                "profile": Profile(**values["profile"]),
                "inputs": _tensors(values["inputs"]),
                "outputs": _tensors(values["outputs"]),
            }
        )

    @classmethod
    def read(cls, plan: Path) -> Self:
        """The record beside a plan. Raises BundleError when it is missing or damaged."""
        path = plan.with_name(sidecar(plan.name))
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise BundleError(
                f"{plan} has no {path.name} beside it that says what it was made for ({error}); "
                "export it again"
            ) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(
                f"{path} does not describe a plan ({error!r}); export it again"
            ) from error


def plans_of(bundle: Bundle) -> tuple[PlanRecord, ...]:
    """The plans that a bundle holds, full TensorRT first. Raises BundleError for a damaged one."""
    return tuple(
        PlanRecord.read(bundle.file(kind.file)) for kind in PlanKind if kind.file in bundle.files
    )


def why_not_here(record: PlanRecord) -> str | None:
    """Why a plan cannot run on this machine, and what to do; None when it can be loaded.

    The plan is not touched, so this is safe on any machine. It runs on the first GPU that CUDA
    sees.
    """
    problems = [_why_not_this_library(record), gpu_problem(record.kind)]
    if problems[-1] is None:
        problems.append(_why_not_this_gpu(record))
    return "; ".join(problem for problem in problems if problem) or None


def _why_not_this_library(record: PlanRecord) -> str | None:
    if problem := library_problem(record.kind):
        return problem
    if (found := installed_version(record.kind)) != record.version:
        return (
            f"{record.kind.product} {record.version} built it and {found} is installed: export it "
            f"again with the one that is installed, or run  pip install "
            f'"{record.kind}=={record.version}"'
        )
    if not cuda_bindings_installed():
        return f'cuda-bindings is not installed: run  pip install "motionfit[{record.kind.extra}]"'
    return None


def _why_not_this_gpu(record: PlanRecord) -> str | None:
    found = gpus()
    if not found:
        return "the NVIDIA driver does not describe its GPU"
    here = f"this machine has {found[0].name} ({found[0].compute_capability})"
    if record.gpu is None:
        wanted = record.compute_capabilities
        if any(_covers(given, found[0].compute_capability) for given in wanted):
            return None
        return (
            f"it was built for compute capability {', '.join(wanted)} and {here}: export it again "
            f"with  --compute-capability {found[0].compute_capability}"
        )
    there = (record.gpu.name, record.gpu.compute_capability)
    if there == (found[0].name, found[0].compute_capability):
        return None
    return f"it was built for {there[0]} ({there[1]}) and {here}: export it again on this machine"


def _covers(given: str, capability: str) -> bool:
    if given.endswith("+"):
        return _numbers(capability) >= _numbers(given[:-1])
    return given == capability


def _numbers(capability: str) -> tuple[int, ...]:
    return tuple(int(part) for part in capability.split("."))


def _tensors(values: Any) -> tuple[PlanTensor, ...]:
    return tuple(PlanTensor(**value | {"shape": tuple(value["shape"])}) for value in values)
