"""What all tests share: real videos, made ones, the embedded student and a toy one."""

import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from motionfit.inference.bundle import embedded_path
from motionfit.inference.clip import ClipSpec
from motionfit.inference.tensors import EMBEDDING, INPUT, LOGITS
from motionfit.inference.warmup import made_clip
from tests.toy_bundles import write_bundle as write_any_bundle

ROOT = Path(__file__).parents[1]
# Who starts the tests in the background may have them ignore Ctrl-C, and with them all that they
# start and send one to.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = ("test_readme.py", "test_run.py")
"""Files that take minutes."""
PATIENCE_SECONDS = 30.0
"""Longest wait for something that takes a moment."""
TOY_LABELS = ("red", "green", "blue")
TOY_SPEC = ClipSpec(num_frames=4, frame_rate=10.0, short_side=36, crop=32, num_clips=3)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes begins first, so that both processes of ``make test`` end together."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The real videos that lie beside the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real videos at {folder}")
    return folder


@pytest.fixture(scope="session")
def real_clip() -> Path:
    """A short video from a camera, with sound or without: 1 to 20 s, MP4."""
    beside = (ROOT.parent / "shared" / "data" / "ucf101_10").rglob("*.mp4")
    for path in (*sorted(beside), ROOT / "build" / "bikes.mp4"):
        if path.is_file():
            return path
    pytest.skip("no video from a camera here; run  make clip  to fetch one")


@pytest.fixture(scope="session")
def made_clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made MP4 of 2 s."""
    path = tmp_path_factory.mktemp("made") / "made.mp4"
    path.write_bytes(made_clip())
    return path


@pytest.fixture(scope="session")
def slow_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GIF of half a megabyte that takes minutes to decode: 20,000 dots on 32 megapixels."""
    screen = struct.pack("<HHBBB", 8000, 4000, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    delay = b"\x21\xf9\x04\x00" + struct.pack("<H", 10) + b"\x00\x00"
    dot = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    path = tmp_path_factory.mktemp("slow") / "slow.gif"
    path.write_bytes(b"GIF89a" + screen + (delay + dot) * 20_000 + b"\x3b")
    return path


@pytest.fixture(scope="session")
def embedded_bundle() -> Path:
    """The student that ships inside the package."""
    return embedded_path()


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that needs no training: it says which colour a clip has most of."""
    return write_toy_bundle(tmp_path_factory.mktemp("toy") / "bundle")


def write_toy_bundle(folder: Path, *, spec: ClipSpec = TOY_SPEC) -> Path:
    """Make ``folder`` a bundle whose logits, and embedding, are a clip's mean red, green and blue,
    divided by 10.
    """
    return write_any_bundle(folder, _mean_colour(spec), name="toy", spec=spec, labels=TOY_LABELS)


def _mean_colour(spec: ClipSpec) -> onnx.GraphProto:
    frames = ["N", spec.num_frames, spec.crop, spec.crop, 3]
    axes = helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3])
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [1], np.array([0.1], np.float32))
    return helper.make_graph(
        [
            helper.make_node("Cast", [INPUT], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "scale"], [LOGITS]),
            helper.make_node("Identity", [LOGITS], [EMBEDDING]),
        ],
        "toy",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, frames)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", len(TOY_LABELS)])
            for name in (LOGITS, EMBEDDING)
        ],
        [axes, scale],
    )


def child_processes(pid: int | str = "self") -> set[int]:
    """Process ids of a process's children, zombies included."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that just ended
            found |= set(map(int, task.read_text().split()))
    return found


def running(pid: int) -> bool:
    """Whether a process runs: zombies do not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def open_files() -> set[str]:
    """What this process's descriptors are open on, one entry for each."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        # The one that lists this folder is gone by now.
        if link.is_symlink():
            found.add(f"{link.name} {link.readlink()}")
    return found


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fails a test that leaves a process or an open file behind."""
    processes, files = child_processes(), open_files()
    yield
    assert not child_processes() - processes
    assert not open_files() - files


def wait_until(condition: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Fail when ``condition`` does not become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
