"""Odd and damaged videos through Python, the command line and HTTP.

Each file gives an answer or a clear error, the same from all three, and leaves nothing behind.
"""

import csv
import json
import os
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from motionfit.benchmarks.damage import damaged, remade
from motionfit.inference.classifier import Classifier
from motionfit.inference.errors import VideoError
from motionfit.inference.video import read_frames
from motionfit.serving.schemas import AnswerBody
from tests.conftest import child_processes, open_files, running, wait_until
from tests.serving.conftest import COMMAND, ServerProcess, problem_of, serving

MUTANTS = 200
ANSWERED = "answered"
REFUSED = {"not-a-video", "unreadable-video", "no-frames", "video-too-large"}
# Small ones of many kinds, beside those that are remade from one video.
SOURCES = (
    "odd/decord/video_0.mov",
    "odd/torchcodec/av1_video.mkv",
    "odd/torchcodec/testsrc2_vp9.webm",
    "odd/torchcodec/h264_10bits.mp4",
    "odd/torchcodec/h265_video.mp4",
    "odd/androidx_media/avi/sample-with-large-length.avi",
    "odd/androidx_media/mp4/dolbyVision-hdr.MOV",
    "odd/imageio/imageio_issue245.gif",
    "ucf101_10/Biking/v_Biking_g14_c03.mp4",
    "weizmann10/walk/*.avi",
)


@dataclass(frozen=True)
class Outcome:
    """What became of a file: the body of the answer, or the message of an error with its code."""

    code: str
    detail: Any


Outcomes = dict[str, Outcome]


