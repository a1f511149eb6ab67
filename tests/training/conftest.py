from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from motionfit.inference.clip import ClipSpec

COLOURS = {"blue": (30, 60, 220), "red": (220, 60, 30)}

WriteVideo = Callable[..., Path]


@pytest.fixture(scope="session")
def write_video() -> WriteVideo:
    """``write_video(path, colour=, seed=)``: a second of a noisy, drifting colour as MP4."""

    def write(path: Path, *, colour: tuple[int, int, int], seed: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        numbers = np.random.default_rng(seed)
        with av.open(path, mode="w") as container:
            stream = container.add_stream("mpeg4", rate=12)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            texture = numbers.integers(-30, 30, (48, 64, 1))
            for index in range(12):
                picture = np.clip(np.roll(texture, 2 * index, axis=1) + np.array(colour), 0, 255)
                frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """A CSV of six red and six blue videos in three groups."""
    root = tmp_path_factory.mktemp("dataset")
    lines = ["path,label,group"]
    for label, colour in COLOURS.items():
        for number in range(6):
            name = f"videos/{label}{number}.mp4"
            write_video(root / name, colour=colour, seed=number)
            lines.append(f"{name},{label},g{number // 2}")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="session")
def spec() -> ClipSpec:
    return ClipSpec(num_frames=2, frame_rate=6.0, short_side=24, crop=16, num_clips=2)
