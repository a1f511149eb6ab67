import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.video import read_clips
from motionfit.training.calibration import scores_of
from motionfit.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from motionfit.training.evaluate import EvaluateOptions, doublings, evaluate
from motionfit.training.evaluation import logits_of
from motionfit.training.manifest import data_hash, matching, parse_filter, read_manifest
from motionfit.training.model import R2Plus1D
from motionfit.training.report import Report
from motionfit.training.report_text import notes
from motionfit.training.retime import nominal_rate
from motionfit.training.used_videos import write_used
from tests.conftest import child_processes

COMMAND = [sys.executable, "-c", "from motionfit.training.cli import main; main()", "evaluate"]


def run_command(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "300"},
    )


def write_run(folder: Path, *, spec: ClipSpec, labels: tuple[str, ...], **training: Any) -> Path:
    """A run folder with a student that knows nothing."""
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    model = R2Plus1D(len(labels), width=0.1).eval()
    checkpoint = Checkpoint(model=model, spec=spec, labels=labels, width=0.1, training=training)
    save_checkpoint(folder / CHECKPOINT, checkpoint)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, spec: ClipSpec, dataset: Path) -> Path:
    """A run that says that it trained on group g1 and held g2 out to calibrate."""
    rows = {
        group: matching(read_manifest(dataset), [parse_filter(f"group={group}")])
        for group in ("g1", "g2")
    }
    folder = write_run(
        tmp_path_factory.mktemp("runs") / "tiny",
        spec=replace(spec, temperature=1.7, abstain_threshold=0.4),
        labels=("blue", "red"),
        measured={"source": "this run's held-out videos", "figures": {}},
    )
    write_used(folder, training=rows["g1"], held_out=rows["g2"])
    return folder


