"""What code that took a decoding child over could do: it is tried from inside a real one."""

import contextlib
import importlib.util
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from motionfit.inference import decoder_child
from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.errors import DecoderFailed, MotionfitError, VideoError
from motionfit.inference.isolation import DecoderProcess
from tests.conftest import PATIENCE_SECONDS, wait_until

SPEC = ClipSpec(num_frames=4, frame_rate=10.0, short_side=36, crop=32, num_clips=3)
MEASURES = ("limits", "no_new_privileges", "shut_paths", "filter_calls")

pytestmark = pytest.mark.usefixtures("nothing_left")

# Each of them must fail. FILE, FOLDER, PORT and PID are put in.
ATTEMPTS = {
    "read a file": "open(FILE)",
    "read the parent's memory": "open(f'/proc/{PID}/mem', 'rb')",
    "read the parent's environment": "open(f'/proc/{PID}/environ', 'rb')",
    "reopen the video for writing": "open('/proc/self/fd/4', 'r+b')",
    "write into the video": "os.write(4, b'x')",
    "write a file": "open(FOLDER + '/new', 'w')",
    "make a folder": "os.mkdir(FOLDER + '/new')",
    "remove a file": "os.unlink(FILE)",
    "rename a file": "os.rename(FILE, FILE + '.old')",
    "link a file": "os.link(FILE, FILE + '.new')",
    "look at a file": "os.stat(FILE)",
    "list a folder": "os.listdir('/')",
    "change the folder": "os.chdir('/')",
    "make a file in memory": "os.memfd_create('x')",
    "make a pipe": "os.pipe()",
    "load a library": "ctypes.CDLL(FOLDER + '/library.so')",
    "make a TCP socket": "socket.socket()",
    "make a UDP socket": "socket.socket(type=socket.SOCK_DGRAM)",
    "make a Unix socket": "socket.socket(socket.AF_UNIX)",
    "make a raw socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "connect its own socket": "socket.socket(fileno=3).connect(('127.0.0.1', PORT))",
    "fork": "os._exit(0) if os.fork() == 0 else None",
    "run a program": "os.posix_spawn('/bin/true', ['true'], {})",
    "become a program": "os.execv('/bin/true', ['true'])",
    "start a thread": "threading.Thread(target=print).start()",
    "signal its parent": "os.kill(PID, 0)",
    "kill its parent": "os.kill(PID, 9)",
    "trace its parent": "must(libc.ptrace(16, PID, 0, 0))",
    "write into its parent": "must(libc.process_vm_writev(PID, None, 0, None, 0, 0))",
    "open more files": "resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))",
    "use more memory": "resource.setrlimit(resource.RLIMIT_AS, (2**50, 2**50))",
    "write larger files": "resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9))",
    "take a limit from its parent": "resource.prlimit(PID, resource.RLIMIT_NOFILE, (3, 3))",
    "become nicer to itself": "os.nice(-5)",
    "become somebody": "os.setuid(1)",
    "allow itself more": "must(libc.prctl(38, 0, 0, 0, 0))",
    "use another interface": "must(libc.syscall(ctypes.c_long(0x40000000 + 39)))",
    "make a ring of calls": "must(libc.syscall(ctypes.c_long(425), 8, bytes(120)))",
}
TAKEN_OVER = """
import ctypes, errno, json, os, resource, socket, threading
from motionfit.inference import decode_worker
from motionfit.inference.errors import VideoError

FILE, FOLDER, PORT, PID = SECRETS
ATTEMPTS = LIST
libc = ctypes.CDLL(None, use_errno=True)
compiled = {name: compile(code, name, "eval") for name, code in ATTEMPTS.items()}


def must(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def attempt(code):
    try:
        eval(code)
    except OSError as error:
        return errno.errorcode.get(error.errno, repr(error))
    except Exception as error:
        return type(error).__name__
    return "done"


def try_all(file, request, limits):
    found = [attempt(code) for code in compiled.values()]
    os.close(4)  # now a descriptor is free
    found.append(attempt(compiled["make a TCP socket"]))
    raise VideoError(json.dumps(found))


decode_worker._read = try_all
if not CONFINED:
    decode_worker.confine = lambda **_: ()
decode_worker.main()
"""
# What an ordinary child can do, and what is refused in another way than with EPERM.
HARMLESS = {
    *("read a file", "write a file", "look at a file", "list a folder", "load a library"),
    *("make a TCP socket", "make a UDP socket", "fork", "start a thread", "signal its parent"),
    *("open more files", "make a pipe", "make a file in memory"),
}
ANSWERS = {
    "write into the video": "EBADF",
    "load a library": "OSError(",
    "start a thread": "RuntimeError",
    **dict.fromkeys(("open more files", "use more memory", "write larger files"), "ValueError"),
}


