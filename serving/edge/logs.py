"""Log lines: JSON objects, or text for a person. One record cannot look like another's line."""

import logging
import os
import queue
import re
import threading
from contextlib import suppress
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from motionfit.serving.edge.request_ids import request_id
from motionfit.serving.settings import LogFormat

KEY_PREFIX = "mf_"
"""What every API key begins with, so that it is known where it should not be."""
_KEY = re.compile(rf"{KEY_PREFIX}[A-Za-z0-9_-]{{16,}}")
_NOISY = ("uvicorn.error", "python_multipart")
_STDERR = 2
_MOST_WAITING = 10_000  # lines that nobody has read yet
_LAST_LINES_SECONDS = 2.0  # that the end of the process may wait for them to be read

log = logging.getLogger(__name__)


def configure_logging(log_format: LogFormat) -> None:
    """Send all records, warnings and threads' uncaught exceptions of this process to stderr.

    Where stderr is not read, or cannot be written to, the server goes on: lines are lost, and
    counted.
    """
    handler = _Handler()
    handler.setFormatter(_json() if log_format is LogFormat.JSON else _Text())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.ERROR)
    logging.captureWarnings(True)
    threading.excepthook = _log_uncaught


class _Handler(logging.Handler):
    """Hands the lines to a thread that writes them."""

    def __init__(self) -> None:
        super().__init__()
        self._lost = 0
        self._lines: queue.Queue[str | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def format(self, record: logging.LogRecord) -> str:
        record.request_id = request_id.get()
        return without_keys(super().format(record))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(f"{self.format(record)}\n")
        except queue.Full:
            self._lost += 1
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        with suppress(queue.Full):
            self._lines.put_nowait(None)
            self._thread.join(_LAST_LINES_SECONDS)
        super().close()

    def _write(self) -> None:
        # Not through sys.stderr: its lock, held by a write that blocks, would fail the exit.
        torn = False
        while line := self._lines.get():
            text = line.encode(errors="backslashreplace")
            rest = b"\n" + text if torn else text
            try:
                while rest:
                    rest = rest[os.write(_STDERR, rest) :]
            except OSError:  # a full disk, a reader that is gone
                self._lost += 1
                torn = torn or len(rest) < len(text)
            else:
                torn = False
                self._tell_lost()

    def _tell_lost(self) -> None:
        if self._lost and self._lines.empty():
            lost, self._lost = self._lost, 0
            log.warning("%d log lines were lost, because stderr was not read or not writable", lost)


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        # Further lines are indented, so that only what begins a record stands at the margin.
        return "\n    ".join(_printable(line) for line in super().format(record).split("\n"))

    def formatMessage(self, record: logging.LogRecord) -> str:
        settings: dict[str, Any] = getattr(record, "settings", {})
        values = [f"{name} = {value}" for name, value in settings.items()]
        return "\n".join([super().formatMessage(record), *values])


def without_keys(text: str) -> str:
    """``text`` with whatever looks like an API key blotted out."""
    return _KEY.sub(f"{KEY_PREFIX}***", text)


def _json() -> logging.Formatter:
    return JsonFormatter(
        ["levelname", "name", "message", "request_id"],
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
    )


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _log_uncaught(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None:
        log.error("a thread failed", exc_info=failure.exc_value)