@pytest.fixture(scope="module")
def reported(
    run: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    folder = tmp_path_factory.mktemp("reports") / "new" / "report"
    done = run_command(
        run, "--labelled", dataset, "--where", "group=g0,g1", "--clips", "3", "-o", folder
    )
    assert done.returncode == 0, done.stderr
    return folder, done


def report_in(folder: Path) -> Report:
    return Report.model_validate_json((folder / "report.json").read_text())


def test_a_report_is_three_files_and_a_table(
    reported: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    folder, done = reported
    names = ["confusion.png", "report.json", "report.md"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    for part in ("top-1 with 3 clips", "top-1 at 12 fps", "re-timed to 25", "calibration error"):
        assert part in done.stdout
        assert part in (folder / "report.md").read_text()
    assert "score temperature 1.7, not fitted here: this run's held-out videos" in done.stdout
    assert "too few to say whether the network reads the cadence" in done.stdout
    assert "![Confusion" in (folder / "report.md").read_text()
    assert (folder / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert "Traceback" not in done.stderr


def test_the_report_holds_what_serving_would_answer(
    reported: tuple[Path, "subprocess.CompletedProcess[str]"], run: Path, dataset: Path
) -> None:
    report = report_in(reported[0])
    checkpoint = load_checkpoint(run)
    rows = matching(read_manifest(dataset), [parse_filter("group=g0,g1")])
    for row, outcome in zip(rows, report.accuracy.outcomes, strict=True):
        clips = read_clips(row.path, spec=checkpoint.spec, num_clips=3).frames
        logits = logits_of(checkpoint.model, clips[None], spec=checkpoint.spec)
        scores = scores_of(logits, temperature=1.7)[0]
        assert outcome.video == row.name
        assert outcome.best == checkpoint.labels[scores.argmax()]
        assert outcome.score == pytest.approx(scores.max(), abs=1e-5)
        assert outcome.group == row.columns["group"]


def test_the_figures_of_a_report_fit_together(
    reported: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    report = report_in(reported[0])
    right = [outcome.rank == 0 for outcome in report.accuracy.outcomes]
    assert report.accuracy.top1.value == pytest.approx(np.mean(right))
    assert [one.clips for one in report.per_clip_count] == [1, 2, 3]
    assert report.per_clip_count[-1].top1 == report.accuracy.top1
    counts = np.array(report.confusion.counts)
    assert counts.trace() == sum(right)
    assert counts.sum() == report.accuracy.videos == report.data.videos == 8
    assert report.accuracy.clusters == 4
    assert report.cadence is not None
    assert report.cadence.top1 == report.accuracy.top1
    assert [(one.from_rate, one.to_rate) for one in report.cadence.changes] == [(12.0, 25.0)]


def test_the_report_names_model_and_videos_by_hash_and_no_folder_of_the_machine(
    reported: tuple[Path, "subprocess.CompletedProcess[str]"], run: Path, dataset: Path
) -> None:
    folder, _ = reported
    report = report_in(folder)
    assert (report.format, report.model.name, report.data.name) == (1, "tiny", dataset.name)
    rows = matching(read_manifest(dataset), [parse_filter("group=g0,g1")])
    assert report.data.sha256 == data_hash(rows)
    assert report.data.where == ("group=g0,g1",)
    assert f"tiny --labelled {dataset.name} --where group=g0,g1 --clips 3" in report.command
    for name in ("report.json", "report.md"):
        text = (folder / name).read_text()
        assert str(run.parent) not in text
        assert str(dataset.parent) not in text


def report_on(labelled: Path, run: Path, *, where: str | None = None, **changes: Any) -> Report:
    options = EvaluateOptions(
        run=run,
        labelled=labelled,
        lists=None,
        where=(parse_filter(where),) if where else (),
        held_out=False,
        clips=None,
        crops=1,
        retime=None,
        seed=0,
        command="",
    )
    return evaluate(replace(options, **changes), console=Console(file=io.StringIO()))


def test_crops_another_rate_and_a_checkpoint_file_can_be_asked_for(
    run: Path, dataset: Path
) -> None:
    report = report_on(
        dataset, run / CHECKPOINT, where="group=g0", crops=3, retime=nominal_rate(29.97)
    )
    assert (report.settings.clips, report.settings.crops) == (2, 3)
    assert report.model.name == "tiny"
    assert report.cadence is not None
    assert [one.to_rate for one in report.cadence.changes] == [29.97]
    assert "4 videos, 2 clips x 3 crops; intervals: 2 clusters" in notes(report)[0]


def test_videos_that_the_run_used_are_pointed_out(run: Path, dataset: Path) -> None:
    trained, fitted = report_on(dataset, run, clips=1).warnings
    assert trained.startswith("the model was trained on 4 of these 12 videos")
    assert "temperature and threshold from 4 of these 12 videos" in fitted
    (unknown,) = report_on(dataset, run / CHECKPOINT, clips=1).warnings
    assert unknown.startswith("it is not known whether the model was trained on any of these 12")
    assert report_on(dataset, run, where="group=g0", clips=1).warnings == ()


def test_only_what_the_run_held_out_can_be_asked_for(
    run: Path, dataset: Path, tmp_path: Path
) -> None:
    report = report_on(dataset, run, clips=1, held_out=True)
    assert {outcome.video for outcome in report.accuracy.outcomes} == {
        row.name for row in read_manifest(dataset) if row.columns["group"] == "g2"
    }
    assert report.data.where == ("held out by the run",)
    with pytest.raises(CheckpointError, match="held none of these 4 videos out"):
        report_on(dataset, run, where="group=g0", held_out=True)
    with pytest.raises(CheckpointError, match=r"has no videos\.csv .* give its run folder"):
        report_on(dataset, run / CHECKPOINT, held_out=True)


def test_an_unreadable_video_is_named_and_left_out(
    run: Path, dataset: Path, tmp_path: Path
) -> None:
    for label in ("blue", "red"):
        (tmp_path / label).mkdir()
        shutil.copy(dataset / "videos" / f"{label}0.mp4", tmp_path / label)
    (tmp_path / "blue" / "broken.mp4").write_bytes(b"no video")
    report = report_on(tmp_path, run)
    (unreadable,) = report.accuracy.unreadable
    assert (unreadable.video, unreadable.code) == ("blue/broken.mp4", "not-a-video")
    assert any(note.startswith("left out: blue/broken.mp4: got a file") for note in notes(report))
    assert (report.data.videos, report.accuracy.videos) == (3, 2)
    assert report.accuracy.resampled_by == "video"


def test_what_cannot_be_evaluated_is_an_error_that_says_why(
    run: Path, spec: ClipSpec, dataset: Path, tmp_path: Path
) -> None:
    other = write_run(tmp_path / "other", spec=spec, labels=("blue", "green"))
    with pytest.raises(DatasetError, match="the model knows no red; its classes are blue, green"):
        report_on(dataset, other)
    with pytest.raises(DatasetError, match="every video has 12 frames a second already"):
        report_on(dataset, run, retime=nominal_rate(12))


def test_a_failure_is_one_line_and_leaves_nothing(dataset: Path, tmp_path: Path) -> None:
    done = run_command(tmp_path, "--labelled", dataset, "-o", tmp_path / "report")
    assert done.returncode == 1
    assert f"error: {tmp_path} holds no checkpoint" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_wrong_use_and_a_folder_that_holds_something_exit_with_2(
    run: Path, dataset: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").touch()
    full = run_command(run, "--labelled", dataset, "-o", tmp_path)
    assert (full.returncode, "not an empty folder" in full.stderr) == (2, True)
    crops = run_command(run, "--labelled", dataset, "--crops", "2")
    assert (crops.returncode, "1 or 3 crops" in crops.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_ctrl_c_ends_it_with_130_and_leaves_nothing(
    run: Path, dataset: Path, tmp_path: Path
) -> None:
    videos = tmp_path / "videos" / "red"
    videos.mkdir(parents=True)
    for number in range(2_000):
        (videos / f"{number}.mp4").symlink_to(dataset / "videos" / "red0.mp4")
    arguments = [run, "--labelled", tmp_path / "videos", "-o", tmp_path / "report"]
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        try:
            wait_for_readers(process.pid)
            os.killpg(process.pid, signal.SIGINT)
            stderr = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert [path.name for path in tmp_path.iterdir()] == ["videos"]


def wait_for_readers(pid: int) -> None:
    """Until a child of a process has threads of its own: then it reads videos."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError, ProcessLookupError):  # a child that just ended
            threads = [Path(f"/proc/{child}/task") for child in child_processes(pid)]
            if any(len(list(folder.iterdir())) > 1 for folder in threads):
                return
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("last", "counts"), [(1, (1,)), (2, (1, 2)), (4, (1, 2, 4)), (10, (1, 2, 4, 8, 10))]
)
def test_numbers_of_clips_double_up_to_the_last(last: int, counts: tuple[int, ...]) -> None:
    assert doublings(last) == counts


def test_the_format_of_a_report_is_kept(
    reported: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    values = json.loads((reported[0] / "report.json").read_text())
    assert list(values) == [
        "format", "command", "created_utc", "git_revision", "libraries", "device", "model", "data",
        "settings", "accuracy", "view_top1", "per_clip_count", "confusion", "cadence", "warnings",
    ]  # fmt: skip
    assert list(values["cadence"]) == [
        "videos", "clusters", "top1", "retimed_top1", "difference", "reads_cadence", "changes",
        "changed",
    ]  # fmt: skip
