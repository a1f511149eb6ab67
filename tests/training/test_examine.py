import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.errors import BackendError
from motionfit.inference.isolation import DecoderProcess
from motionfit.training.examine import MOMENTS, SIDE, examine
from motionfit.training.manifest import Row, read_manifest

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
    limits = DecodeLimits(timeout_seconds=3.0)
    looked = examine(rows_of(slow_video, real_clip), console=QUIET, limits=limits)
    assert [one.row.name for one in looked.readable] == [real_clip.name]
    assert "took longer than the 3 s" in looked.faulty[0][1].reason


@pytest.mark.parametrize("busy_seconds", [0.0, 1.0])
@pytest.mark.usefixtures("nothing_left")
def test_stopping_ends_the_readers_at_once(
    busy_seconds: float, slow_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [shutil.copy(slow_video, tmp_path / f"{number}.gif") for number in range(6)]
    reading = threading.Event()
    ends: list[type[BaseException]] = []
    ask = DecoderProcess._ask

    def noticed(*arguments: object, **options: object) -> object:
        reading.set()
        time.sleep(busy_seconds)  # so that the wish to stop comes before the start of the child
        try:
            return ask(*arguments, **options)  # type: ignore[arg-type]
        except BaseException as error:
            ends.append(type(error))
            raise

    def stop(*_: object, **__: object) -> object:
        reading.wait(30)
        time.sleep(0.5)
        raise KeyboardInterrupt

    monkeypatch.setattr(DecoderProcess, "_ask", noticed)
    monkeypatch.setattr("motionfit.training.examine.track", stop)
    with pytest.raises(KeyboardInterrupt):
        examine(rows_of(*map(Path, paths)), console=QUIET)
    # The readers were ended: none read its video, nor waited until that took too long.
    assert set(ends) == {BackendError}


def test_all_odd_files_are_looked_at(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "class").symlink_to(data_dir / "odd")
    rows = read_manifest(tmp_path)
    looked = examine(rows, console=QUIET)
    assert len(looked.readable) + len(looked.faulty) == len(rows) >= 78
    assert len(looked.readable) > 40
    assert any(fault.empty for _, fault in looked.faulty)
