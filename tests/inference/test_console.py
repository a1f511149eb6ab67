"""Exit codes, one-line errors and the default command, seen from a shell."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

APP = """
import os, signal, sys, time
import typer
from motionfit.inference.console import default_command, run
from motionfit.inference.errors import BundleError

app = typer.Typer(cls=default_command("go"), pretty_exceptions_enable=False)

@app.command()
def go(
    names: list[str] = typer.Argument(None),
    fail: str = typer.Option(None, help="What to fail with."),
    endless: bool = False,
) -> None:
    if fail == "own":
        raise BundleError("no [red]bundle[/] :smile: at [0, 1]\\nnor below")
    if fail == "system":
        open("absent/file")
    if fail == "bug":
        {}["x"]
    if fail == "exit":
        raise typer.Exit(1)
    if endless:
        typer.echo("begun")
        while True:
            typer.echo("x" * 1000) if fail == "pipe" else time.sleep(0.01)
    typer.echo(f"went to {names}")

@app.command()
def other() -> None:
    typer.echo("the other")

run(app, name="prog")
"""
Process = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("console") / "app.py"
    path.write_text(APP)
    return path


def prog(script: Path, *arguments: str | bytes, **environment: str) -> Process:
    plain = {"COLUMNS": "200", "TERM": "dumb", "PYTHONIOENCODING": "utf-8:strict"}
    return subprocess.run(
        [sys.executable, script, *arguments],
        env=os.environ | plain | environment,
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ([], "went to None"),
        (["a.mp4", "b.mp4"], "went to ['a.mp4', 'b.mp4']"),
        (["go", "a.mp4"], "went to ['a.mp4']"),
        (["--no-endless", "other"], "went to ['other']"),
        (["other"], "the other"),
        (["--debug", "other"], "the other"),
        (["--debug", "a.mp4"], "went to ['a.mp4']"),
    ],
)
def test_arguments_go_to_the_default_command_unless_they_name_another(
    script: Path, arguments: list[str], printed: str
) -> None:
    done = prog(script, *arguments)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, printed, "")


def test_help_is_the_groups_own(script: Path) -> None:
    done = prog(script, "--help")
    assert done.returncode == 0
    assert "prog [OPTIONS] COMMAND" in done.stdout
    for part in ("--install-completion", "--show-completion", "go", "other"):
        assert part in done.stdout


def test_help_of_a_command_is_its_own(script: Path) -> None:
    done = prog(script, "go", "--help")
    assert done.returncode == 0
    assert "What to fail with." in done.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("prog ", {"go", "other"}),
        ("prog o", {"other"}),
        ("prog --", {"--fail", "--endless", "--no-endless", "--help", "--show-completion"}),
        ("prog go --f", {"--fail"}),
        ("prog a.mp4 --f", {"--fail"}),
        ("prog other --", {"--help"}),
    ],
)
def test_completion_offers_the_commands_and_the_options_of_the_default(
    script: Path, typed: str, offered: set[str]
) -> None:
    position = str(typed.count(" "))
    done = prog(script, _PROG_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=position)
    words = done.stdout.split()
    assert set(words) - {"--install-completion"} == offered
    assert len(words) == len(set(words))


@pytest.mark.parametrize("arguments", [["--wrong"], ["other", "extra"], ["go", "--fail"]])
def test_wrong_use_exits_with_2(script: Path, arguments: list[str]) -> None:
    done = prog(script, *arguments)
    assert done.returncode == 2
    assert "Error" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        ("own", "error: no [red]bundle[/] :smile: at [0, 1] nor below\n"),
        ("system", "error: [Errno 2] No such file or directory: 'absent/file'\n"),
        ("bug", "error: unexpected KeyError: 'x' (--debug shows where)\n"),
        ("exit", ""),
    ],
)
def test_a_failure_is_one_literal_line_and_exit_code_1(
    script: Path, failure: str, line: str
) -> None:
    done = prog(script, "--fail", failure)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


@pytest.mark.parametrize(("failure", "place"), [("own", 0), ("system", 1), ("bug", 3)])
def test_debug_anywhere_shows_the_traceback(script: Path, failure: str, place: int) -> None:
    arguments = ["go", "--fail", failure]
    arguments.insert(place, "--debug")
    done = prog(script, *arguments)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert 'app.py", line' in done.stderr


def test_a_file_name_that_is_not_text_is_printed_all_the_same(script: Path) -> None:
    done = prog(script, b"caf\xe9.mp4", LC_ALL="C.UTF-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert "caf" in done.stdout


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_exits_with_130_and_no_traceback(
    script: Path, sig: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, script, "--endless"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(sig)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_a_reader_that_leaves_ends_the_command_in_silence(script: Path) -> None:
    with subprocess.Popen(
        [sys.executable, script, "--endless", "--fail", "pipe"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "begun\n"
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(30)
    assert (process.returncode, errors) == (1, "")
