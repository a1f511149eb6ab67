import io
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from motionfit.inference.errors import DatasetError
from motionfit.inference.video import read_frames
from motionfit.training.manifest import Row, read_manifest
from motionfit.training.videos import MOST_PROCESSES, Unreadable, read_all, read_each

READ = partial(read_frames, short_side=16)


def row_of(path: Path, *, label: str = "red") -> Row:
    return Row(path=path, name=path.name, label=label, columns={"label": label})


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "[bold]broken.mp4"
    path.write_bytes(b"no video at all")
    return path


def said_by(read: Any, rows: tuple[Row, ...]) -> tuple[Any, str]:
    said = io.StringIO()
    return read(rows, READ, what="reading", console=Console(file=said, width=1000)), said.getvalue()


def test_videos_come_in_the_order_of_the_rows(dataset: Path) -> None:
    rows = read_manifest(dataset)[::-3]
    (kept, unreadable), said = said_by(read_all, rows)
    assert [row for row, _ in kept] == list(rows)
    assert [video.frames.shape for _, video in kept] == [(12, 16, 21, 3)] * 4
    assert unreadable == ()
    assert "could not be read" not in said


def test_unreadable_videos_are_named_with_the_reason_and_counted(
    dataset: Path, broken: Path
) -> None:
    good = read_manifest(dataset)[0]
    rows = (row_of(broken, label=good.label), good)
    (kept, unreadable), said = said_by(read_all, rows)
    assert [row for row, _ in kept] == [good]
    (one,) = unreadable
    assert one == Unreadable(name="[bold]broken.mp4", reason=one.reason)
    assert f"left out: [bold]broken.mp4: {one.reason}" in said
    assert "1 of 2 videos could not be read" in said


def test_a_class_that_loses_its_last_video_is_an_error(dataset: Path, broken: Path) -> None:
    rows = (row_of(broken, label="green"), read_manifest(dataset)[0])
    with pytest.raises(DatasetError, match="no video of green can be read"):
        said_by(read_all, rows)
    (kept, unreadable), said = said_by(read_each, rows)
    assert (len(kept), len(unreadable)) == (1, 1)
    assert "left out" not in said


def test_when_a_reader_dies_the_videos_in_question_are_named_and_nothing_is_left(
    nothing_left: None,
) -> None:
    # Numbers of signals stand in for paths: to read them is to get the signal.
    signals = [signal.SIGCONT, signal.SIGKILL, *[signal.SIGCONT] * 20]
    rows = [row_of(Path(str(index))) for index in range(len(signals))]
    for row, number in zip(rows, signals, strict=True):
        object.__setattr__(row, "path", number)
    with pytest.raises(DatasetError, match=r"died: .* crashed on one of .*\b1\b") as raised:
        read_all(rows, signal.raise_signal, what="reading", console=Console(quiet=True))  # type: ignore[arg-type]
    assert len(str(raised.value).split("one of ")[1].split(", ")) <= MOST_PROCESSES


def test_nothing_to_read_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("motionfit.training.videos.ProcessPoolExecutor")
    assert read_each((), READ, what="reading", console=Console(quiet=True)) == ((), ())
