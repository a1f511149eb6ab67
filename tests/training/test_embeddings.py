import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from motionfit.inference.bundle import WEIGHTS, Bundle
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.runner import Backend, open_runner
from motionfit.inference.video import read_clips
from motionfit.training.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from motionfit.training.embeddings import Embedded, embed
from motionfit.training.evaluation import answers
from motionfit.training.manifest import Row, read_manifest
from motionfit.training.model import R2Plus1D


def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture(scope="module")
def tiny(spec: ClipSpec) -> Checkpoint:
    torch.manual_seed(0)
    model = R2Plus1D(2, width=0.1).eval()
    return Checkpoint(model=model, spec=spec, labels=("blue", "red"), width=0.1, training={})


def test_the_embedding_of_a_real_video_is_the_mean_of_what_serving_gives_its_clips(
    embedded_bundle: Path, real_clip: Path
) -> None:
    checkpoint = load_checkpoint(embedded_bundle / WEIGHTS)
    row = Row(path=real_clip, name=real_clip.name, label="?", columns={})
    found = embed(checkpoint, [row], clips=3, console=quiet())
    clips = read_clips(real_clip, spec=checkpoint.spec, num_clips=3)
    runner = open_runner(Bundle.open(embedded_bundle), backend=Backend.ONNX, threads=1)
    served = runner.run(clips.frames).embedding
    runner.close()
    assert found.embeddings.shape == (1, served.shape[1])
    np.testing.assert_allclose(found.embeddings[0], served.mean(axis=0), rtol=1e-3, atol=1e-3)
    assert found.frame_rates == (clips.info.frame_rate,)


def test_videos_come_in_order_and_the_unreadable_ones_are_named(
    tiny: Checkpoint, dataset: Path, tmp_path: Path
) -> None:
    for number in range(3):
        shutil.copy(dataset / "videos" / f"red{number}.mp4", tmp_path / f"{number}.mp4")
    (tmp_path / "1.mp4").write_bytes(b"no video")
    rows = [
        Row(path=tmp_path / f"{n}.mp4", name=f"{n}.mp4", label="red", columns={}) for n in range(3)
    ]
    found = embed(tiny, rows, clips=None, console=quiet())
    assert [row.name for row in found.rows] == ["0.mp4", "2.mp4"]
    assert [(one.video, one.code) for one in found.unreadable] == [("1.mp4", "not-a-video")]
    alone = embed(tiny, rows[2:], clips=None, console=quiet())
    np.testing.assert_allclose(found.embeddings[1], alone.embeddings[0], rtol=1e-5, atol=1e-6)
    with pytest.raises(DatasetError, match="none of 1 videos could be read"):
        embed(tiny, rows[1:2], clips=None, console=quiet())


def test_a_network_that_failed_in_training_is_an_error(tiny: Checkpoint, dataset: Path) -> None:
    broken = R2Plus1D(2, width=0.1).eval()
    torch.nn.init.constant_(broken.stem[0].weight, torch.nan)
    with pytest.raises(CheckpointError, match="no finite numbers"):
        embed(replace(tiny, model=broken), read_manifest(dataset)[:1], clips=1, console=quiet())


def test_answers_do_not_depend_on_what_else_is_in_the_batch(tiny: Checkpoint) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (40, 2, 16, 16, 3), np.uint8)
    logits, embeddings = answers(tiny.model, clips, spec=tiny.spec)
    assert (logits.shape, embeddings.shape) == ((40, 2), (40, 51))
    alone, point = answers(tiny.model, clips[35:36], spec=tiny.spec)
    np.testing.assert_allclose(logits[35], alone[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(embeddings[35], point[0], rtol=1e-4, atol=1e-5)


def test_some_of_the_videos_can_be_chosen() -> None:
    rows = tuple(Row(path=Path(n), name=n, label=n, columns={}) for n in "abc")
    points = np.arange(6, dtype=np.float32).reshape(3, 2)
    all_of_them = Embedded(
        rows=rows, frame_rates=(25.0, None, 30.0), embeddings=points, unreadable=()
    )
    chosen = all_of_them.chosen(np.array([True, False, True]))
    assert [row.name for row in chosen.rows] == ["a", "c"]
    assert chosen.frame_rates == (25.0, 30.0)
    assert chosen.embeddings.tolist() == [[0, 1], [4, 5]]
