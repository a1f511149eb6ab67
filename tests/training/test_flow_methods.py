from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import cv2
import numpy as np
import pytest
import torch
from torchvision.models.optical_flow import raft_small

from motionfit.inference.errors import MissingExtra
from motionfit.training import flow_raft
from motionfit.training.checkpoint import CheckpointError
from motionfit.training.flow_methods import Flow, flow_function
from motionfit.training.flow_spec import FlowMethod
from tests.training.flow_videos import moving

# TV-L1 and RAFT take seconds on pictures of the usual size.
SMALL: dict[FlowMethod, int] = {"dis": 128, "farneback": 128, "tvl1": 48}


@pytest.fixture(autouse=True)
def _made_anew() -> Iterator[None]:
    flow_function.cache_clear()
    yield
    flow_function.cache_clear()


def inside(flow: Flow) -> Flow:
    """Away from the edges, where pictures come into view."""
    return flow[12:-12, 12:-12]


@pytest.mark.parametrize("method", SMALL)
@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, -2), (-1.5, 2.5)])
def test_flow_of_a_shifted_picture_is_the_shift(
    method: FlowMethod, right: float, down: float
) -> None:
    side = SMALL[method]
    a, b = moving(2, right=right, down=down, height=side, width=side + 32)
    flow = flow_function(method)(a, b)
    assert flow.shape == (side, side + 32, 2)
    assert flow.dtype == np.float32
    np.testing.assert_allclose(np.median(inside(flow), axis=(0, 1)), [right, down], atol=0.25)


@pytest.mark.parametrize("method", SMALL)
def test_equal_pictures_do_not_move(method: FlowMethod) -> None:
    a = moving(1, right=0, down=0, height=SMALL[method], width=SMALL[method])[0]
    assert np.abs(flow_function(method)(a, a)).max() < 0.2


@pytest.mark.parametrize("method", SMALL)
def test_flow_does_not_depend_on_the_pairs_before(method: FlowMethod) -> None:
    # On pictures as small as these OpenCV's DIS object does.
    compute = flow_function(method)
    pictures = moving(4, right=1, down=1, height=32, width=40)
    first = compute(pictures[0], pictures[1])
    for later in range(3):
        compute(
            moving(2, right=5, down=0, height=48)[1], moving(2, right=5, down=later, height=48)[0]
        )
        compute(pictures[later], pictures[later + 1])
    np.testing.assert_array_equal(compute(pictures[0], pictures[1]), first)


def test_one_thread_is_used() -> None:
    flow_function("dis")
    assert cv2.getNumThreads() == 1


def test_opencv_without_its_contrib_modules_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "optflow")
    with pytest.raises(MissingExtra, match=r"pip install opencv-contrib-python-headless"):
        flow_function("tvl1")


def made_weights() -> dict[str, Any]:
    torch.manual_seed(0)
    return dict(raft_small(weights=None).state_dict())


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch.hub's cache on a machine without network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def download(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_raft_takes_its_weights_from_the_cache_of_torch_hub(hub: Path) -> None:
    torch.save(made_weights(), hub / Path(flow_raft.WEIGHTS.url).name)
    a, b = moving(2, right=2, down=0, height=128, width=130)
    flow = flow_function("raft")(a, b)
    assert flow.shape == (128, 130, 2)
    assert flow.dtype == np.float32
    assert np.isfinite(flow).all()
    np.testing.assert_array_equal(flow, flow_raft.load_raft()(a, b))


def test_raft_without_weights_is_an_error_that_says_where_to_put_them(hub: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no network.*fetch https.*raft_small.*put it into"):
        flow_function("raft")


def test_a_damaged_file_of_weights_is_an_error(hub: Path) -> None:
    (hub / Path(flow_raft.WEIGHTS.url).name).write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="RAFT's weights cannot be had"):
        flow_function("raft")
