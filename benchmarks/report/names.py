"""What the report calls things, for people who see it for the first time."""

from motionfit.benchmarks.report.result import AccuracyFigures, ReportResult
from motionfit.benchmarks.report.systems import INT8, SHIPPED, SMALL, System, all_systems

KINDS = {
    "student": "student, no flow",
    "shipped": "student that ships, no flow",
    "two-stream-dis": "two streams, DIS flow",
    "two-stream-farneback": "two streams, Farneback flow",
    "two-stream-tvl1-tuned": "two streams, TV-L1 flow, tuned for speed",
    "two-stream-tvl1": "two streams, TV-L1 flow, default",
    "two-stream-stored": "two streams, flow stored before",
    "student-and-flow-dis": "student and flow network, DIS flow",
    "flow-dis": "flow network alone, DIS flow",
    "flow-stored": "flow network alone, flow stored before",
    "mers": "MERS student, no flow",
    "mars": "MARS student, no flow",
}
ENGINES = {
    "openvino": "OpenVINO",
    "onnxruntime": "ONNX Runtime",
    "onnxruntime-plain": "ONNX Runtime, plain export",
    "onnxruntime-int8": "ONNX Runtime, int8",
    "torch-eager": "PyTorch eager",
    "torch-compiled": "torch.compile",
}
SHAPES = {
    "width-0.5": "width 0.5",
    "width-1": "width 1",
    "full": "width 1, 16 frames of 112 x 112",
}
GROUPS = {
    "like for like": "Like for like",
    "networks": "Other networks",
    "flow": "Other flow",
    "engine": "Other engine",
    "precision": "Other precision",
    "size": "Other size",
    "usual set-up": "Default TV-L1 in PyTorch",
}


def kind_of(name: str) -> str:
    """What a system is: ``two streams, DIS flow``."""
    return KINDS[name.partition("@")[0]]


def engine_of(name: str) -> str:
    """What a system runs in, and its size where that is another: ``OpenVINO, width 1``."""
    engine, _, shape = name.partition("@")[2].partition(":")
    return ENGINES[engine] + (f", {SHAPES[shape]}" if shape else "")


def full_name(name: str) -> str:
    """Both."""
    return f"{kind_of(name)} ({engine_of(name)})"


def accuracy_of(report: ReportResult, name: str) -> AccuracyFigures | str:
    """The accuracy of a system, or why there is none.

    Engines of one precision were proven to give the same logits, so they have the same accuracy.
    """
    system = next(one for one in all_systems() if one.name == name)
    if system.shape != SMALL:
        return "no network of this size was trained"
    same = [report.accuracy(one.name) for one in all_systems() if _same(one, system)]
    found = [one for one in same if one is not None]
    if found:
        return found[0]
    if not report.networks:
        return "no experiment with trained networks was given"
    if system.rgb == SHIPPED:
        return "it was trained on these videos; its card says what its recipe gives"
    reasons = [one.reason.partition(":")[0] for one in report.excluded if one.name == name]
    return reasons[0] if reasons else "not measured"


def _same(one: System, other: System) -> bool:
    return (one.rgb, one.flow, one.algorithm, one.stored, one.shape, one.engine == INT8) == (
        other.rgb,
        other.flow,
        other.algorithm,
        other.stored,
        other.shape,
        other.engine == INT8,
    )
