"""What is compared: systems that name the action in a video, and the rows of the comparison.

A row changes one thing. The first has the same backbone, width, engine and precision on both sides;
then streams, flow algorithm, engine, precision and width change, one at a time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Algorithm = Literal["dis", "farneback", "tvl1-tuned", "tvl1"]
EngineName = Literal[
    "openvino",
    "onnxruntime",
    "onnxruntime-plain",
    "onnxruntime-int8",
    "torch-eager",
    "torch-compiled",
]

STUDENT, MERS, MARS = "motionfit", "mers", "mars"
RGB_STREAM, FLOW_STREAM = "random-same-clips", "flow-network"
"""Arms of the experiment. Two streams are made of these, as its arm ``two-stream`` is."""
SHIPPED = "shipped"
"""In the place of an arm: the student inside the package."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Size of both networks and of their clips."""

    name: str
    width: float
    """Times the channels of R(2+1)D-18."""
    num_frames: int
    short_side: int
    crop: int
    """Pixels, side of the square that is seen."""
    frame_rate: float
    """Frames of a clip per second of video time."""


SMALL = Shape(name="small", width=0.25, num_frames=8, short_side=72, crop=64, frame_rate=10.0)
"""That of the student that ships, and of every network of the experiment."""
HALF = replace(SMALL, name="width-0.5", width=0.5)
WIDE = replace(SMALL, name="width-1", width=1.0)
FULL = Shape(name="full", width=1.0, num_frames=16, short_side=128, crop=112, frame_rate=15.0)
"""R(2+1)D-18 as torchvision has it."""


@dataclass(frozen=True, kw_only=True)
class System:
    """What answers for a video."""

    name: str
    """``two-stream-dis@openvino``: what it is, and its engine; others than the small shape after a
    colon."""
    rgb: str | None
    """The arm whose network looks at pictures."""
    flow: str | None
    """The arm whose network looks at optical flow."""
    algorithm: Algorithm
    """Of the flow; without meaning where there is none."""
    stored: bool
    """Whether flow was computed before, and is read from a file."""
    engine: EngineName
    shape: Shape


def system(
    kind: str,
    *,
    engine: EngineName = "openvino",
    shape: Shape = SMALL,
    rgb: str | None = None,
    flow: str | None = None,
    algorithm: Algorithm | Literal["stored"] | None = None,
) -> System:
    """A system, and its name."""
    what = kind if algorithm is None else f"{kind}-{algorithm}"
    suffix = "" if shape == SMALL else f":{shape.name}"
    return System(
        name=f"{what}@{engine}{suffix}",
        rgb=rgb,
        flow=flow,
        algorithm="dis" if algorithm is None or algorithm == "stored" else algorithm,
        stored=algorithm == "stored",
        engine=engine,
        shape=shape,
    )


def student(engine: EngineName = "openvino", *, shape: Shape = SMALL) -> System:
    """The student without flow."""
    return system("student", engine=engine, shape=shape, rgb=STUDENT)


def two_stream(
    algorithm: Algorithm | Literal["stored"] = "dis",
    *,
    engine: EngineName = "openvino",
    shape: Shape = SMALL,
) -> System:
    """A network of RGB and one of flow."""
    return system(
        "two-stream",
        engine=engine,
        shape=shape,
        rgb=RGB_STREAM,
        flow=FLOW_STREAM,
        algorithm=algorithm,
    )


REFERENCE = student()
LIKE_FOR_LIKE = two_stream()
USUAL = two_stream("tvl1", engine="torch-eager")
"""PyTorch as it comes, and TV-L1 with OpenCV's defaults."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Two systems beside each other."""

    group: str
    """What is changed."""
    without_flow: System
    other: System


INT8: EngineName = "onnxruntime-int8"
ENGINES: tuple[EngineName, ...] = (
    "onnxruntime",
    "onnxruntime-plain",
    "torch-eager",
    "torch-compiled",
)
SHAPES = (HALF, WIDE, FULL)
SHIPPED_STUDENT = system("shipped", rgb=SHIPPED)
MERS_STUDENT = system("mers", rgb=MERS)
MARS_STUDENT = system("mars", rgb=MARS)
FLOW_ALONE = system("flow", flow=FLOW_STREAM, algorithm="dis")
FLOW_ALONE_STORED = system("flow", flow=FLOW_STREAM, algorithm="stored")
STUDENT_AND_FLOW = system("student-and-flow", rgb=STUDENT, flow=FLOW_STREAM, algorithm="dis")


def _beside_student(group: str, others: Iterable[System]) -> tuple[Row, ...]:
    return tuple(Row(group=group, without_flow=REFERENCE, other=one) for one in others)


ROWS: tuple[Row, ...] = (
    *_beside_student("like for like", [LIKE_FOR_LIKE]),
    *_beside_student(
        "networks",
        [SHIPPED_STUDENT, STUDENT_AND_FLOW, FLOW_ALONE, MERS_STUDENT, MARS_STUDENT],
    ),
    *_beside_student(
        "flow",
        [
            two_stream("stored"),
            FLOW_ALONE_STORED,
            two_stream("farneback"),
            two_stream("tvl1-tuned"),
            two_stream("tvl1"),
        ],
    ),
    *(
        Row(group="engine", without_flow=student(name), other=two_stream(engine=name))
        for name in ENGINES
    ),
    Row(
        group="precision",
        without_flow=student(INT8),
        other=two_stream(engine=INT8),
    ),
    *(
        Row(group="size", without_flow=student(shape=one), other=two_stream(shape=one))
        for one in SHAPES
    ),
    *_beside_student("usual set-up", [USUAL]),
    Row(group="usual set-up", without_flow=student("torch-eager"), other=USUAL),
)


def all_systems() -> tuple[System, ...]:
    """Every system of the rows, once."""
    found = {one.name: one for row in ROWS for one in (row.without_flow, row.other)}
    return tuple(found.values())
