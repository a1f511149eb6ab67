"""What a network says in the experiment is what it says when it is served."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from motionfit.benchmarks.experiment.answers import read_answers
from motionfit.benchmarks.experiment.truth import truth
from motionfit.benchmarks.experiment.watch import watch
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.prediction import video_scores
from motionfit.training.checkpoint import CHECKPOINT, Checkpoint, load_checkpoint, save_checkpoint
from motionfit.training.evaluation import logits_of, read_test_videos
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.manifest import read_manifest
from motionfit.training.model import R2Plus1D
from motionfit.training.pseudo_labels import PseudoLabels, read_labels, write_labels

SPEC = ClipSpec(num_frames=4, frame_rate=10.0, short_side=36, crop=32, num_clips=2)
FLOW = FlowSpec(
    method="dis",
    compute_side=48,
    gap_seconds=0.1,
    short_side=36,
    num_frames=4,
    frame_rate=10.0,
    grid_clips=2,
)
LABELS = ("green", "red")


@pytest.fixture
def data(tmp_path: Path, make_clip: Callable[..., Path]) -> Path:
    """Two classes of two videos, one of each at another frame rate."""
    lines = ["path,label,group"]
    for label in LABELS:
        for number, rate in enumerate((Fraction(25), Fraction(30_000, 1_001))):
            name = f"{label}/{number}.mp4"
            make_clip(tmp_path / "data" / name, colour=label, rate=rate)
            lines.append(f"{name},{label},g0{number}")
    (tmp_path / "data" / "metadata.csv").write_text("\n".join(lines))
    return tmp_path / "data"


def save_network(run: Path, *, flow: FlowSpec | None) -> Path:
    run.mkdir()
    torch.manual_seed(0)
    model = R2Plus1D(len(LABELS), width=0.1, channels=3 if flow is None else 2).eval()
    save_checkpoint(
        run / CHECKPOINT,
        Checkpoint(model=model, spec=SPEC, labels=LABELS, width=0.1, training={}, flow=flow),
    )
    return run


def test_a_network_of_rgb_answers_as_served_and_again_re_timed(data: Path, tmp_path: Path) -> None:
    run, output = save_network(tmp_path / "run", flow=None), tmp_path / "answers.json"
    watch(run, labelled=data, where=["group=g00,g01"], output=output)
    found = read_answers(output)
    rows = read_manifest(data)
    assert found.videos == tuple(row.name for row in rows)
    assert found.frame_rates == (25, 29.97, 25, 29.97)
    test = read_test_videos(rows, spec=SPEC, labels=LABELS, console=Console(quiet=True))
    logits = logits_of(load_checkpoint(run).model, test.frames, spec=SPEC)
    served = [video_scores(one, temperature=SPEC.temperature) for one in logits]
    np.testing.assert_allclose(found.scores, served, atol=2e-5)
    assert np.shape(found.retimed) == (4, 2)


def test_a_network_of_flow_answers_by_the_clips_of_the_folder(data: Path, tmp_path: Path) -> None:
    run, output = save_network(tmp_path / "run", flow=FLOW), tmp_path / "answers.json"
    watch(run, labelled=data, where=["group=g01"], output=output, flow=tmp_path / "flow")
    found = read_answers(output)
    assert found.videos == ("green/1.mp4", "red/1.mp4")
    assert found.frame_rates == (29.97, 29.97)
    np.testing.assert_allclose(np.sum(found.scores, axis=1), 1, atol=1e-4)
    assert found.retimed is not None
    np.testing.assert_allclose(np.sum(found.retimed, axis=1), 1, atol=1e-4)


def test_a_video_that_cannot_be_read_is_an_error_and_no_answer(data: Path, tmp_path: Path) -> None:
    run, output = save_network(tmp_path / "run", flow=None), tmp_path / "answers.json"
    (data / "red" / "0.mp4").write_bytes(b"no video")
    with pytest.raises(DatasetError, match=r"red/0\.mp4"):
        watch(run, labelled=data, where=["group=g00,g01"], output=output)
    assert not output.exists()


def test_the_upper_bound_learns_from_the_same_pieces_with_their_true_labels(
    data: Path, tmp_path: Path
) -> None:
    names = ("green/1.mp4", "red/1.mp4", "red/1.mp4")
    shares = np.array([[0.2, 0.8], [0.9, 0.1], [0.6, 0.4]], np.float32)
    said = PseudoLabels(
        videos=names,
        starts_us=np.array([0, 0, 9]),
        ends_us=np.array([5, 5, 14]),
        targets=shares,
        confidence=shares.max(axis=1),
        entropy=np.full(3, 0.5, np.float32),
        labels=("green", "red"),
        spec=SPEC,
        record={"kind": "soft"},
    )
    write_labels(tmp_path / "labels.parquet", said)
    truth(tmp_path / "labels.parquet", labelled=data, output=tmp_path / "true" / "labels.parquet")
    known = read_labels(tmp_path / "true" / "labels.parquet")
    assert known.videos == names
    np.testing.assert_array_equal(known.starts_us, said.starts_us)
    np.testing.assert_array_equal(known.targets, [[1, 0], [0, 1], [0, 1]])
