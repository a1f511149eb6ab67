import io
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from motionfit.inference.errors import DatasetError
from motionfit.inference.video import read_frames
from motionfit.training import frame_folder
from motionfit.training.cache import Cache, open_cache
from motionfit.training.cached_video import CachedVideo
from motionfit.training.config import Input
from motionfit.training.frame_folder import CacheError, open_folder
from motionfit.training.frame_store import MemoryStore, open_room
from motionfit.training.manifest import Row, read_manifest
from motionfit.training.workers import WorkerContext
from tests.conftest import running
from tests.training.conftest import WriteVideo

SIDE = 24
VIDEO_BYTES = 12 * 24 * 32 * 3  # of each video of the data set


@dataclass(frozen=True, kw_only=True)
class Opened:
    cache: Cache
    said: str


@contextmanager
def opened(
    rows: tuple[Row, ...], folder: Path | None, *, short_side: int = SIDE, videos: float = 1000
) -> Iterator[Opened]:
    """A cache with room for so many of the data set's videos."""
    said = io.StringIO()
    console = Console(file=said, width=1000)
    config = Input(cache=folder, cache_gb=videos * VIDEO_BYTES / 1e9)
    with open_cache(rows, short_side=short_side, config=config, console=console) as cache:
        yield Opened(cache=cache, said=said.getvalue())


@pytest.fixture
def rows(dataset: Path) -> tuple[Row, ...]:
    """Three red and three blue videos."""
    return read_manifest(dataset)[::2]


