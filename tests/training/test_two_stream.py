import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from rich.console import Console
from typer.testing import CliRunner

from motionfit.inference.bundle import WEIGHTS
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from motionfit.training.evaluation import answers
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.flow_store import open_flow
from motionfit.training.manifest import Row, matching, parse_filter, read_manifest
from motionfit.training.model import R2Plus1D
from motionfit.training.two_stream import both_streams, flow_scores
from motionfit.training.two_stream_command import two_stream_command
from motionfit.training.two_stream_report import TwoStreamReport, differences
from motionfit.training.used_videos import write_used

FLOW = FlowSpec(
    compute_side=32, short_side=24, num_frames=2, frame_rate=6.0, gap_seconds=0.1, grid_clips=3
)
LABELS = ("blue", "red")


def quiet() -> Console:
    return Console(file=io.StringIO())


def network(spec: ClipSpec, *, flow: FlowSpec | None, seed: int) -> Checkpoint:
    """A network with weights large enough to be sure of its random answers."""
    torch.manual_seed(seed)
    model = R2Plus1D(2, width=0.1, channels=3 if flow is None else 2).eval()
    torch.nn.init.normal_(model.fc.weight, std=2.0)
    return Checkpoint(model=model, spec=spec, labels=LABELS, width=0.1, training={}, flow=flow)


@pytest.fixture(scope="module")
def rgb(spec: ClipSpec) -> Checkpoint:
    return network(spec, flow=None, seed=0)


@pytest.fixture(scope="module")
def flow(spec: ClipSpec) -> Checkpoint:
    return network(replace(spec, temperature=1.6), flow=FLOW, seed=1)


@pytest.fixture(scope="module")
def rows(dataset: Path) -> tuple[Row, ...]:
    return matching(read_manifest(dataset), [parse_filter("group=g0,g1")])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, rows: tuple[Row, ...]) -> Path:
    """Flow of the rows."""
    made = tmp_path_factory.mktemp("flow")
    open_flow(rows, folder=made, spec=FLOW, console=quiet())
    return made


def test_the_flow_score_is_the_mean_over_the_grid_of_the_softmax_of_central_crops(
    flow: Checkpoint, rows: tuple[Row, ...], folder: Path
) -> None:
    seen, scores = flow_scores(flow, rows, folder=folder, console=quiet())
    assert seen == rows
    assert (scores.shape, scores.dtype) == ((8, 2), np.float64)
    stored = open_flow(rows, folder=folder, spec=FLOW, console=quiet()).videos
    videos = {row.name: video for row, video in stored}
    for row, line in zip(rows, scores, strict=True):
        video = videos[row.name]
        _, _, height, width, _ = video.shape
        top, left = (height - 16) // 2, (width - 16) // 2
        softmaxes = []
        for index in range(FLOW.grid_clips):
            clip = video.clip(index)[None, :, top : top + 16, left : left + 16]
            logits = torch.from_numpy(answers(flow.model, clip, spec=flow.spec)[0])
            softmaxes.append(torch.softmax(logits / 1.6, dim=1)[0].numpy())
        np.testing.assert_allclose(line, np.mean(softmaxes, axis=0), rtol=1e-4, atol=1e-5)


def test_fusion_is_the_mean_of_both_class_scores_of_the_same_video(
    rgb: Checkpoint, flow: Checkpoint, rows: tuple[Row, ...], folder: Path
) -> None:
    both = both_streams(rgb, flow, rows=rows, folder=folder, console=quiet())
    assert both.rows == rows
    _, alone = flow_scores(flow, rows, folder=folder, console=quiet())
    np.testing.assert_array_equal(both.flow, alone)
    np.testing.assert_allclose(both.fused, (both.rgb + both.flow) / 2)
    np.testing.assert_allclose(both.fused.sum(axis=1), 1)
    # Not the same numbers twice.
    assert np.abs(both.rgb - both.flow).max() > 0.05


def test_the_fusion_of_real_videos_with_a_network_sure_of_nothing_changes_no_answer(
    data_dir: Path, embedded_bundle: Path, tmp_path: Path
) -> None:
    student = load_checkpoint(embedded_bundle / WEIGHTS)
    model = R2Plus1D(len(student.labels), width=0.1, channels=2).eval()
    torch.nn.init.zeros_(model.fc.weight)
    spec = FlowSpec.of(
        student.spec, method="farneback", compute_side=72, gap_seconds=0.1, grid_clips=2
    )
    unsure = replace(student, model=model, flow=spec, width=0.1)
    rows = matching(
        read_manifest(data_dir / "ucf101_10"),
        [parse_filter("group=g08"), parse_filter("label=Bowling,Biking")],
    )[::3]
    both = both_streams(student, unsure, rows=rows, folder=tmp_path, console=quiet())
    np.testing.assert_allclose(both.flow, 0.1)
    assert both.fused.argmax(axis=1).tolist() == both.rgb.argmax(axis=1).tolist()
    right = [student.labels.index(row.label) for row in both.rows]
    assert both.fused.argmax(axis=1).tolist() == right


