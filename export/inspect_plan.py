"""What a TensorRT plan is and whether it runs here, from its first bytes and its sidecar.

The plan is never loaded: TensorRT crashes on plans of other versions, and without a GPU.
"""

from dataclasses import dataclass
from pathlib import Path

from motionfit.inference.bundle import sha256_of, sidecar
from motionfit.inference.errors import BundleError
from motionfit.inference.plan import PlanRecord, why_not_here
from motionfit.inference.plan_library import PlanKind, installed_version

HEADER_BYTES = 28


@dataclass(frozen=True, kw_only=True)
class PlanHeader:
    """What the first bytes of a plan say."""

    kind: PlanKind
    version: str
    """Of the library that built it, such as ``10.13.3.9``."""
    bytes: int | None
    """How long the file must be; None: not known for this kind."""


@dataclass(frozen=True, kw_only=True)
class PlanFacts:
    """What is known of a plan."""

    header: PlanHeader
    record: PlanRecord | None
    """Its sidecar; None: there is none."""
    problem: str | None
    """Why it does not run here; None: it does."""


def plan_header(path: Path) -> PlanHeader | None:
    """The header of a plan; None when the file is none."""
    with path.open("rb") as file:
        start = file.read(HEADER_BYTES)
    # A tag that ends in "trt", 20 bytes, and the four numbers of the version: so says NVIDIA of
    # TensorRT (github.com/NVIDIA/TensorRT/issues/3073), and so TensorRT-RTX 1.7 writes, whose tag
    # is "vtrt" and which has the file's length in front of the version.
    if len(start) < HEADER_BYTES or start[1:4] != b"trt":
        return None
    rtx = start[:4] == b"vtrt"
    return PlanHeader(
        kind=PlanKind.RTX if rtx else PlanKind.TENSORRT,
        version=".".join(map(str, start[24:28])),
        bytes=int.from_bytes(start[16:24], "little") if rtx else None,
    )


def plan_facts(path: Path) -> PlanFacts | None:
    """What is known of a plan; None when the file is none.

    Raises BundleError when the plan is cut short, or its sidecar is damaged or of another plan.
    """
    header = plan_header(path)
    if header is None:
        return None
    size = path.stat().st_size
    if header.bytes is not None and size != header.bytes:
        raise BundleError(
            f"{path} is cut short or damaged: it has {size} bytes and should have {header.bytes}; "
            "copy or export it again"
        )
    record = _record(path)
    problem = _without_record(path, header) if record is None else why_not_here(record)
    return PlanFacts(header=header, record=record, problem=problem)


def _record(plan: Path) -> PlanRecord | None:
    if not plan.with_name(sidecar(plan.name)).is_file():
        return None
    record = PlanRecord.read(plan)
    if record.plan_sha256 != sha256_of(plan):
        raise BundleError(
            f"{plan} was changed or cut short: it is not the plan that {sidecar(plan.name)} tells "
            "of; copy both or export again"
        )
    return record


def _without_record(path: Path, header: PlanHeader) -> str:
    installed = installed_version(header.kind)
    if installed != header.version:
        there = f"{installed} is installed" if installed else "that is not installed"
        return f"it was built by {header.kind.product} {header.version}, and {there}"
    return f"{sidecar(path.name)} is missing, which says for which GPU it was built"