@pytest.fixture(params=["memory", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "cache" if request.param == "folder" else None


def row_of(path: Path, *, label: str = "blue") -> Row:
    return Row(path=path, name=path.name, label=label, columns={"label": label})


def check(video: CachedVideo, *, short_side: int = SIDE) -> None:
    """That a video is what ``read_frames`` makes of its file."""
    expected = read_frames(video.path, short_side=short_side)
    np.testing.assert_array_equal(video.frames, expected.frames)
    np.testing.assert_array_equal(video.times_us, expected.times_us)
    assert video.times_us.dtype == np.int64
    assert video.duration_us == expected.duration_us
    chosen = np.array([0, len(expected.frames) // 2, len(expected.frames) - 1, 0])
    np.testing.assert_array_equal(video.pictures(chosen), expected.frames[chosen])


def stored(cache: Cache) -> int:
    return sum(video.stored is not None for _, video in cache.videos)


def entries(folder: Path) -> dict[Path, int]:
    """Each file of a cache and which file it is."""
    return {path: path.stat().st_ino for path in folder.iterdir()}


def test_frames_and_times_are_those_that_read_frames_gives(
    rows: tuple[Row, ...], real_clip: Path, place: Path | None
) -> None:
    some = (*rows[:2], row_of(real_clip))
    with opened(some, place) as first:
        assert [row for row, _ in first.cache.videos] == list(some)
        assert stored(first.cache) == 3
        for _, video in first.cache.videos:
            check(video)
    if place:
        with opened(some, place) as second:
            for _, video in second.cache.videos:
                check(video)


def test_other_processes_use_the_videos_by_a_few_bytes(
    rows: tuple[Row, ...], place: Path | None
) -> None:
    with opened(rows[:1], place) as here, ProcessPoolExecutor(1, WorkerContext()) as pool:
        video = here.cache.videos[0][1]
        assert len(pickle.dumps(video)) < 2000
        chosen = np.array([7, 0, 11])
        there = pool.submit(video.pictures, chosen).result()
        np.testing.assert_array_equal(there, video.frames[chosen])


def test_what_finds_no_room_is_decoded_anew_and_counted(
    rows: tuple[Row, ...], place: Path | None
) -> None:
    with opened(rows, place, videos=4.5) as first:
        assert stored(first.cache) == 4
        assert "2 of 6 videos do not fit into the 0.00 GB that are allowed" in first.said
        for _, video in first.cache.videos:
            check(video)
    if place:
        assert len(entries(place)) == 4
        with opened(rows, place, videos=2.5) as second:
            assert stored(second.cache) == 2
            assert len(entries(place)) == 2
            for _, video in second.cache.videos:
                check(video)


def test_a_quarter_of_what_is_free_is_left_alone(
    rows: tuple[Row, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 4 * VIDEO_BYTES
    monkeypatch.setattr(MemoryStore, "free_bytes", lambda self: free)
    with opened(rows, None) as here:
        assert stored(here.cache) == 3


def test_free_memory_is_what_the_kernel_says() -> None:
    free = MemoryStore(short_side=SIDE).free_bytes()
    assert 0 <= free <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_unreadable_videos_are_named_and_left_out(
    rows: tuple[Row, ...], place: Path | None, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    some = (rows[0], row_of(broken))
    with opened(some, place) as here:
        assert [row for row, _ in here.cache.videos] == [rows[0]]
        assert [one.name for one in here.cache.unreadable] == ["broken.mp4"]
        assert "left out: broken.mp4: " in here.said
        assert "1 of 2 videos could not be read" in here.said


def test_a_class_without_a_readable_video_is_an_error(
    rows: tuple[Row, ...], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    for _ in range(2):  # the second time, everything else is found in the folder
        with (
            pytest.raises(DatasetError, match="no video of green can be read"),
            opened((rows[0], row_of(broken, label="green")), tmp_path / "cache"),
        ):
            pass


def test_a_second_run_decodes_nothing(
    rows: tuple[Row, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(rows, tmp_path) as first:
        assert "6 videos take 0.00 GB of" in first.said
        assert "0 of them from before" in first.said
    before = entries(tmp_path)
    assert len(before) == 6

    def no_pool(*_: object) -> None:
        raise AssertionError("a process was started to decode")

    monkeypatch.setattr("motionfit.training.videos.ProcessPoolExecutor", no_pool)
    with opened(rows, tmp_path) as second:
        assert "6 of them from before" in second.said
        assert entries(tmp_path) == before


def test_what_another_run_has_decoded_meanwhile_is_not_decoded_again(
    rows: tuple[Row, ...], tmp_path: Path
) -> None:
    store = open_folder(tmp_path, short_side=SIDE)
    with open_room(3 * VIDEO_BYTES - 1) as room:
        check(store.read(rows[0].path, room=room))
        before = entries(tmp_path)
        second = store.read(rows[0].path, room=room)
        assert entries(tmp_path) == before
        assert second.stored is not None
        assert store.read(rows[0].path, room=room).stored is None, "no room for it thrice"


def change_short_side(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    return 16


def change_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    path.write_bytes(path.with_name("other.mp4").read_bytes())
    return SIDE


def change_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    os.utime(path, (1, 1))
    return SIDE


def change_decoder(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(frame_folder, "decoder_version", lambda: "another")
    return SIDE


@pytest.mark.parametrize("change", [change_short_side, change_file, change_time, change_decoder])
def test_a_video_is_decoded_again_when_anything_that_decides_its_frames_changes(
    change: Callable[[Path, pytest.MonkeyPatch], int],
    write_video: WriteVideo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_video(tmp_path / "one.mp4", colour=(9, 99, 9), seed=1)
    write_video(tmp_path / "other.mp4", colour=(99, 9, 9), seed=2)
    with opened((row_of(path),), tmp_path / "cache"):
        pass
    short_side = change(path, monkeypatch)
    with opened((row_of(path),), tmp_path / "cache", short_side=short_side) as again:
        assert "0 of them from before" in again.said
        check(again.cache.videos[0][1], short_side=short_side)


def test_the_decoder_version_follows_the_code_that_decodes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = frame_folder.decoder_version()
    assert frame_folder.decoder_version() == now
    monkeypatch.setattr(frame_folder, "_DECODING", ("video",))
    assert frame_folder.decoder_version() != now


def test_a_folder_keeps_to_its_limit_and_what_was_used_last(
    rows: tuple[Row, ...], tmp_path: Path
) -> None:
    for index, row in enumerate(rows[:3]):
        with opened((row,), tmp_path):
            pass
        newest = max(tmp_path.iterdir(), key=lambda entry: entry.stat().st_mtime_ns)
        os.utime(newest, (1000 + index, 1000 + index))
    with opened(rows[:1], tmp_path):  # used again
        pass
    with opened(rows[3:4], tmp_path, videos=3.5):
        assert len(entries(tmp_path)) == 3
    with opened(rows[:4], tmp_path) as last:
        assert "3 of them from before" in last.said
        assert "decoding" not in last.said or stored(last.cache) == 4


def test_entries_that_are_cut_short_are_made_again(rows: tuple[Row, ...], tmp_path: Path) -> None:
    for length in (0, 7, 300, -1):
        with opened(rows[:1], tmp_path):
            pass
        (entry,) = tmp_path.iterdir()
        os.truncate(entry, length % entry.stat().st_size)
        with opened(rows[:1], tmp_path) as again:
            assert "0 of them from before" in again.said
            check(again.cache.videos[0][1])


def test_an_entry_that_is_removed_during_a_run_is_decoded_anew(
    rows: tuple[Row, ...], tmp_path: Path
) -> None:
    with opened(rows[:1], tmp_path) as here:
        for entry in tmp_path.iterdir():
            entry.unlink()
        check(here.cache.videos[0][1])


def test_a_video_that_is_replaced_during_a_run_is_an_error(
    write_video: WriteVideo, real_clip: Path, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "one.mp4", colour=(9, 99, 9), seed=1)
    with opened((row_of(path),), None, videos=0) as here:
        path.write_bytes(real_clip.read_bytes())
        with pytest.raises(DatasetError, match=r"one\.mp4 has changed"):
            here.cache.videos[0][1].pictures(np.array([0, 1]))


def test_a_damaged_video_without_room_gives_the_frames_it_would_have_with_room(
    data_dir: Path,
) -> None:
    damaged = next((data_dir / "odd").rglob("no_timescale.mp4"))
    with opened((row_of(damaged),), None, videos=0) as here:
        video = here.cache.videos[0][1]
        frames = video.frames
        for index in (30, 58, 146):
            np.testing.assert_array_equal(video.pictures(np.array([index]))[0], frames[index])


def test_a_folder_that_cannot_be_made_is_an_error(rows: tuple[Row, ...], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(CacheError, match="cannot be kept in .*file/cache: Not a directory; give"),
        opened(rows, tmp_path / "file" / "cache"),
    ):
        pass


def test_nothing_is_left_when_a_cache_closes(
    rows: tuple[Row, ...], place: Path | None, request: pytest.FixtureRequest
) -> None:
    resource_tracker.ensure_running()  # stays for as long as this process
    request.getfixturevalue("nothing_left")
    with opened(rows[:1], place) as here:
        video = here.cache.videos[0][1]
        assert video.stored is not None
    assert video.stored.file.exists() == (place is not None)


SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from rich.console import Console
from motionfit.inference.video import read_frames
from motionfit.training.cache import open_cache
from motionfit.training.config import Input
from motionfit.training.manifest import read_manifest
{patch}
def main():
    rows = read_manifest(Path(sys.argv[1]))[::{every}]
    folder = Path(sys.argv[2]) if sys.argv[2] else None
    config = Input(cache=folder, cache_gb=1)
    with open_cache(rows, short_side=24, config=config, console=Console(quiet=True)) as cache:
        print(cache.videos[0][1].stored.file, flush=True)
        {then}

if __name__ == "__main__":
    main()
"""


def start(
    script: Path,
    dataset: Path,
    folder: Path | None,
    *,
    every: int = 2,
    patch: str = "",
    then: str = "pass",
) -> "subprocess.Popen[str]":
    """Another process that opens a cache."""
    script.write_text(SCRIPT.format(every=every, patch=patch, then=then))
    return subprocess.Popen(
        [sys.executable, script, dataset, folder or ""],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_that_fill_a_folder_at_once_both_have_the_right_frames(
    rows: tuple[Row, ...], dataset: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    check_all = """for _, video in cache.videos:
            expected = read_frames(video.path, short_side=24).frames
            assert np.array_equal(video.frames, expected)"""
    both = [start(tmp_path / f"{n}.py", dataset, folder, then=check_all) for n in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert len(entries(folder)) == 6
    with opened(rows, folder) as after:
        assert "6 of them from before" in after.said
        for _, video in after.cache.videos:
            check(video)


def test_what_a_killed_process_left_half_written_is_never_used_and_is_removed(
    rows: tuple[Row, ...], dataset: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    # Spawned processes run the script's top too, so it is the one that writes who dies.
    patch = "os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)"
    process = start(tmp_path / "open.py", dataset, folder, patch=patch)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "died" in errors
    left = [path for path in folder.iterdir() if path.suffix == ".part"]
    assert left
    with opened(rows, folder) as after:
        assert "0 of them from before" in after.said
        for _, video in after.cache.videos:
            check(video)
        assert set(left) < set(entries(folder)), "they may be another process's at work"
    for part in left:
        os.utime(part, (time.time() - 7200,) * 2)
    with opened(rows, folder) as after:
        assert "6 of them from before" in after.said
        assert len(entries(folder)) == 6


def test_a_full_disk_is_a_clear_error(dataset: Path, tmp_path: Path) -> None:
    # Enough for the frames of the one video, not for what an entry has besides.
    most = VIDEO_BYTES + 50
    patch = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))"
    process = start(tmp_path / "open.py", dataset, tmp_path / "cache", every=12, patch=patch)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "CacheError: decoded videos cannot be kept in" in errors
    assert "File too large; give another folder" in errors
    assert not entries(tmp_path / "cache")


def test_memory_is_free_again_after_a_kill(dataset: Path, tmp_path: Path) -> None:
    process = start(tmp_path / "open.py", dataset, None, then="time.sleep(60)")
    assert process.stdout is not None
    file = Path(process.stdout.readline().strip())
    assert file.exists()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not running(process.pid)
    assert not file.exists()
