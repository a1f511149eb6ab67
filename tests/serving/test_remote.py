"""``motionfit-serve classify URL VIDEO...``: the lines of a running server."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from motionfit.serving.edge.key_file import add_key
from motionfit.serving.schemas import AnswerBody
from tests.serving.conftest import COMMAND, LABELS, ServerProcess, colour_video, serving

COLOURS = ((250, 0, 0), (0, 250, 0), (0, 0, 250))


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.mkv" for name in LABELS]
    for path, rgb in zip(paths, COLOURS, strict=True):
        path.write_bytes(colour_video(rgb))
    return paths


def classify(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, "classify", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environment,
    )


def told(line: str) -> str:
    """A line without the milliseconds."""
    return line.rpartition("  ")[0]


def test_lines_are_those_without_a_server(
    server: ServerProcess, bundle: Path, videos: list[Path]
) -> None:
    here = classify("--bundle", bundle, "--top", 2, *videos)
    there = classify(server.url, "--top", 2, *videos)
    assert (there.returncode, there.stderr) == (0, "")
    assert [told(line) for line in there.stdout.splitlines()] == [
        told(line) for line in here.stdout.splitlines()
    ]


def test_parts_of_a_timeline_are_lines_below(server: ServerProcess, videos: list[Path]) -> None:
    done = classify(server.url, "--timeline", videos[0])
    first, *parts = done.stdout.splitlines()
    assert first.startswith(f"{videos[0]}: red  (")
    assert [part.rpartition(" ")[0] for part in parts] == ["    0:00.0 - 0:01.0  red"]


def test_a_part_and_a_stride_are_asked_for_with_and_without_a_server(
    server: ServerProcess, bundle: Path, videos: list[Path]
) -> None:
    asked = ("--json", "--timeline", "--stride", 0.1, "--start", 0.3, "--end", 0.9, videos[0])
    for where in ((server.url,), ("--bundle", bundle)):
        done = classify(*where, *asked)
        timeline = json.loads(done.stdout)["timeline"]
        assert timeline["stride_seconds"] == 0.1
        spans = [(one["start_seconds"], one["end_seconds"]) for one in timeline["windows"]]
        assert [start for start, _ in spans] == pytest.approx([0.3, 0.4, 0.5])
        assert spans[-1][1] == pytest.approx(0.9)


def test_json_is_the_servers_answer(server: ServerProcess, videos: list[Path]) -> None:
    done = classify(server.url, "--json", "--clips", 2, *videos)
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert [item.pop("file") for item in objects] == [str(video) for video in videos]
    answers = [AnswerBody.model_validate(item) for item in objects]
    assert [(answer.label, len(answer.clips)) for answer in answers] == [(n, 2) for n in LABELS]


def test_bad_video_is_one_line_and_the_others_go_on(
    server: ServerProcess, videos: list[Path]
) -> None:
    bad = videos[0].with_name("not [a] video.mp4")
    bad.write_text("hello")
    missing = bad.with_name("missing.mp4")
    done = classify(server.url, bad, missing, *videos)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == len(videos)
    errors = done.stderr.splitlines()
    assert errors[0].startswith(f"error: {bad}: ")
    assert errors[1].startswith(f"error: {missing}: ")
    assert len(errors) == 2


def test_no_server_is_one_line(videos: list[Path]) -> None:
    done = classify("http://127.0.0.1:9", *videos)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: http://127.0.0.1:9 cannot be reached: ")
    assert len(done.stderr.splitlines()) == 1


def test_key_comes_from_the_environment(bundle: Path, videos: list[Path], tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    key = add_key(keys, name="remote", rate=None, concurrency=None, admin=False)
    with serving("--bundle", bundle, "--keys", keys) as server:
        url = server.wait_ready().url
        done = classify(url, videos[0], MOTIONFIT_API_KEY=key)
        assert done.stdout.startswith(f"{videos[0]}: red")
        assert classify(url, videos[0]).returncode == 1


def test_a_terminal_sees_a_bar_and_then_only_the_lines(
    server: ServerProcess, videos: list[Path]
) -> None:
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "classify", server.url, videos[0]],
        stdout=subprocess.PIPE,
        stderr=end,
        text=True,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(end)
    drawn = b""
    try:
        while piece := os.read(terminal, 4096):
            drawn += piece
    except OSError:  # the other end was closed
        pass
    os.close(terminal)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.read().startswith(f"{videos[0]}: red")
    assert process.wait(30) == 0
    assert b"red.mkv" in drawn
    assert drawn.rstrip().endswith(b"\x1b[2K")  # the bar's line, wiped
