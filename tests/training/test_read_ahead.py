from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from motionfit.inference.errors import DatasetError, NoFrames, VideoError
from motionfit.training.manifest import Row
from motionfit.training.read_ahead import read_ahead

MODULE = """
import os, time
from motionfit.inference.errors import NoFrames

def wait(path, seconds):
    time.sleep(seconds)
    if path.stem == "1":
        raise NoFrames("nothing in it")
    return path.stem

def die(path, _):
    if path.stem == "2":
        os._exit(9)
"""


def rows(count: int) -> list[Row]:
    names = [f"{number}.mp4" for number in range(count)]
    return [Row(path=Path(name), name=name, label="a", columns={}) for name in names]


@pytest.fixture
def reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that worker processes can import, unlike this one."""
    (tmp_path / "made_reading.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return import_module("made_reading")


def test_results_and_errors_come_in_the_order_asked_for(reading: Any) -> None:
    asked = rows(6)
    found = list(read_ahead(zip(asked, [0.4, 0.0, 0.0, 0.1, 0.0, 0.0], strict=True), reading.wait))
    assert [row for row, _ in found] == asked
    assert [x if isinstance(x, str) else type(x) for _, x in found] == [
        "0", NoFrames, "2", "3", "4", "5",
    ]  # fmt: skip


def test_only_a_few_videos_are_read_ahead(reading: Any) -> None:
    taken = []

    def asked() -> Iterator[tuple[Row, float]]:
        for row in rows(100):
            taken.append(row)
            yield row, 0.0

    ahead = read_ahead(asked(), reading.wait)
    next(ahead)
    assert len(taken) <= 16
    ahead.close()


def test_a_video_that_kills_its_reader_is_among_those_named(reading: Any) -> None:
    with pytest.raises(DatasetError, match=r"died: .*2\.mp4"):
        list(read_ahead([(row, None) for row in rows(40)], reading.die))


def test_nothing_asked_for_is_nothing_read(reading: Any) -> None:
    none: list[tuple[Row, float]] = []
    results: list[tuple[Row, str | VideoError]] = list(read_ahead(none, reading.wait))
    assert results == []
