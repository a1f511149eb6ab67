"""Timing caches: stored whole, read only when whole, and never what a build fails on."""

from pathlib import Path

import pytest

from motionfit.export.timing_cache import (
    read_timing_cache,
    store_timing_cache,
    timing_cache_file,
    timing_cache_folder,
)
from motionfit.inference.cuda_driver import Gpu

GPU = Gpu(name="NVIDIA GeForce RTX 4090 (Ti)", compute_capability="8.9", memory_bytes=1)


def test_each_gpu_and_version_has_a_file(tmp_path: Path) -> None:
    path = timing_cache_file(tmp_path, version="10.13.3.9", gpu=GPU)
    assert path == tmp_path / "tensorrt-10.13.3.9-NVIDIA-GeForce-RTX-4090-Ti-8.9.timing"


def test_the_folder_is_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert timing_cache_folder() == tmp_path / "motionfit" / "tensorrt"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert timing_cache_folder() == Path.home() / ".cache" / "motionfit" / "tensorrt"


def test_what_is_stored_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.timing"
    assert read_timing_cache(path) == b""
    for content in (b"first", b"", b"second" * 1000):
        store_timing_cache(path, content)
        assert read_timing_cache(path) == content
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 100])
def test_a_damaged_one_is_as_none_and_a_line_in_the_log(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.timing"
    path.write_bytes(content)
    assert read_timing_cache(path) == b""
    (message,) = caplog.messages
    assert message == f"building without the timing cache {path}: it is damaged, and made anew"


def test_one_that_can_be_neither_read_nor_written_is_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a.timing"
    assert read_timing_cache(path) == b""
    store_timing_cache(path, b"measured")
    assert [message.split(":")[0] for message in caplog.messages] == [
        f"building without the timing cache {path}",
        f"the timing cache {path} is not kept",
    ]