@pytest.fixture(scope="module")
def measures() -> tuple[str, ...]:
    """What a child gives up on this kernel."""
    with DecoderProcess() as decoder:
        decoder.start()
        return decoder.confinement


@pytest.fixture
def all_measures(measures: tuple[str, ...]) -> None:
    if measures != MEASURES:
        pytest.skip(f"this kernel, or this container, lacks {set(MEASURES) - set(measures)}")


@pytest.fixture
def listener() -> Iterator[int]:
    """A port at which someone would answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def tried(
    attempts: dict[str, str],
    *,
    confined: bool,
    folder: Path,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    video: Path,
) -> dict[str, str]:
    """What becomes of the attempts in a child: ``done``, or the name of an error."""
    (folder / "file").write_text("keep")
    library = importlib.util.find_spec("numpy.random.mtrand")
    assert library is not None
    assert library.origin is not None
    shutil.copy(library.origin, folder / "library.so")
    (folder / "modules").mkdir()
    worker = TAKEN_OVER.replace(
        "SECRETS", repr((str(folder / "file"), str(folder), port, os.getpid()))
    )
    worker = worker.replace("LIST", repr(attempts)).replace("CONFINED", repr(confined))
    (folder / "modules" / "taken_over.py").write_text(worker)
    monkeypatch.setenv("PYTHONPATH", str(folder / "modules"))
    monkeypatch.setattr(decoder_child, "WORKER", "taken_over")
    with DecoderProcess() as decoder:
        decoder.start()
        assert decoder.confinement == (MEASURES if confined else ())
        with pytest.raises(VideoError) as caught:
            # In memory: what the child gets is a copy that its parent wrote.
            decoder.read_clips(io.BytesIO(video.read_bytes()), spec=SPEC)
    names = (*attempts, "make a TCP socket with a free descriptor")
    return dict(zip(names, json.loads(str(caught.value)), strict=True))


@pytest.mark.usefixtures("all_measures")
def test_a_child_that_was_taken_over_can_do_nothing_but_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made_clip_path: Path, listener: int
) -> None:
    found = tried(
        ATTEMPTS,
        confined=True,
        folder=tmp_path,
        port=listener,
        monkeypatch=monkeypatch,
        video=made_clip_path,
    )
    expected = {name: ANSWERS.get(name, "EPERM") for name in found}
    assert {n: got for n, got in found.items() if not got.startswith(expected[n])} == {}
    assert {path.name for path in tmp_path.iterdir()} == {"file", "library.so", "modules"}
    assert (tmp_path / "file").read_text() == "keep"


def test_without_confinement_the_same_attempts_succeed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made_clip_path: Path, listener: int
) -> None:
    found = tried(
        {name: code for name, code in ATTEMPTS.items() if name in HARMLESS},
        confined=False,
        folder=tmp_path,
        port=listener,
        monkeypatch=monkeypatch,
        video=made_clip_path,
    )
    assert set(found.values()) == {"done"}, found


ALONE = """
import os, socket, sys
from motionfit.inference import confinement

FILE, FOLDER, PORT, SHUT = sys.argv[1:]
already = open(FILE, "r+b", buffering=0)
connection = socket.socket()
assert confinement.no_new_privileges()
assert getattr(confinement, SHUT)()


def error_of(action):
    try:
        action()
    except OSError as error:
        return type(error).__name__
    return "done"