def test_networks_that_do_not_go_together_are_refused(
    rgb: Checkpoint, flow: Checkpoint, rows: tuple[Row, ...], folder: Path
) -> None:
    def compared(one: Checkpoint, other: Checkpoint, *, on: tuple[Row, ...] = rows) -> None:
        both_streams(one, other, rows=on, folder=folder, console=quiet())

    with pytest.raises(CheckpointError, match="the first network must take RGB"):
        compared(flow, flow)
    with pytest.raises(CheckpointError, match="a network of optical flow is needed"):
        compared(rgb, rgb)
    with pytest.raises(CheckpointError, match="RGB blue, red; flow green, red"):
        compared(rgb, replace(flow, labels=("green", "red")))
    with pytest.raises(DatasetError, match="the model knows no pink"):
        compared(rgb, flow, on=(replace(rows[0], label="pink"),))
    broken = replace(flow, model=network(flow.spec, flow=FLOW, seed=1).model)
    torch.nn.init.constant_(broken.model.fc.weight, torch.nan)
    with pytest.raises(CheckpointError, match="no finite numbers"):
        compared(rgb, broken)


def test_differences_are_of_the_same_videos_and_drawn_together() -> None:
    rows = tuple(
        Row(path=Path(), name=f"{n}", label="a", columns={"group": f"g{n // 2}"}) for n in range(8)
    )
    right, wrong = [1.0, 0.0], [0.0, 1.0]
    rgb = np.array([right, wrong] * 4)
    flow = np.array([wrong, right] * 4)
    fused = np.array([right] * 8)
    found = differences(rows, {"rgb": rgb, "flow": flow, "fused": fused}, labels=("a", "b"), seed=0)
    assert [(one.stream, one.less) for one in found] == [
        ("fused", "rgb"),
        ("fused", "flow"),
        ("flow", "rgb"),
    ]
    # In every group one video of two more: no doubt is left, though each alone is right by half.
    for one, value in zip(found, (0.5, 0.5, 0.0), strict=True):
        assert (one.top1.low, one.top1.value, one.top1.high) == (value, value, value)


def test_the_command_writes_scores_figures_and_a_text(
    rgb: Checkpoint, flow: Checkpoint, dataset: Path, folder: Path, tmp_path: Path
) -> None:
    for name, checkpoint in (("colours", rgb), ("motion", flow)):
        (tmp_path / name).mkdir()
        save_checkpoint(tmp_path / name / CHECKPOINT, checkpoint)
    held_out, trained = (
        matching(read_manifest(dataset), [parse_filter(f"group={group}")]) for group in ("g0", "g1")
    )
    write_used(tmp_path / "motion", training=trained, held_out=held_out)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(two_stream_command)
    arguments = [
        tmp_path / "colours", tmp_path / "motion", "--labelled", dataset, "--flow", folder,
        "--where", "group=g0,g1", "-o", tmp_path / "out",
    ]  # fmt: skip
    done = CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["two_stream.json", "two_stream.md"]
    for text in (done.stdout, (out / "two_stream.md").read_text()):
        for part in ("RGB: top-1", "flow: top-1", "RGB + flow: top-1", "RGB + flow less RGB"):
            assert part in text
        assert "flow network was trained on 4 of these 8 videos" in text
        assert "the flow network got its temperature and threshold from 4 of these 8 videos" in text
        assert "4 clusters (one per group and label)" in text
    text = (out / "two_stream.json").read_text()
    report = TwoStreamReport.model_validate_json(text)
    assert str(tmp_path) not in text
    assert (report.rgb.name, report.flow.name, report.labels) == ("colours", "motion", LABELS)
    for stream in report.streams:
        lines = [getattr(video, stream.stream) for video in report.videos]
        right = [
            LABELS[int(np.argmax(line))] == video.label
            for line, video in zip(lines, report.videos, strict=True)
        ]
        assert stream.top1.value == pytest.approx(np.mean(right), rel=1e-5)
    assert list(json.loads(text)["videos"][0]) == [
        "video", "label", "group", "frame_rate", "rgb", "flow", "fused",
    ]  # fmt: skip
