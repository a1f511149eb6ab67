import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.training.conftest import WriteVideo

COMMAND = [
    sys.executable,
    "-c",
    "import typer; from motionfit.inference.console import run; "
    "from motionfit.training.flow_command import flow_command; "
    "app = typer.Typer(pretty_exceptions_enable=False); app.command()(flow_command); "
    "run(app, name='flow')",
]
SMALL = ("--frames", "2", "--short-side", "24", "--compute-side", "32", "--grid-clips", "3")


def flow(dataset: Path, output: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [*COMMAND, str(dataset), "-o", str(output), *SMALL, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.flow")}


def test_it_counts_what_it_computed(dataset: Path, tmp_path: Path) -> None:
    done = flow(dataset, tmp_path / "flow", "--where", "group=g0,g1")
    assert done.returncode == 0, done.stderr
    assert "flow of 8 videos by dis: 24 clips of 2 fields, " in done.stdout
    assert " bytes a clip; a component is at most 4.69 pixels in 0.1 s" in done.stdout
    assert len(contents(tmp_path / "flow")) == 8


def test_videos_need_no_labels_and_unreadable_ones_are_named(
    write_video: WriteVideo, tmp_path: Path
) -> None:
    write_video(tmp_path / "videos" / "one.mp4", colour=(9, 99, 9), seed=1)
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"no video at all")
    done = flow(tmp_path / "videos", tmp_path / "flow")
    assert done.returncode == 0, done.stderr
    assert "left out: broken.mp4: " in done.stderr
    assert "flow of 1 videos" in done.stdout
    assert "1 videos are left out" in done.stdout


def test_values_out_of_range_are_one_line_that_says_so(dataset: Path, tmp_path: Path) -> None:
    done = flow(dataset, tmp_path / "flow", "--compute-side", "20")
    assert done.returncode == 1
    assert "compute_side must be an integer from 24 to 2048, got 20" in done.stderr
    assert not (tmp_path / "flow").exists()


def test_killed_midway_and_run_again_it_leaves_what_an_undisturbed_run_leaves(
    data_dir: Path, tmp_path: Path
) -> None:
    dataset, some = data_dir / "weizmann10", ("--where", "group=daria,denis")
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert flow(dataset, undisturbed, *some).returncode == 0
    expected = contents(undisturbed)
    process = subprocess.Popen([*COMMAND, str(dataset), "-o", str(killed), *SMALL, *some])
    while len(contents(killed)) < 3:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(contents(killed)) < len(expected)
    assert flow(dataset, killed, *some).returncode == 0
    assert contents(killed) == expected