print(error_of(lambda: open(FILE)))
print(error_of(lambda: open(FOLDER + "/new", "w")))
print(error_of(lambda: os.mkdir(FOLDER + "/new")))
print(error_of(lambda: os.listdir(FOLDER)))
print(error_of(lambda: connection.connect(("127.0.0.1", int(PORT)))))
print(error_of(lambda: os.kill(os.getppid(), 0)))
print(already.read())
"""


@pytest.mark.parametrize("measure", ["shut_paths", "filter_calls"])
def test_each_measure_alone_keeps_files_and_the_network_shut(
    measures: tuple[str, ...], tmp_path: Path, listener: int, measure: str
) -> None:
    if measure not in measures:
        pytest.skip(f"this kernel, or this container, lacks {measure}")
    (tmp_path / "file").write_text("keep")
    done = subprocess.run(
        [sys.executable, "-c", ALONE, tmp_path / "file", tmp_path, str(listener), measure],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    *found, content = done.stdout.splitlines()
    if measure == "shut_paths" and "done" in found[4:]:
        found[4:] = ["PermissionError"] * 2  # older kernels shut files only
    assert (found, content, done.stderr) == (["PermissionError"] * 6, "b'keep'", "")


def test_limits_of_a_child_are_down(made_clip_path: Path) -> None:
    with DecoderProcess(limits=DecodeLimits(memory_bytes=10**9)) as decoder:
        decoder.read_clips(made_clip_path, spec=SPEC)
        proc = Path(f"/proc/{decoder.pid}")
        limits = {line[:25].strip(): line[25:].split()[:2] for line in lines(proc / "limits")}
        status = dict(line.split(":\t", 1) for line in lines(proc / "status") if ":\t" in line)
    assert limits["Max file size"] == limits["Max processes"] == ["0", "0"]
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max open files"] == ["5", "5"]
    own, ceiling = int(status["VmPeak"].split()[0]) * 1024, int(limits["Max address space"][1])
    assert 10**9 < ceiling < 10**9 + own
    assert status["NoNewPrivs"] == "1"


def test_a_child_is_the_first_to_go_when_memory_is_short() -> None:
    with DecoderProcess() as decoder:
        decoder.start()
        assert lines(Path(f"/proc/{decoder.pid}/oom_score_adj")) == ["1000"]


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_child_has_nothing_open_but_its_connection_and_then_the_video(slow_video: Path) -> None:
    with DecoderProcess() as decoder, (slow_video).open("rb"):
        decoder.start()
        idle = descriptors(decoder.pid)
        assert [idle[0], idle[1], idle[2]] == ["/dev/null"] * 3
        assert idle[3].startswith("socket:")
        assert len(idle) == 4
        reader = threading.Thread(target=ignoring, args=(decoder, slow_video))
        reader.start()
        wait_until(lambda: len(descriptors(decoder.pid)) == 5)
        assert descriptors(decoder.pid) == idle | {4: str(slow_video)}
        decoder.close()
        reader.join()


def ignoring(decoder: DecoderProcess, path: Path) -> None:
    with contextlib.suppress(MotionfitError):
        decoder.read_clips(path, spec=SPEC)


def descriptors(pid: int | None) -> dict[int, str]:
    return {int(link.name): str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}


def test_a_child_knows_no_secret_of_its_parent(
    monkeypatch: pytest.MonkeyPatch, made_clip_path: Path
) -> None:
    monkeypatch.setenv("MOTIONFIT_KEYS", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PYTHONUTF8", "1")
    with DecoderProcess() as decoder:
        decoder.read_clips(made_clip_path, spec=SPEC)
        environment = Path(f"/proc/{decoder.pid}/environ").read_bytes().split(b"\0")
    assert not any(b"secret" in entry for entry in environment)
    assert b"PYTHONUTF8=1" in environment
    names = {entry.split(b"=")[0].decode() for entry in environment if entry}
    assert all(
        name in {"HOME", "LANG", "LD_LIBRARY_PATH", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"}
        or name.startswith(("LC_", "PYTHON"))
        for name in names
    )


IMPORTING = """
import io, sys
from pathlib import Path
from motionfit.inference import decode_worker
from motionfit.inference.errors import VideoError

decode_worker.warm_up()
before = set(sys.modules)
for path in Path(sys.argv[1]).rglob("*"):
    request = {"spec": decode_worker.SMALLEST_SPEC.to_json(), "span": {}}
    if path.is_file():
        with path.open("rb") as file:
            list(decode_worker._answers(file, request, decode_worker.DecodeLimits()))
print(sorted(set(sys.modules) - before))
"""


def test_no_video_makes_a_child_import_anything(data_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING, data_dir / "odd"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_an_error_in_a_child_is_told_and_not_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made_clip_path: Path, capfd: Any
) -> None:
    worker = """
from motionfit.inference import decode_worker

def broken(file, request, limits):
    print("printed", flush=True)
    raise ZeroDivisionError("one\\ntwo")

decode_worker._read = broken
decode_worker.main()
"""
    (tmp_path / "broken.py").write_text(worker)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(decoder_child, "WORKER", "broken")
    with DecoderProcess() as decoder:
        for _ in range(2):
            with pytest.raises(DecoderFailed, match="ZeroDivisionError") as failure:
                decoder.read_clips(made_clip_path, spec=SPEC)
        assert decoder.jobs == 2
    (note,) = failure.value.__notes__
    assert re.fullmatch(r"In the decoding process:\n(.+:\d+ in .+\n)+.+broken.py:6 in broken", note)
    assert capfd.readouterr() == ("", "")
