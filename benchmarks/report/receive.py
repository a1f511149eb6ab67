"""A file as it comes to a server: through a TCP connection of this machine, to a temporary file."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Thread

from motionfit.benchmarks.report.stages import Stopwatch

PIECE_BYTES = 1 << 16


@contextmanager
def received(path: Path, *, watch: Stopwatch) -> Iterator[Path]:
    """The file at ``path`` as a temporary file that came over the network."""
    with NamedTemporaryFile() as file:
        with watch.stage("receive"):
            with socket.create_server(("127.0.0.1", 0)) as server:
                sender = Thread(target=_send, args=(path, server.getsockname()))
                sender.start()
                connection, _ = server.accept()
            with connection:
                while piece := connection.recv(PIECE_BYTES):
                    file.write(piece)
            sender.join()
            file.flush()
        yield Path(file.name)


def _send(path: Path, address: tuple[str, int]) -> None:
    with socket.create_connection(address) as connection, path.open("rb") as file:
        connection.sendfile(file)
