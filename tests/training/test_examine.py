import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from motionfit.inference.decoding import DecodeLimits
from motionfit.training.examine import MOMENTS, SIDE, examine
from motionfit.training.manifest import Row, read_manifest
from tests.conftest import child_processes, running

QUIET = Console(quiet=True)


def rows_of(*paths: Path) -> tuple[Row, ...]:
    return tuple(Row(path=p, name=p.name, label="a", columns={"label": "a"}) for p in paths)


def test_a_video_gives_what_it_is_and_eight_small_pictures(real_clip: Path) -> None:
    looked = examine(rows_of(real_clip), console=QUIET)
    assert looked.faulty == ()
    (video,) = looked.readable
    assert video.size_bytes == real_clip.stat().st_size
    assert video.info.duration_seconds > 0
    assert (video.pictures.shape, video.pictures.dtype) == ((MOMENTS, SIDE, SIDE), np.uint8)
    assert video.pictures.std() > 1


def test_what_is_no_video_is_a_fault_and_stops_nothing(real_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    (tmp_path / "cut.mp4").write_bytes(real_clip.read_bytes()[:40])
    paths = [tmp_path / name for name in ("nothing.mp4", "text.mp4", "cut.mp4", "gone.mp4")]
    looked = examine(rows_of(*paths, real_clip), console=QUIET)
    assert [one.row.name for one in looked.readable] == [real_clip.name]
    assert [(row.name, fault.empty) for row, fault in looked.faulty] == [
        ("nothing.mp4", True),
        ("text.mp4", False),
        ("cut.mp4", False),
        ("gone.mp4", False),
    ]
    assert looked.faulty[0][1].reason == "the file has no content"


def test_a_video_that_takes_too_long_costs_only_itself(slow_video: Path, real_clip: Path) -> None:
    limits = DecodeLimits(timeout_seconds=8.0)
    looked = examine(rows_of(slow_video, real_clip), console=QUIET, limits=limits)
    assert [one.row.name for one in looked.readable] == [real_clip.name]
    assert "took longer than the 8 s" in looked.faulty[0][1].reason


@pytest.mark.parametrize("later_seconds", [0.0, 1.0], ids=["starting", "reading"])
def test_ctrl_c_ends_the_readers_at_once(
    later_seconds: float, slow_video: Path, tmp_path: Path
) -> None:
    (tmp_path / "slow").mkdir()
    for number in range(6):
        shutil.copy(slow_video, tmp_path / "slow" / f"{number}.gif")
    command = ["-c", "from motionfit.training.cli import main; main()", "doctor", str(tmp_path)]
    with subprocess.Popen(
        [sys.executable, *command], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as doctor:
        try:
            readers = readers_of(doctor.pid)
            time.sleep(later_seconds)
            readers |= readers_of(doctor.pid)
            doctor.send_signal(signal.SIGINT)
            # A reader would go on for minutes.
            stderr = doctor.communicate(timeout=30)[1]
        finally:
            doctor.kill()
    assert doctor.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert not any(map(running, readers))


def readers_of(pid: int) -> set[int]:
    """The children of any thread of a process, as soon as there is one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := child_processes(pid):
            return found
        time.sleep(0.02)
    raise AssertionError("no reader was started")


def test_all_odd_files_are_looked_at(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "class").symlink_to(data_dir / "odd")
    rows = read_manifest(tmp_path)
    looked = examine(rows, console=QUIET)
    assert len(looked.readable) + len(looked.faulty) == len(rows) >= 78
    assert len(looked.readable) > 40
    assert any(fault.empty for _, fault in looked.faulty)
