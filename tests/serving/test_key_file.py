"""The file of API keys and the command that writes it."""

import hmac
import json
import os
import re
import stat
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from motionfit.serving.edge.key_file import KeyFile, KeyFileError, add_key, remove_key
from tests.serving.conftest import COMMAND


def command(*arguments: object, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, "key", *map(str, arguments)],
        env=os.environ | {"COLUMNS": "300", "TERM": "dumb"} | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


def add(path: Path, name: str) -> str:
    return add_key(path, name=name, rate=None, concurrency=None, admin=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_is_printed_once_and_its_hash_is_kept_for_the_owner_alone(path: Path) -> None:
    options = ["--rate", "60/minute", "--concurrency", 2, "--admin"]
    done = command("alice", "--keys", path, *options)
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    assert re.fullmatch(r"mf_[A-Za-z0-9_-]{43}", key)
    assert key not in done.stderr
    assert key not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = KeyFile.read(path).find(key)
    assert found is not None
    assert found.model_dump(exclude={"sha256"}) == {
        "name": "alice",
        "rate": "60/minute",
        "concurrency": 2,
        "admin": True,
    }


def test_the_file_stays_private_whatever_it_was_before(path: Path) -> None:
    add(path, "alice")
    path.chmod(0o644)
    add(path, "bob")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_that_was_taken_back_is_not_found(path: Path) -> None:
    key = add(path, "alice")
    other = add(path, "bob")
    done = command("alice", "--remove", MOTIONFIT_KEYS=str(path))
    assert done.returncode == 0, done.stderr
    assert KeyFile.read(path).find(key) is None
    assert KeyFile.read(path).find(other) is not None


@pytest.mark.parametrize("wrong", ["", "mf_", "mf_" + "A" * 43, "é", "x" * 100_000])
def test_what_is_no_key_is_not_found(path: Path, wrong: str) -> None:
    add(path, "alice")
    assert KeyFile.read(path).find(wrong) is None


def test_every_hash_is_compared_in_constant_time_whoever_asks(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [add(path, f"user-{number}") for number in range(5)]
    file = KeyFile.read(path)
    compared: list[str] = []
    real: Callable[[str, str], bool] = hmac.compare_digest

    def counted(a: str, b: str) -> bool:
        compared.append(a)
        return real(a, b)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    for key in (keys[0], keys[-1], "mf_wrong"):
        compared.clear()
        file.find(key)
        assert compared == [known.sha256 for known in file.keys]


def test_keys_made_at_the_same_time_are_all_kept(path: Path) -> None:
    names = [f"user-{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: add(path, name), names))
    assert sorted(key.name for key in KeyFile.read(path).keys) == sorted(names)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(path, "alice")
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            add(path, "bob")
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["alice", "", "a b", "x\ny", "é", "n" * 65])
def test_a_name_that_is_taken_or_none_is_refused(path: Path, name: str) -> None:
    add(path, "alice")
    with pytest.raises(KeyFileError, match="name"):
        add(path, name)
    assert len(KeyFile.read(path).keys) == 1


@pytest.mark.parametrize("rate", ["often", "0/minute", "-1/minute", "1/second;5/minute", ""])
def test_a_rate_that_is_none_is_refused(path: Path, rate: str) -> None:
    with pytest.raises(KeyFileError, match="rate"):
        add_key(path, name="alice", rate=rate, concurrency=None, admin=False)
    assert not path.exists()


def test_removing_an_unknown_key_says_which_there_are(path: Path) -> None:
    add(path, "alice")
    with pytest.raises(KeyFileError, match="no key 'carol'; it has alice"):
        remove_key(path, name="carol")


@pytest.mark.parametrize(
    "content",
    ["", "{", '{"format": 2, "keys": []}', '{"keys": [{"name": "a", "sha256": "b"}]}', '{"no": 1}'],
)
def test_a_damaged_file_is_refused_and_not_written_over(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(KeyFileError, match=f"{path} is damaged"):
        add(path, "alice")
    assert path.read_text() == content


def test_a_key_in_place_of_its_hash_is_not_shown(path: Path) -> None:
    secret = "mf_" + "S" * 43
    path.write_text(json.dumps({"keys": [{"name": "a", "sha256": secret}]}))
    with pytest.raises(KeyFileError) as refusal:
        KeyFile.read(path)
    assert secret not in str(refusal.value)


def test_a_command_without_a_file_says_how_to_name_one() -> None:
    done = command("alice")
    assert done.returncode == 2
    assert "--keys" in done.stderr
