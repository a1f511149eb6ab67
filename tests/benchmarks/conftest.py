"""A tiny bundle that names colours, and made clips of one colour each."""

import os
import subprocess
import sysconfig
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from motionfit.benchmarks.machine import Machine
from motionfit.benchmarks.noise import Noise
from motionfit.benchmarks.result import Model, Result, TimedCase
from motionfit.inference.clip import ClipSpec
from motionfit.training.scores import Scored, judge
from tests.benchmarks.report_runs import TinyExperiment, tiny_experiment
from tests.toy_bundles import write_bundle as write_any_bundle

COMMAND = Path(sysconfig.get_path("scripts")) / "motionfit-bench"
SPEC = ClipSpec(
    num_frames=4, frame_rate=10.0, short_side=36, crop=32, num_clips=2, abstain_threshold=0.5
)
LABELS = ("blue", "cyan", "green", "magenta", "red", "yellow")
COLOURS = {
    "blue": (20, 20, 230),
    "cyan": (20, 230, 230),
    "green": (20, 230, 20),
    "magenta": (230, 20, 230),
    "red": (230, 20, 20),
    "yellow": (230, 230, 20),
    "grey": (120, 120, 120),
}

Bench = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def bench() -> Bench:
    """Runs the real command in a process of its own."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=600,
            env=os.environ | {"COLUMNS": "160"},
        )

    return run


def write_bundle(folder: Path, *, labels: tuple[str, ...] = LABELS) -> Path:
    """A bundle whose model says which of ``labels`` a clip's mean colour is nearest to."""
    return write_any_bundle(folder, _graph(labels), name="colours", spec=SPEC, labels=labels)


def _graph(labels: tuple[str, ...]) -> onnx.GraphProto:
    # Direction of each colour from grey: the logit is how far the clip's mean lies that way.
    ways = np.array([COLOURS[label] for label in labels], np.float32) - 120
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    shape = ["N", SPEC.num_frames, SPEC.crop, SPEC.crop, 3]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
        helper.make_tensor("grey", TensorProto.FLOAT, [3], [120.0, 120.0, 120.0]),
        helper.make_tensor("ways", TensorProto.FLOAT, [3, len(labels)], ways.T.ravel() * 0.1),
    ]
    return helper.make_graph(
        [
            helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
            helper.make_node("Sub", ["mean", "grey"], ["embedding"]),
            helper.make_node("MatMul", ["embedding", "ways"], ["logits"]),
        ],
        "colours",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, shape)],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(labels)]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 3]),
        ],
        constants,
    )


def write_clip(
    path: Path, *, colour: str, rate: Fraction = Fraction(25), seconds: float = 0.6
) -> Path:
    """An MP4 of one colour with a little noise, so that it has something to encode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(round(seconds * rate)):
            picture = np.array(COLOURS[colour]) + rng.integers(-15, 16, (48, 64, 1))
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("benchmarks") / "bundle")


@pytest.fixture(scope="session")
def red_and_blue(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two clips that ``bundle`` tells apart."""
    folder = tmp_path_factory.mktemp("clips")
    return [write_clip(folder / f"{colour}.mp4", colour=colour) for colour in ("red", "blue")]


@pytest.fixture(scope="session")
def make_bundle() -> Callable[..., Path]:
    return write_bundle


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., Path]:
    return write_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "a red clip.mp4", colour="red")


@pytest.fixture(scope="session")
def report_runs(tmp_path_factory: pytest.TempPathFactory) -> TinyExperiment:
    """An experiment of tiny networks whose MERS and MARS students were not trained."""
    beside = sorted((Path(__file__).parents[3] / "shared/data/ucf101_10").rglob("*.mp4"))
    return tiny_experiment(tmp_path_factory.mktemp("tiny"), real=next(iter(beside), None))


SHA = "ab" * 32
MACHINE = Machine(
    cpu="Made CPU",
    architecture="x86_64",
    cores=2,
    cpu_quota=None,
    memory_bytes=8_000_000_000,
    governor=None,
    load_average=0.1,
    os="Made Linux",
    kernel="6.1",
    python="3.11.9",
    gpus=(),
)
QUIET = Noise(variation_before=0.01, variation_after=0.01, drift=0.0, noisy=False)


MakeResult = Callable[..., Result]


@pytest.fixture(scope="session")
def timing_result() -> MakeResult:
    return _timing_result


@pytest.fixture(scope="session")
def accuracy_result() -> MakeResult:
    return _accuracy_result


def _timing_result(samples_ms: dict[str, list[float]], **changes: Any) -> Result:
    """A latency result with these samples."""
    values: dict[str, Any] = {
        "kind": "latency",
        "command": "motionfit-bench latency embedded a.mp4",
        "created_utc": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "seed": 0,
        "settings": {"rounds": 64, "threads": None},
        "machine": MACHINE,
        "noise": QUIET,
        "libraries": {"numpy": "2.4.6"},
        "model": Model(name="made", sha256=SHA),
        "videos": (),
        "cases": tuple(TimedCase.of(name, s, seed=0) for name, s in samples_ms.items()),
        "ratios": (),
        "excluded": (),
        "accuracy": None,
    }
    return Result(**(values | changes))


def _accuracy_result(right: list[bool], **changes: Any) -> Result:
    """An accuracy result over one video of class ``red`` for each entry."""
    answers = {True: np.array([0.1, 0.9]), False: np.array([0.9, 0.1])}
    accuracy = judge(
        [
            Scored(
                video=f"red/{number}.mp4",
                label="red",
                group=f"g{number // 4}",
                frame_rate=25.0,
                scores=answers[one],
                answered=True,
            )
            for number, one in enumerate(right)
        ],
        dataset="made",
        labels=("blue", "red"),
        unreadable=(),
        unknown=None,
        seed=0,
    )
    return _timing_result({}, **({"kind": "accuracy", "accuracy": accuracy} | changes))
