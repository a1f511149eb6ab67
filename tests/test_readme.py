"""The README works as written: its commands and code are run, its links and its example are held.

CONTRIBUTING.md describes the comments that mark blocks.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from motionfit.inference.warmup import made_clip
from motionfit.training.config import Config, read_config
from tests.installs import ROOT, borrow_packages, copy_repository, make_environment

README = ROOT / "README.md"
SAMPLE = Path("build", "bikes.mp4")
REAL_VIDEOS = ROOT.parent / "shared" / "data" / "ucf101_10"
BLOCK = re.compile(
    r"^(?:<!-- test: (?P<mark>[^>]+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#]+)[^)]*\)")
RUN = {"bash", "python"}
PORTS = ("8000", "8001", "8002")
# Only against a session that hangs: on two slow cores, beside other tests, it takes ten minutes.
SESSION_SECONDS = 1800

# Waits until the server that was started last is ready; fails when it ended instead.
PROLOGUE = """
set -euo pipefail
wait_for_server() {
  until curl --silent --fail --output /dev/null "http://127.0.0.1:$2/readyz"; do
    kill -0 "$1" || { echo "the server ended"; exit 1; }
    sleep 0.2
  done
}
"""


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block of the README."""

    line: int
    language: str
    code: str
    mark: str
    """The words of the comment before the block, or an empty text."""


def blocks(markdown: str) -> list[Block]:
    return [
        Block(
            line=markdown.count("\n", 0, found.start()) + 1,
            language=found["language"],
            code=found["code"],
            mark=found["mark"] or "",
        )
        for found in BLOCK.finditer(markdown)
    ]


def session(found: list[Block]) -> str:
    """One bash script that does what a reader does who follows the blocks from top to bottom."""
    parts = [PROLOGUE]
    for block in found:
        if block.language not in RUN or block.mark.startswith("not run"):
            continue
        parts.append(f"printf '\\n:: README line {block.line}\\n'")
        if block.language == "python":
            parts.append(f"python - <<'END OF BLOCK'\n{block.code}END OF BLOCK")
        elif block.mark.startswith("server"):
            port = block.mark.removeprefix("server").strip() or PORTS[0]
            parts.append(f'{{\n{block.code}}} &\nwait_for_server "$!" {port}')
        else:
            parts.append(block.code)
    return "\n".join([*parts, "printf '\\n:: end\\n'"])


def make_readers_videos(folder: Path, *, first: int) -> None:
    """Some of the reader's own videos: real ones where they are at hand, otherwise made ones."""
    for number, label in enumerate(("Basketball", "Biking")):
        (folder / label).mkdir(parents=True)
        if REAL_VIDEOS.is_dir():
            for video in sorted((REAL_VIDEOS / label).iterdir())[first : first + 4]:
                shutil.copy(video, folder / label)
        else:
            for width in (96, 112, 128, 144):
                clip = made_clip(width=width, height=80 + 32 * number + 2 * first)
                (folder / label / f"{width}.mp4").write_bytes(clip)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """What following the README printed."""

    returncode: int
    output: str

    def after(self, command: str) -> str:
        """What the block printed that holds ``command``."""
        (block,) = (block for block in blocks(README.read_text()) if command in block.code)
        return self.output.split(f":: README line {block.line}\n")[1].split("\n:: ")[0]


@pytest.fixture(scope="module")
def transcript(tmp_path_factory: pytest.TempPathFactory) -> Transcript:
    folder = tmp_path_factory.mktemp("reader") / "motionfit"
    copy_repository(folder)
    borrow_packages(make_environment(folder / ".venv", pip=True))
    if (ROOT / SAMPLE).is_file():
        (folder / SAMPLE).parent.mkdir()
        shutil.copy(ROOT / SAMPLE, folder / SAMPLE)
    make_readers_videos(folder / "videos", first=0)
    make_readers_videos(folder / "more-videos", first=4)
    ports = {port: str(free_port()) for port in PORTS}
    written = re.compile("|".join(ports))
    script = written.sub(lambda port: ports[port[0]], session(blocks(README.read_text())))
    log = folder.parent / "output.txt"
    with log.open("w") as output:
        reader = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=os.environ
            | {"MAKEFLAGS": f"PORT={ports[PORTS[0]]}", "COLUMNS": "160", "TERM": "dumb"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            returncode = reader.wait(SESSION_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(reader.pid, signal.SIGTERM)
            reader.wait()
    return Transcript(returncode=returncode, output=log.read_text())


def test_every_command_and_all_code_of_the_readme_runs(transcript: Transcript) -> None:
    assert transcript.returncode == 0, transcript.output[-4000:]
    # Not at the very end: a server's log goes on until it is stopped.
    assert ":: end\n" in transcript.output, transcript.output[-4000:]


def test_the_first_answer_is_the_one_that_the_readme_shows(transcript: Transcript) -> None:
    (block,) = (block for block in blocks(README.read_text()) if block.language == "json")
    shown = json.loads(block.code)
    printed = transcript.after("curl -F video=@build")
    # The server's log lines stand around it.
    answer, _ = json.JSONDecoder().raw_decode(printed[printed.index('{"label"') :])
    assert shown.pop("timings_ms").keys() == answer.pop("timings_ms").keys()
    assert answer == about(shown)


def about(value: Any) -> Any:
    """A JSON value to compare with; its fractions need only be near."""
    match value:
        case dict():
            return {key: about(item) for key, item in value.items()}
        case list():
            return [about(item) for item in value]
        case float():
            return pytest.approx(value, abs=0.006)
        case _:
            return value


def test_the_python_example_prints_an_answer(transcript: Transcript) -> None:
    printed = transcript.after("Classifier.open()")
    assert re.search(r"^\w+: \d+%$", printed, re.MULTILINE)
    assert re.search(r"^\d+ ms$", printed, re.MULTILINE)


def test_the_own_server_answers_for_each_of_the_readers_videos(transcript: Transcript) -> None:
    printed = transcript.after("videos/*/* --json")
    answers = [json.loads(line) for line in printed.splitlines() if line.startswith('{"file"')]
    assert len(answers) == 8
    assert {one["label"] for answer in answers for one in answer["top"]} == {"Basketball", "Biking"}


def test_pseudo_labels_are_judged_on_videos_that_the_teacher_never_saw(
    transcript: Transcript,
) -> None:
    printed = transcript.after("motionfit-train pseudo-label my-teacher")
    assert re.search(r"whole videos: unseen videos +8 ", printed)


def test_the_configuration_that_the_readme_shows_is_one(tmp_path: Path) -> None:
    (block,) = (block for block in blocks(README.read_text()) if block.language == "toml")
    (tmp_path / "run.toml").write_text(block.code)
    config = read_config(tmp_path / "run.toml", {}, kind=Config)
    assert (config.clip.frames, config.augment.flip, config.train.patience) == (16, False, 3)


def test_blocks_are_marked_only_in_ways_that_are_understood() -> None:
    text = README.read_text()
    found = blocks(text)
    assert text.count("```") == 2 * len(found)
    assert text.count("<!-- test:") == len([block for block in found if block.mark])
    for block in found:
        assert block.language in RUN | {"json", "toml"}, block
        assert re.fullmatch(r"|server( \d+)?|not run, .+", block.mark), block
    assert {"make serve\n", "make test\n"} <= {block.code for block in found}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_to_files_lead_somewhere(name: str) -> None:
    targets = [found["target"] for found in LINK.finditer((ROOT / name).read_text())]
    assert [target for target in targets if not (ROOT / target).exists()] == []
