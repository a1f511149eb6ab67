"""Log lines: JSON objects, or text for a person. One record cannot look like another's line."""

import logging
import re
import sys
import threading
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from motionfit.serving.edge.request_ids import request_id
from motionfit.serving.settings import LogFormat

KEY_PREFIX = "mf_"
"""What every API key begins with, so that it is known where it should not be."""
_KEY = re.compile(rf"{KEY_PREFIX}[A-Za-z0-9_-]{{16,}}")
_NOISY = ("uvicorn.error", "python_multipart")

log = logging.getLogger(__name__)


def configure_logging(log_format: LogFormat) -> None:
    """Send all records, warnings and threads' uncaught exceptions of this process to stderr."""
    handler = _Handler(sys.stderr)
    handler.setFormatter(_json() if log_format is LogFormat.JSON else _Text())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.ERROR)
    logging.captureWarnings(True)
    threading.excepthook = _log_uncaught


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    def format(self, record: logging.LogRecord) -> str:
        record.request_id = request_id.get()
        return without_keys(super().format(record))


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
