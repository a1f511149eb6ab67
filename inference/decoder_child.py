"""Starting the process that decodes, and ending it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass

from motionfit.inference.limits import DecodeLimits

WORKER = "motionfit.inference.decode_worker"


@dataclass(frozen=True)
class Child:
    """A running process and the socket to it, which does not block."""

    process: "subprocess.Popen[bytes]"
    connection: socket.socket

    def kill(self) -> None:
        """End the process, and with it the call of another thread that waits for it."""
        with contextlib.suppress(OSError):  # the child has hung up
            self.connection.shutdown(socket.SHUT_RDWR)
        self.process.kill()
        self.process.wait()


def spawn(limits: DecodeLimits, *, nice: int) -> Child:
    """Start a child that has not said yet that it is ready; ``nice`` is added to our niceness."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.ExitStack() as undo, theirs:
        undo.callback(ours.close)
        ours.setblocking(False)
        process = subprocess.Popen(
            # -P: nothing that lies in the working directory is imported.
            [
                *(sys.executable, "-P", "-m", WORKER),
                *(str(theirs.fileno()), json.dumps(asdict(limits)), str(nice)),
            ],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env=_environment(),
        )
        undo.pop_all()
    return Child(process, ours)


def _environment() -> dict[str, str]:
    """What Python needs of the parent's environment, without the parent's secrets, and without
    the threads that numeric libraries would start.
    """
    kept = {name: value for name, value in os.environ.items() if _is_harmless(name)}
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _is_harmless(name: str) -> bool:
    return name in {"HOME", "LANG", "LD_LIBRARY_PATH"} or name.startswith(("LC_", "PYTHON"))
