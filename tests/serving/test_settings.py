"""Settings: which source wins, what is refused, and that all of them can be seen."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from motionfit.serving.settings import Settings, SettingsError, read_settings
from tests.serving.conftest import COMMAND


def file_of(folder: Path, text: str) -> Path:
    path = folder / "motionfit.toml"
    path.write_text(text)
    return path


def command(*arguments: object, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        env=os.environ | {"COLUMNS": "500", "TERM": "dumb"} | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_flags_win_over_variables_over_the_file_over_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_of(tmp_path, "port = 1\ndecoders = 1\nqueue_size = 1\n")
    monkeypatch.setenv("MOTIONFIT_PORT", "2")
    monkeypatch.setenv("MOTIONFIT_DECODERS", "2")
    settings = read_settings(config=file, port=3)
    assert (settings.port, settings.decoders, settings.queue_size) == (3, 2, 1)
    assert settings.max_clips == Settings.model_fields["max_clips"].default


def test_a_variable_names_the_file_and_a_flag_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONFIT_CONFIG", str(file_of(tmp_path, "port = 1")))
    assert read_settings().port == 1
    (tmp_path / "other").mkdir()
    assert read_settings(config=file_of(tmp_path / "other", "port = 2")).port == 2


def test_reading_again_sees_the_file_of_now_and_the_flags_of_then(tmp_path: Path) -> None:
    settings = read_settings(config=file_of(tmp_path, "port = 1\ndecoders = 1"), decoders=5)
    file_of(tmp_path, "port = 2\ndecoders = 2")
    again = settings.read_again()
    assert (again.port, again.decoders) == (2, 5)


def test_origins_are_a_list_in_the_file_and_text_in_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ("https://a.example", "https://b.example")
    file = file_of(tmp_path, f"cors_origins = {list(both)}".replace("'", '"'))
    assert read_settings(config=file).cors_origins == both
    monkeypatch.setenv("MOTIONFIT_CORS_ORIGINS", ", ".join(both))
    assert read_settings().cors_origins == both


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("prot = 1", ["'prot'", "did you mean port?", "max_upload_bytes, "]),
        ("[server]\nport = 1", ["'server'", "Settings are "]),
        ('config = "other.toml"', ["'config'"]),
        ("port = 70000", ["port", "70000", "65535"]),
        ('port = "many"', ["port", "'many'"]),
        ("port =", ["cannot be read", "Invalid value"]),
        ("port = 1\nport = 2", ["cannot be read", "overwrite"]),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_what_is_wrong(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    with pytest.raises(SettingsError) as refusal:
        read_settings(config=file_of(tmp_path, text))
    for part in parts:
        assert part in str(refusal.value)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings(config=tmp_path / name)


def test_a_wrong_file_is_wrong_use_of_the_command(tmp_path: Path) -> None:
    done = command("--config", file_of(tmp_path, "prot = 1"))
    assert done.returncode == 2
    assert "did you mean port?" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_printed_settings_are_a_file_that_makes_them(tmp_path: Path) -> None:
    given = file_of(tmp_path, 'decoders = 3\ncors_origins = ["https://a"]\nbundle = "b \\"c\\" é"')
    done = command("settings", "--config", given, MOTIONFIT_PORT="0", MOTIONFIT_THREADS="2")
    assert done.returncode == 0, done.stderr
    (tmp_path / "printed").mkdir()
    printed = read_settings(config=file_of(tmp_path / "printed", done.stdout))
    expected = read_settings(config=given, port=0, threads=2)
    assert printed.shown() | {"config": str(given)} == expected.shown()


def test_every_setting_is_printed_with_its_default_and_what_it_is() -> None:
    printed = command("settings").stdout
    values = "\n".join(line for line in printed.splitlines() if not line.endswith("="))
    defaults = tomllib.loads("\n".join(line[2:] for line in values.splitlines() if " = " in line))
    for name, field in Settings.model_fields.items():
        if name != "config":
            assert f"\n# {field.description}\n# {name} =" in printed
        if field.default is not None and name != "config":
            assert defaults[name] == Settings().shown()[name]


def test_a_timeline_has_two_windows_at_least() -> None:
    with pytest.raises(ValidationError, match="max_windows"):
        Settings(max_windows=1)
