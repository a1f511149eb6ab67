import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from motionfit.inference.bundle import WEIGHTS
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError
from motionfit.inference.video import read_clips
from motionfit.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from motionfit.training.embedded_parts import check_parts
from motionfit.training.evaluation import answers
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.manifest import matching, parse_filter, read_manifest
from motionfit.training.model import R2Plus1D
from motionfit.training.probe_command import probe_command
from motionfit.training.probe_report import ProbeReport
from motionfit.training.retrieval import neighbours
from motionfit.training.retrieval_report import RetrievalReport
from motionfit.training.retrieve_command import retrieve_command
from motionfit.training.used_videos import write_used

app = typer.Typer(pretty_exceptions_enable=False)
app.command("retrieve")(retrieve_command)
app.command("probe")(probe_command)


def run_command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, spec: ClipSpec, dataset: Path) -> Path:
    """A run with a network that knows nothing; it says that it trained on group g1."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    folder.mkdir()
    model = R2Plus1D(2, width=0.1).eval()
    checkpoint = Checkpoint(model=model, spec=spec, labels=("no", "matter"), width=0.1, training={})
    save_checkpoint(folder / CHECKPOINT, checkpoint)
    trained = matching(read_manifest(dataset), [parse_filter("group=g1")])
    write_used(folder, training=trained, held_out=[])
    return folder


@pytest.fixture(scope="module")
def retrieved(
    run: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("retrieved") / "new" / "folder"
    done = run_command(
        "retrieve", run, "--labelled", dataset, "--gallery", "group=g0", "--queries", "group=g1,g2",
        "--clips", "3", "-o", folder,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder, done


def test_a_retrieval_is_three_files_and_a_table(retrieved: tuple[Path, Result]) -> None:
    folder, done = retrieved
    names = ["retrieval.json", "retrieval.md", "retrieval.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    text = (folder / "retrieval.md").read_text()
    for part in ("R@1 ", "R@1 at 12 fps", "among the 4 of this rate only", "by chance"):
        assert part in done.stdout
        assert part in text
    for part in ("8 queries, 4 videos", "3 clips", "too small for R@5, R@10, R@20, R@50"):
        assert part in done.stdout
        assert part in text
    assert "![Queries" in text
    assert (folder / "retrieval.png").read_bytes().startswith(b"\x89PNG")


def test_the_retrieval_is_that_of_the_mean_embeddings_of_the_clips_that_serving_takes(
    retrieved: tuple[Path, Result], run: Path, dataset: Path
) -> None:
    report = RetrievalReport.model_validate_json((retrieved[0] / "retrieval.json").read_text())
    checkpoint = load_checkpoint(run)

    def points(where: str) -> tuple[list[str], "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"]:
        rows = matching(read_manifest(dataset), [parse_filter(where)])
        clips = [read_clips(row.path, spec=checkpoint.spec, num_clips=3).frames for row in rows]
        found = [answers(checkpoint.model, one, spec=checkpoint.spec)[1].mean(0) for one in clips]
        return [row.name for row in rows], np.stack(found)

    names, gallery = points("group=g0")
    asked, queries = points("group=g1,g2")
    order = neighbours(queries, gallery=gallery)
    assert [query.video for query in report.found] == asked
    assert [query.nearest for query in report.found] == [
        tuple(names[i] for i in line) for line in order
    ]
    hits = np.mean([query.rank == 0 for query in report.found])
    assert report.recalls[0].recall.value == pytest.approx(hits)
    assert report.recalls[0].by_chance == 0.5
    assert (report.resampled_by, report.clusters) == ("group and label", 4)


def test_the_embedded_student_finds_the_class_of_real_videos(
    data_dir: Path, embedded_bundle: Path, tmp_path: Path
) -> None:
    done = run_command(
        "retrieve", embedded_bundle / WEIGHTS, "--labelled", data_dir / "ucf101_10",
        "--where", "label=Bowling,RopeClimbing", "--gallery", "group=g15,g16",
        "--queries", "group=g08", "--clips", "1", "-o", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out" / "retrieval.json").read_text()
    report = RetrievalReport.model_validate_json(text)
    assert report.recalls[0].recall.value > 0.9 > 0.7 > report.recalls[0].by_chance
    (rate, *_) = report.per_frame_rate
    assert rate.within.value > 0.9


def test_a_report_names_what_it_rests_on_and_no_folder_of_the_machine(
    retrieved: tuple[Path, Result], run: Path
) -> None:
    text = (retrieved[0] / "retrieval.json").read_text()
    report = RetrievalReport.model_validate_json(text)
    assert (report.network.name, report.queries.where) == ("tiny", ("group=g1,g2",))
    assert report.warnings == (
        "the network was trained on 4 of these 8 videos, so its accuracy on new ones is lower",
    )
    assert str(run.parent) not in text
    assert list(json.loads(text)) == [
        "format", "origin", "network", "clips", "seed", "gallery", "queries", "resampled_by",
        "clusters", "recalls", "per_frame_rate", "warnings", "unreadable", "found",
    ]  # fmt: skip


def test_a_probe_tells_colours_apart_by_features_that_nobody_trained(
    run: Path, dataset: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "probe"
    done = run_command(
        "probe", run, "--labelled", dataset, "--train", "group=g0,g1", "--test", "group=g2",
        "-o", folder,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in folder.iterdir()) == ["probe.json", "probe.md"]
    report = ProbeReport.model_validate_json((folder / "probe.json").read_text())
    assert (report.labels, report.folds, report.warnings) == (("blue", "red"), 2, ())
    assert report.accuracy.top1.value == 1
    assert [outcome.group for outcome in report.accuracy.outcomes] == ["g2"] * 4
    for text in (done.stdout, (folder / "probe.md").read_text()):
        assert "4 test videos, mean embedding of 2 clips" in text
        assert "chosen on 2 folds of them" in text
        assert "top-1 at 12 fps" in text


def test_a_run_tells_which_videos_it_was_trained_on_and_which_it_held_out(
    run: Path, dataset: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(run, tmp_path / "own")
    groups = [
        matching(read_manifest(dataset), [parse_filter(f"group={group}")])
        for group in ("g0,g1", "g2")
    ]
    write_used(own, training=groups[0], held_out=groups[1])
    retrieved = run_command("retrieve", own, "--labelled", dataset, "-o", tmp_path / "near")
    assert retrieved.exit_code == 0, retrieved.output
    found = RetrievalReport.model_validate_json((tmp_path / "near" / "retrieval.json").read_text())
    assert (found.gallery.where, found.gallery.videos) == (("used=training",), 8)
    assert (found.queries.where, found.queries.videos) == (("used=held_out",), 4)
    probed = run_command("probe", own, "--labelled", dataset, "-o", tmp_path / "probe")
    assert probed.exit_code == 0, probed.output
    report = ProbeReport.model_validate_json((tmp_path / "probe" / "probe.json").read_text())
    assert [outcome.group for outcome in report.accuracy.outcomes] == ["g2"] * 4
    for command in ("retrieve", "probe"):
        refused = run_command(command, own / CHECKPOINT, "--labelled", dataset)
        assert isinstance(refused.exception, CheckpointError)
        assert "no videos.csv" in str(refused.exception)


def test_unreadable_videos_are_named_and_left_out(run: Path, dataset: Path, tmp_path: Path) -> None:
    lines = ["path,label,part"]
    for label in ("blue", "red"):
        for number in range(3):
            name = f"{label}{number}.mp4"
            shutil.copy(dataset / "videos" / name, tmp_path)
            lines.append(f"{name},{label},{'test' if number == 2 else 'train'}")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    (tmp_path / "red0.mp4").write_bytes(b"no video")
    parts = ("--gallery", "part=train", "--queries", "part=test")
    done = run_command("retrieve", run, "--labelled", tmp_path, *parts)
    assert done.exit_code == 0, done.output
    assert "left out: red0.mp4: got a file" in done.stdout
    assert "2 clusters (one per video)" in done.stdout


def test_parts_that_share_videos_or_lack_a_class_are_refused(run: Path, dataset: Path) -> None:
    rows = read_manifest(dataset)
    with pytest.raises(DatasetError, match=r"4 videos are in both parts, among them videos/blue0"):
        check_parts(rows, test=rows[:4])
    reds = [row for row in rows if row.label == "red"]
    blues = [row for row in rows if row.label == "blue"]
    with pytest.raises(DatasetError, match="of blue there are videos to test but none to compare"):
        check_parts(reds, test=blues)
    parts = ("--gallery", "group=g0", "--queries", "group=g0")
    done = run_command("retrieve", run, "--labelled", dataset, *parts)
    assert isinstance(done.exception, DatasetError)


def test_look_alikes_in_both_parts_are_pointed_out(
    run: Path, dataset: Path, tmp_path: Path
) -> None:
    lines = (dataset / "metadata.csv").read_text().splitlines()
    halves = ["part", *("train" if number % 2 else "test" for number in range(12))]
    (tmp_path / "halves.csv").write_text(
        "\n".join(f"{line},{half}" for line, half in zip(lines, halves, strict=True))
    )
    (tmp_path / "videos").symlink_to(dataset / "videos")
    parts = ("--gallery", "part=train", "--queries", "part=test")
    done = run_command("retrieve", run, "--labelled", tmp_path / "halves.csv", *parts)
    assert "6 of the 6 videos tested have a look-alike" in done.stdout


def test_a_network_of_flow_and_a_full_folder_are_refused(
    run: Path, dataset: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    parts = ("--labelled", dataset, "--gallery", "group=g0", "--queries", "group=g1")
    full = run_command("retrieve", run, *parts, "-o", run)
    assert (full.exit_code, "not an empty" in full.output) == (2, True)
    model = R2Plus1D(2, width=0.1, channels=2)
    save_checkpoint(
        tmp_path / CHECKPOINT,
        Checkpoint(
            model=model, spec=spec, labels=("a", "b"), width=0.1, training={}, flow=FlowSpec()
        ),
    )
    done = run_command("retrieve", tmp_path, *parts)
    assert isinstance(done.exception, CheckpointError)
