"""The server's process: its socket, what it prints, how it stops."""

import asyncio
import ctypes
import gc
import logging
import math
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from urllib.parse import urlunsplit

import typer
import uvicorn
from fastapi import FastAPI

from motionfit.serving.app import create_app
from motionfit.serving.edge.logs import configure_logging
from motionfit.serving.edge.protocol import MAX_HEADER_BYTES, ConnectionLimits, limited_protocol
from motionfit.serving.settings import Settings
from motionfit.serving.work.pipeline import Pipeline
from motionfit.serving.work.reload import Reloader

_DRAIN_SECONDS = 5
_BACKLOG = 2048
_M_ARENA_MAX, _M_TRIM_THRESHOLD = -8, -1  # of malloc.h

log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM (returns) or Ctrl-C (KeyboardInterrupt).

    Raises OSError when the address cannot be had, BundleError or BackendError when the model
    cannot be loaded or does not answer the warm-up clip.
    """
    configure_logging(settings.log_format)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    _raise_file_limit()
    _give_back_freed_memory()
    with _listen(settings.host, settings.port) as listener:
        with _signals_held() as held:
            app = create_app(settings)
        if held:
            app.state.pipeline.close()
            if signal.SIGINT in held:
                raise KeyboardInterrupt
            return
        log.info("settings", extra={"settings": settings.shown()})
        server = _Server(_config(app, settings), app=app, url=_url(listener))
        server.run(sockets=[listener])
    if server.pipeline.failure is not None:
        raise server.pipeline.failure


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    limits = ConnectionLimits(
        max_connections=settings.max_connections,
        header_seconds=settings.header_timeout_seconds,
        response_seconds=settings.response_seconds,
    )
    longest = max(settings.deadline_seconds, settings.timeline_deadline_seconds)
    return uvicorn.Config(
        app,
        http=limited_protocol(limits, metrics=app.state.pipeline.metrics),
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(longest) + _DRAIN_SECONDS,
    )


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, app: FastAPI, url: str) -> None:
        super().__init__(config)
        self.pipeline: Pipeline = app.state.pipeline
        self._reloader: Reloader = app.state.reloader
        self._url = url
        self._announced = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reloader.on_signal)
        engine = self.pipeline.engine
        model = f"{engine.bundle.name} {engine.bundle.version}"
        typer.echo(f"Listening on {self._url} with {model} on {engine.backend}")

    async def on_tick(self, counter: int) -> bool:
        if self.pipeline.ready and not self._announced:
            self._announced = True
            gc.freeze()  # what is there now stays: collecting garbage need not look at it again
            typer.echo(f"Ready. Try:  curl -F video=@clip.mp4 {self._url}/classify")
        return await super().on_tick(counter) or self.pipeline.failure is not None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Being told to stop is no failure. Any other signal is raised again after the shutdown.
        if sig == signal.SIGTERM:
            self.should_exit = True
        else:
            super().handle_exit(sig, frame)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return _listener(host, port)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"cannot listen on {host}, port {port}: {reason}. "
            "Choose another with --host and --port (--port 0 takes a free one)"
        ) from error


def _listener(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # Not socket.create_server: it names no protocol, so asyncio would not set TCP_NODELAY on the
    # connections, and every answer would take 40 ms longer.
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:
        host = "localhost"
    shown = f"[{host}]" if ":" in host else host
    return urlunsplit(("http", f"{shown}:{port}", "", "", ""))


@contextmanager
def _signals_held() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM only get on a list: a runtime must not be torn down while it loads."""
    held: list[int] = []
    before = {
        sig: signal.signal(sig, lambda sig, _: held.append(sig))
        for sig in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield held
    finally:
        for sig, handler in before.items():
            signal.signal(sig, handler)


def _give_back_freed_memory() -> None:
    """Without this glibc keeps memory in an arena for each thread, and more of it with time."""
    with suppress(AttributeError, OSError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, 1024**2)


def _raise_file_limit() -> None:
    """As many open files as this process may have: a connection is one, and an upload."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
