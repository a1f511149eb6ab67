"""The server's process: its socket, what it prints, how it stops."""

import logging
import math
import signal
import socket
from types import FrameType
from urllib.parse import urlunsplit

import typer
import uvicorn

from motionfit.serving.app import create_app
from motionfit.serving.settings import Settings
from motionfit.serving.work.pipeline import Pipeline

_DRAIN_SECONDS = 5
_BACKLOG = 2048


def serve(settings: Settings) -> None:
    """Serve until SIGTERM (returns) or Ctrl-C (KeyboardInterrupt).

    Raises OSError when the address cannot be had, BundleError or BackendError when the model
    cannot be loaded or does not answer the warm-up clip.
    """
    _configure_logging()
    with _listen(settings.host, settings.port) as listener:
        app = create_app(settings)
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=math.ceil(settings.decode_timeout_seconds) + _DRAIN_SECONDS,
        )
        server = _Server(config, pipeline=app.state.pipeline, url=_url(listener))
        server.run(sockets=[listener])
    if server.pipeline.failure is not None:
        raise server.pipeline.failure


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, pipeline: Pipeline, url: str) -> None:
        super().__init__(config)
        self.pipeline = pipeline
        self._url = url
        self._announced = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        model = f"{self.pipeline.bundle.name} {self.pipeline.bundle.version}"
        typer.echo(f"Listening on {self._url} with {model} on {self.pipeline.backend}")

    async def on_tick(self, counter: int) -> bool:
        if self.pipeline.ready and not self._announced:
            self._announced = True
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


def _configure_logging() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for noisy in ("uvicorn.error", "python_multipart"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
