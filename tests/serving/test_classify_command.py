"""``motionfit-serve classify``: what it is asked in vain."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from motionfit.serving.cli import app

URL = "http://127.0.0.1:9"


@pytest.fixture
def video(tmp_path: Path) -> str:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"video")
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([URL], "name a video after"),
        ([URL, "VIDEO", "--bundle", "b"], "--bundle is the server's"),
        ([URL, "VIDEO", "--threads", "1"], "--threads is the server's"),
        (["VIDEO", "--timeline", "--clips", "2"], "leave --clips out"),
        ([URL, "VIDEO", "--timeline", "--clips", "2"], "leave --clips out"),
        (["VIDEO", "--stride", "1"], "--stride is for --timeline"),
        ([URL, "VIDEO", "--start", "3", "--end", "2"], "--end must be over --start, 3; got 2"),
        ([], "VIDEO"),
    ],
)
def test_wrong_use_says_what_is_wrong(video: str, arguments: list[str], part: str) -> None:
    given = [video if word == "VIDEO" else word for word in arguments]
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["classify", *given])
    assert done.exit_code == 2, done.output
    assert part in done.output


def test_a_servers_variables_do_not_disturb_its_clients(
    video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONFIT_BUNDLE", "/bundle")
    done = CliRunner().invoke(app, ["classify", URL, video])
    assert done.exit_code == 1
    assert URL in str(done.exception)
