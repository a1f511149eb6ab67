"""The real server, started and watched from outside: on loopback, in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from motionfit.benchmarks.client import Client
from motionfit.benchmarks.result import ResultError
from motionfit.serving.settings import ENV_PREFIX

START_SECONDS = 60.0
STOP_SECONDS = 60.0
_POLL_SECONDS = 0.01
_MAIN = "from motionfit.serving.cli import main; main()"
_LISTENING = re.compile(r"Listening on (http://\S+)")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that is ready."""

    url: str
    pid: int
    ready_seconds: float
    """From starting its process to the first time that it said it was ready."""
    temp: Path
    """The only folder that it may put temporary files into."""
    printed: Path
    """What it printed, and logged."""

    def unexpected(self) -> list[str]:
        """The errors that it logged with a traceback, a line each."""
        lines = self.printed.read_text(errors="replace").splitlines()
        return [_error_of(line) for line in lines if "Traceback" in line]


@contextmanager
def running_server(settings: Mapping[str, object]) -> Iterator[Server]:
    """``motionfit-serve run`` on a free port of 127.0.0.1.

    ``settings`` are the server's own by name, None for the default; the environment adds none.
    Raises ResultError when the server does not get ready, and when it does not end by itself once
    it is told to.
    """
    with tempfile.TemporaryDirectory() as folder:
        temp, printed = Path(folder) / "temp", Path(folder) / "printed"
        temp.mkdir()
        with printed.open("w") as log:
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _MAIN, "run"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(settings, temp=temp),
                start_new_session=True,
            )
        try:
            url = _wait_ready(process, printed=printed, started=started)
            yield Server(
                url=url,
                pid=process.pid,
                ready_seconds=time.perf_counter() - started,
                temp=temp,
                printed=printed,
            )
            _stop(process, printed=printed)
        finally:
            process.kill()
            process.wait()


def _error_of(line: str) -> str:
    with suppress(ValueError):
        record = json.loads(line)
        return f"{record['message']}: {record['exc_info'].splitlines()[-1]}"
    return line


def _environment(settings: Mapping[str, object], *, temp: Path) -> dict[str, str]:
    others = {n: value for n, value in os.environ.items() if not n.startswith(ENV_PREFIX)}
    own = {"host": "127.0.0.1", "port": 0, **settings}
    given = {f"{ENV_PREFIX}{n.upper()}": str(v) for n, v in own.items() if v is not None}
    return others | given | {"TMPDIR": str(temp)}


def _wait_ready(process: "subprocess.Popen[bytes]", *, printed: Path, started: float) -> str:
    client: Client | None = None
    while time.perf_counter() < started + START_SECONDS and process.poll() is None:
        if client is None and (found := _LISTENING.search(printed.read_text())):
            client = Client(found[1])
        if client is not None:
            with suppress(OSError), client:
                if client.get("/readyz").status == 200:
                    return client.url
        time.sleep(_POLL_SECONDS)
    raise ResultError(f"the server did not get ready: {_last_line(printed)}")


def _stop(process: "subprocess.Popen[bytes]", *, printed: Path) -> None:
    if process.poll() is not None:
        raise ResultError(f"the server ended with {process.returncode}: {_last_line(printed)}")
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        raise ResultError(f"the server did not end within {STOP_SECONDS:g} s") from None
    if code != 0:
        raise ResultError(f"the server ended with {code}: {_last_line(printed)}")


def _last_line(printed: Path) -> str:
    lines = printed.read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it printed nothing")
