import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError, NotAVideo
from motionfit.inference.video import read_clips
from motionfit.training.calibration import scores_of
from motionfit.training.evaluation import accuracy, clip_logits, logits_of, read_test_videos
from motionfit.training.manifest import Row, labels_of, read_manifest
from motionfit.training.model import R2Plus1D, normalised
from motionfit.training.watching import Looks, check_labels, see

SILENT = Console(file=io.StringIO())


@pytest.fixture(scope="module")
def model() -> R2Plus1D:
    torch.manual_seed(0)
    return R2Plus1D(2, width=0.1).eval()


@pytest.fixture(scope="module")
def rows(dataset: Path) -> tuple[Row, ...]:
    return read_manifest(dataset)[4:8]


def test_test_videos_are_the_clips_that_serving_takes(
    rows: tuple[Row, ...], spec: ClipSpec
) -> None:
    test = read_test_videos(rows, spec=spec, labels=labels_of(rows), console=SILENT)
    assert test.labels.tolist() == [0, 0, 1, 1]
    for row, frames in zip(rows, test.frames, strict=True):
        assert np.array_equal(frames, read_clips(row.path, spec=spec).frames)


def test_logits_do_not_depend_on_how_clips_are_batched(model: R2Plus1D, spec: ClipSpec) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (20, 2, 2, 16, 16, 3), dtype=np.uint8)
    found = logits_of(model, frames, spec=spec)
    with torch.inference_mode():
        one = model(normalised(torch.from_numpy(frames[19, :1]), spec=spec))[0]
    assert found.shape == (20, 2, 2)
    np.testing.assert_allclose(found[19, 0], one[0].numpy(), atol=1e-5)
    assert np.array_equal(clip_logits(model, frames[3], spec=spec), found[3]) or np.allclose(
        clip_logits(model, frames[3], spec=spec), found[3], atol=1e-5
    )


def test_accuracy_is_the_share_of_right_best_classes() -> None:
    scores = np.array([[0.6, 0.4], [0.2, 0.8], [0.9, 0.1], [0.3, 0.7]])
    assert accuracy(scores, np.array([0, 1, 1, 1])) == 0.75


def test_what_is_seen_with_one_crop_is_what_serving_would_answer(
    model: R2Plus1D, rows: tuple[Row, ...], spec: ClipSpec
) -> None:
    seen, unreadable = see(
        model,
        [(row, Fraction(25)) for row in rows],
        spec=spec,
        labels=("blue", "red"),
        looks=Looks(clip_counts=(1, 3), crops=1),
        console=SILENT,
    )
    assert unreadable == ()
    for row, one in zip(rows, seen, strict=True):
        assert one.row == row
        assert one.frame_rate == 12.0
        for line, count in enumerate((1, 3)):
            clips = read_clips(row.path, spec=spec, num_clips=count).frames
            logits = logits_of(model, clips[None], spec=spec)
            expected = scores_of(logits, temperature=spec.temperature)[0]
            np.testing.assert_allclose(one.scores[line], expected, atol=1e-5)
        right = logits.argmax(-1) == ("blue", "red").index(row.label)
        assert one.right_views == pytest.approx(right.mean())
        assert one.retimed_to == 25
        assert one.retimed_scores is not None
        assert one.retimed_scores.sum() == pytest.approx(1)


def test_three_crops_are_three_views_of_each_clip(
    model: R2Plus1D, rows: tuple[Row, ...], spec: ClipSpec
) -> None:
    looks = Looks(clip_counts=(2,), crops=3)
    (one,), _ = see(
        model, [(rows[0], None)], spec=spec, labels=("blue", "red"), looks=looks, console=SILENT
    )
    assert one.right_views * 6 == pytest.approx(round(one.right_views * 6))
    assert one.retimed_scores is None


def test_an_unreadable_video_is_named_and_not_fatal_unless_it_is_the_last(
    model: R2Plus1D, rows: tuple[Row, ...], spec: ClipSpec, tmp_path: Path
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    broken = Row(path=tmp_path / "broken.mp4", name="broken.mp4", label="red", columns={})
    looks = Looks(clip_counts=(1,), crops=1)

    def seeing(*watched: Row) -> tuple[object, ...]:
        return see(
            model,
            [(row, None) for row in watched],
            spec=spec,
            labels=("blue", "red"),
            looks=looks,
            console=SILENT,
        )

    seen, unreadable = seeing(rows[0], broken, rows[1])
    assert [one.row.name for one in seen] == [rows[0].name, rows[1].name]  # type: ignore[attr-defined]
    ((row, error),) = unreadable  # type: ignore[misc]
    assert (row, type(error)) == (broken, NotAVideo)
    with pytest.raises(DatasetError, match=r"none of 1 videos could be read; broken\.mp4: got a"):
        seeing(broken)


def test_labels_that_the_model_does_not_know_are_named(rows: tuple[Row, ...]) -> None:
    check_labels(rows, labels=("blue", "red", "green"))
    with pytest.raises(DatasetError, match="the model knows no red; its classes are blue, green"):
        check_labels(rows, labels=("blue", "green"))