@pytest.fixture(scope="module")
def originals(real_clip: Path) -> dict[str, bytes]:
    """Real videos, by name: a second of one in many containers, and what lies beside."""
    frames = read_frames(real_clip, short_side=64).frames[:25]
    height, width = (side // 2 * 2 for side in frames.shape[1:3])
    data = Path(__file__).parents[2] / "shared" / "data"
    beside = [min(found) for name in SOURCES if (found := list(data.glob(name)))]
    return remade(frames[:, :height, :width]) | {path.name: path.read_bytes() for path in beside}


@pytest.fixture(scope="module")
def files(originals: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The originals, 200 mutants of them, and every odd file that lies beside."""
    folder = tmp_path_factory.mktemp("hostile")
    names = sorted(originals)
    contents = {f"original {name}": originals[name] for name in names}
    for number in range(MUTANTS):
        name = names[number % len(names)]
        contents[f"mutant {number} {name}"] = damaged(originals[name], seed=f"{number} {name}")
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    odd = Path(__file__).parents[2] / "shared" / "data" / "odd"
    return [folder / name for name in contents] + sorted(p for p in odd.rglob("*") if p.is_file())


def body_of(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer's JSON without what differs from call to call."""
    return {name: value for name, value in answer.items() if name not in {"timings_ms", "file"}}


@pytest.fixture(scope="module")
def from_python(
    toy_bundle: Path, files: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Outcomes:
    """Through a Classifier that reads all files one after the other in a process of its own."""
    found: Outcomes = {}
    before = child_processes(), open_files()
    with pytest.MonkeyPatch.context() as patch, Classifier.open(toy_bundle) as classifier:
        patch.setattr(tempfile, "tempdir", str(temp := tmp_path_factory.mktemp("temp")))
        for path in files:
            try:
                answer = classifier.classify(path)
            except VideoError as error:
                found[str(path)] = Outcome(error.code, str(error))
            else:
                body = AnswerBody.of(answer, timings_ms={"receive": 0}).model_dump_json()
                found[str(path)] = Outcome(ANSWERED, body_of(json.loads(body)))
    assert (child_processes(), open_files()) == before
    assert list(temp.iterdir()) == []
    return found


@pytest.fixture(scope="module")
def from_command_line(
    toy_bundle: Path, files: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Outcomes:
    """Through one call of ``motionfit-serve classify``."""
    temp = tmp_path_factory.mktemp("temp")
    done = subprocess.run(
        [COMMAND, "classify", "--json", "--bundle", toy_bundle, *files],
        env=os.environ | {"TMPDIR": str(temp)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert list(temp.iterdir()) == []
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    found = {answer["file"]: Outcome(ANSWERED, body_of(answer)) for answer in answers}
    for line in done.stderr.splitlines():
        assert line.startswith("error: "), done.stderr
        file, _, message = line.removeprefix("error: ").partition(": ")
        found[file] = Outcome("error", message)
    return found


@pytest.fixture(scope="module")
def server(toy_bundle: Path) -> Iterator[ServerProcess]:
    with serving("--bundle", toy_bundle, "--decoders", 1) as running:
        server = running.wait_ready()
        # One at work, and begun after it is ready: one to spare, and two of timelines.
        wait_until(lambda: len(server.children()) == 4)
        yield server


@pytest.fixture(scope="module")
def from_http(server: ServerProcess, files: list[Path]) -> Outcomes:
    """Through uploads over real connections, in a form or bare by turns."""
    found: Outcomes = {}
    before = server.children(), descriptors(server)
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for number, path in enumerate(files):
            content = path.read_bytes()
            if number % 2:
                response = client.post("/classify", files={"video": content})
            else:
                bare = {"content-type": "application/octet-stream"}
                response = client.post("/classify", content=content, headers=bare)
            if response.status_code == 200:
                found[str(path)] = Outcome(ANSWERED, body_of(response.json()))
            else:
                problem = problem_of(response)
                found[str(path)] = Outcome(problem.code, problem.detail)
    wait_until(lambda: descriptors(server) <= before[1])
    assert server.children() == before[0]
    assert list(server.temp.iterdir()) == []
    assert "Traceback" not in server.log
    return found


def descriptors(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def test_every_file_is_answered_or_refused_with_a_known_code(from_python: Outcomes) -> None:
    codes = {name: outcome.code for name, outcome in from_python.items()}
    assert {name: code for name, code in codes.items() if code not in REFUSED | {ANSWERED}} == {}
    counts = Counter(code for name, code in codes.items() if "mutant" in name)
    assert sum(counts.values()) == MUTANTS
    # Else the damage is too little, or too much, to be a test.
    assert counts[ANSWERED] > MUTANTS // 5
    assert counts["unreadable-video"] > MUTANTS // 20


def test_originals_are_answered(from_python: Outcomes) -> None:
    originals = {n: o.code for n, o in from_python.items() if Path(n).name.startswith("original ")}
    assert len(originals) >= 10
    assert set(originals.values()) == {ANSWERED}


def test_odd_files_that_others_can_read_are_answered(from_python: Outcomes, data_dir: Path) -> None:
    with (data_dir / "odd" / "CATALOG.tsv").open(newline="") as lines:
        catalogue = list(csv.DictReader(lines, delimiter="\t"))
    assert len(catalogue) > 50
    for row in catalogue:
        outcome = from_python[str(data_dir / "odd" / row["file"])]
        if row["status"] == "OK":
            assert outcome.code == ANSWERED, row
        elif row["status"] in {"NOVIDEO", "ZEROFRAMES"}:
            assert outcome.code in {"no-frames", "not-a-video"}, row


def test_errors_are_one_line_that_says_something(from_python: Outcomes) -> None:
    for name, outcome in from_python.items():
        if outcome.code != ANSWERED:
            assert 20 < len(outcome.detail) < 300, name
            assert "\n" not in outcome.detail, name


def test_the_command_line_agrees_with_python(
    from_command_line: Outcomes, from_python: Outcomes
) -> None:
    assert set(from_command_line) == set(from_python)
    for name, outcome in from_command_line.items():
        assert outcome.detail == from_python[name].detail, name


def test_http_agrees_with_python(from_http: Outcomes, from_python: Outcomes) -> None:
    assert set(from_http) == set(from_python)
    for name, outcome in from_http.items():
        if Path(name).stat().st_size:
            assert outcome == from_python[name], name
        else:
            assert outcome.code == "missing-video"


def test_the_server_still_answers_and_ends_cleanly(
    from_http: Outcomes, server: ServerProcess, files: list[Path]
) -> None:
    response = httpx.post(
        f"{server.url}/classify", files={"video": files[0].read_bytes()}, timeout=30
    )
    assert body_of(response.json()) == from_http[str(files[0])].detail
    children = server.children()
    assert server.stop() == 0
    wait_until(lambda: not any(running(child) for child in children))
    assert list(server.temp.iterdir()) == []


def classify(*videos: Path, bundle: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "classify", "--bundle", bundle, *videos],
        # The strictest a terminal can be about file names.
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_any_file_name_is_printed_as_it_is(
    toy_bundle: Path, made_clip_path: Path, tmp_path: Path
) -> None:
    names = ("[red]x.mp4", ":smile:.mp4", os.fsdecode(b"caf\xe9.mp4"), "--clips.mp4")
    good = [tmp_path / name for name in names]
    bad = [tmp_path / f"bad {name}" for name in names]
    for path in good:
        path.write_bytes(made_clip_path.read_bytes())
    for path in bad:
        path.write_text("no video")
    done = classify(*good, *bad, bundle=toy_bundle)
    assert done.returncode == 1
    for path, line in zip(good, done.stdout.splitlines(), strict=True):
        assert line.startswith(f"{shown(path)}: ")
    for path, line in zip(bad, done.stderr.splitlines(), strict=True):
        assert line.startswith(f"error: {shown(path)}: got a file that starts with b'no video'")


def shown(path: Path) -> str:
    return str(path).encode(errors="backslashreplace").decode()


def test_what_is_no_file_costs_one_line(
    toy_bundle: Path, made_clip_path: Path, tmp_path: Path
) -> None:
    done = classify(tmp_path, tmp_path / "absent.mp4", made_clip_path, bundle=toy_bundle)
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "error"]
    assert "Is a directory" in done.stderr
    assert "No such file" in done.stderr
    assert done.stdout.startswith(f"{made_clip_path}: ")
    assert classify(made_clip_path, bundle=toy_bundle).returncode == 0


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_command_stopped_while_decoding_takes_its_child_along(
    toy_bundle: Path, slow_video: Path, sig: signal.Signals
) -> None:
    with subprocess.Popen(
        [COMMAND, "classify", "--bundle", toy_bundle, slow_video],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until(lambda: bool(children.read_text().split()))
        (child,) = children.read_text().split()
        wait_until(lambda: slow_video in [p.resolve() for p in Path(f"/proc/{child}/fd").iterdir()])
        process.send_signal(sig)
        printed = process.communicate(timeout=30)
    assert (process.returncode, *printed) == (130, "", "")
    wait_until(lambda: not running(int(child)))
