"""A video that crashes, hangs or bloats the decoder costs one call, and nothing stays behind."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from motionfit.benchmarks.damage import encoded
from motionfit.inference import decoder_child
from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.errors import (
    BackendError,
    DecoderCrashed,
    DecodeTimeout,
    NotAVideo,
    SpecError,
    UnreadableVideo,
    VideoTooLarge,
)
from motionfit.inference.isolation import DecoderProcess
from motionfit.inference.video import Clips, Source, read_clips
from motionfit.inference.warmup import made_clip
from tests.conftest import PATIENCE_SECONDS, running, wait_until

SPEC = ClipSpec(num_frames=4, frame_rate=10.0, short_side=36, crop=32, num_clips=3)

pytestmark = pytest.mark.usefixtures("nothing_left")


def assert_same(one: Clips, other: Clips) -> None:
    np.testing.assert_array_equal(one.frames, other.frames)
    np.testing.assert_array_equal(one.starts_us, other.starts_us)
    assert one.info == other.info
    assert one.frames.dtype == np.uint8
    assert one.starts_us.dtype == np.int64


@pytest.mark.parametrize("num_clips", [None, 1, 7])
def test_the_child_reads_the_same_clips(
    decoder: DecoderProcess, real_clip: Path, num_clips: int | None
) -> None:
    expected = read_clips(real_clip, spec=SPEC, num_clips=num_clips)
    assert_same(decoder.read_clips(real_clip, spec=SPEC, num_clips=num_clips), expected)
    assert expected.frames.shape == (num_clips or SPEC.num_clips, 4, 32, 32, 3)


def test_one_child_reads_many_videos_and_survives_bad_ones(
    decoder: DecoderProcess, made_clip_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("not a video")
    pid = decoder.pid
    decoder.read_clips(made_clip_path, spec=SPEC)
    with pytest.raises(NotAVideo, match="accepted are"):
        decoder.read_clips(tmp_path / "text", spec=SPEC)
    decoder.read_clips(str(made_clip_path), spec=SPEC)
    assert decoder.pid == pid


def test_a_video_may_be_bytes_in_memory_an_open_file_or_a_pipe(
    decoder: DecoderProcess, made_clip_path: Path, tmp_path: Path
) -> None:
    expected = read_clips(made_clip_path, spec=SPEC)
    assert_same(decoder.read_clips(io.BytesIO(made_clip_path.read_bytes()), spec=SPEC), expected)
    with made_clip_path.open("rb") as file:
        file.seek(100)
        assert_same(decoder.read_clips(file, spec=SPEC), expected)
    with (tmp_path / "written").open("w+b") as file:
        file.write(made_clip_path.read_bytes())  # its end is still in the file's buffer
        assert_same(decoder.read_clips(file, spec=SPEC), expected)
    with subprocess.Popen(["cat", made_clip_path], stdout=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        pipe: Source = f"/proc/self/fd/{cat.stdout.fileno()}"
        assert_same(decoder.read_clips(pipe, spec=SPEC), expected)


def test_the_callers_file_can_be_read_on(decoder: DecoderProcess, made_clip_path: Path) -> None:
    with made_clip_path.open("rb") as file:
        file.read(10)
        decoder.read_clips(file, spec=SPEC)
        file.seek(0)
        assert file.read() == made_clip_path.read_bytes()


def test_a_header_that_points_beyond_every_file_is_the_videos_fault(
    decoder: DecoderProcess, tmp_path: Path
) -> None:
    wmv = bytearray(encoded(np.zeros((5, 64, 64, 3), np.uint8), container="asf", codec="wmv2"))
    wmv[46:54] = (2**62).to_bytes(8, "little")  # the size of the first object in the header
    (tmp_path / "far.wmv").write_bytes(wmv)
    pid = decoder.pid
    with pytest.raises(UnreadableVideo):
        decoder.read_clips(tmp_path / "far.wmv", spec=SPEC)
    assert decoder.pid == pid


def test_a_missing_file_is_the_callers_error(decoder: DecoderProcess, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent.mp4"):
        decoder.read_clips(tmp_path / "absent.mp4", spec=SPEC)


@pytest.mark.parametrize("num_clips", [0, -1, 65])
def test_a_wrong_number_of_clips_is_refused_before_the_child_hears_of_it(
    made_clip_path: Path, num_clips: int
) -> None:
    with DecoderProcess() as decoder:
        with pytest.raises(SpecError, match=f"from 1 to 64, got {num_clips}"):
            decoder.read_clips(made_clip_path, spec=SPEC, num_clips=num_clips)
        assert decoder.pid is None


@pytest.mark.parametrize("sig", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_while_decoding_costs_one_call(
    slow_video: Path, made_clip_path: Path, sig: signal.Signals
) -> None:
    with DecoderProcess() as decoder:
        decoder.start()
        assert (pid := decoder.pid) is not None
        killer = threading.Timer(0.2, os.kill, (pid, sig))
        killer.start()
        with pytest.raises(DecoderCrashed, match=f"died by signal {sig.value} "):
            decoder.read_clips(slow_video, spec=SPEC)
        killer.join()
        assert not running(pid)
        assert_same(
            decoder.read_clips(made_clip_path, spec=SPEC), read_clips(made_clip_path, spec=SPEC)
        )
        assert decoder.pid != pid


def test_a_child_that_died_between_two_videos_costs_nothing(made_clip_path: Path) -> None:
    with DecoderProcess() as decoder:
        decoder.start()
        assert (pid := decoder.pid) is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not running(pid))
        decoder.read_clips(made_clip_path, spec=SPEC)


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "slow"])
def test_a_hang_ends_at_the_time_limit(
    slow_video: Path, made_clip_path: Path, stopped: bool
) -> None:
    with DecoderProcess(limits=DecodeLimits(timeout_seconds=3.0)) as decoder:
        decoder.start()
        assert (pid := decoder.pid) is not None
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        with pytest.raises(DecodeTimeout, match="the 3 s of time allowed"):
            decoder.read_clips(made_clip_path if stopped else slow_video, spec=SPEC)
        assert 3 <= time.monotonic() - begin < PATIENCE_SECONDS
        assert not running(pid)
        decoder.read_clips(made_clip_path, spec=SPEC)


def test_a_memory_bomb_is_a_video_too_large(slow_video: Path, made_clip_path: Path) -> None:
    with DecoderProcess(limits=DecodeLimits(memory_bytes=100_000_000)) as decoder:
        with pytest.raises(VideoTooLarge, match="100000000 bytes of memory"):
            decoder.read_clips(slow_video, spec=SPEC)
        pid = decoder.pid
        decoder.read_clips(made_clip_path, spec=SPEC)
        assert decoder.pid == pid


def test_closing_ends_the_child_and_a_second_time_does_nothing(made_clip_path: Path) -> None:
    decoder = DecoderProcess()
    decoder.read_clips(made_clip_path, spec=SPEC)
    assert (pid := decoder.pid) is not None
    decoder.close()
    assert not running(pid)
    assert decoder.pid is None
    decoder.close()
    for use in (decoder.start, lambda: decoder.read_clips(made_clip_path, spec=SPEC)):
        with pytest.raises(BackendError, match="the decoder was closed"):
            use()


@pytest.mark.parametrize("seconds", [0.0, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0])
def test_closing_from_another_thread_ends_the_call_wherever_it_is(
    slow_video: Path, seconds: float
) -> None:
    decoder = DecoderProcess()
    closer = threading.Timer(seconds, decoder.close)
    closer.start()
    with pytest.raises(BackendError, match="the decoder was closed"):
        decoder.read_clips(slow_video, spec=SPEC)
    closer.join()
    assert decoder.pid is None


def test_an_interrupted_call_does_not_answer_the_next(slow_video: Path, real_clip: Path) -> None:
    with DecoderProcess() as decoder:
        decoder.start()
        interrupt = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            decoder.read_clips(slow_video, spec=SPEC)
        interrupt.join()
        assert_same(decoder.read_clips(real_clip, spec=SPEC), read_clips(real_clip, spec=SPEC))


def test_each_thread_can_have_its_own(tmp_path: Path) -> None:
    paths = [tmp_path / f"{width}.mp4" for width in (160, 192, 224)]
    for path in paths:
        path.write_bytes(made_clip(seconds=1.0, width=int(path.stem)))

    def widths(path: Path) -> set[int]:
        with DecoderProcess() as decoder:
            return {decoder.read_clips(path, spec=SPEC).info.width for _ in range(10)}

    with ThreadPoolExecutor(len(paths)) as threads:
        assert list(threads.map(widths, paths)) == [{160}, {192}, {224}]


# No ``if __name__ == "__main__"``: the child must not run its parent's script again.
SCRIPT = """
import sys
from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.isolation import DecoderProcess

decoder = DecoderProcess(limits=DecodeLimits(timeout_seconds=5.0))
decoder.start()
print(decoder.pid, flush=True)
sys.stdin.readline()
clips = decoder.read_clips(sys.argv[1], spec=ClipSpec.from_json(SPEC))
print(clips.info.duration_seconds, flush=True)
decoder.close()
""".replace("SPEC", repr(SPEC.to_json()))


@pytest.fixture
def script(tmp_path: Path) -> Callable[[Path], "subprocess.Popen[str]"]:
    (tmp_path / "script.py").write_text(SCRIPT)

    def start(video: Path) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "script.py", video],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_a_plain_script_can_use_it_wherever_it_is_run(
    script: Callable[[Path], "subprocess.Popen[str]"], made_clip_path: Path, tmp_path: Path
) -> None:
    # What lies in the working directory must not be taken for a library.
    hostile = tmp_path / "elsewhere"
    hostile.mkdir()
    for name in ("av", "numpy", "resource", "motionfit"):
        (hostile / f"{name}.py").write_text("raise SystemExit('imported from the wrong place')")
    with subprocess.Popen(
        [sys.executable, tmp_path / "script.py", made_clip_path],
        cwd=hostile,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        printed, errors = process.communicate("go\n", timeout=PATIENCE_SECONDS)
    assert (printed.split()[1:], errors) == (["2.0"], "")


def test_a_lower_cap_on_memory_that_is_there_already_stays(
    made_clip_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        ["bash", "-c", 'ulimit -v 1500000; exec "$@"', "", sys.executable, "script.py"]
        + [str(made_clip_path)],
        cwd=tmp_path,
        input="go\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.stdout.split()[1:], done.stderr) == (["2.0"], "")


@pytest.mark.parametrize("decoding", [False, True], ids=["idle", "decoding"])
def test_the_child_does_not_outlive_a_killed_parent(
    script: Callable[[Path], "subprocess.Popen[str]"], slow_video: Path, decoding: bool
) -> None:
    with script(slow_video) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        if decoding:
            parent.stdin.write("go\n")
            parent.stdin.flush()
            time.sleep(0.5)
        assert running(child)
        parent.kill()
    wait_until(lambda: not running(child))


HOSTILE_WORKER = """
import json, socket, sys
connection = socket.socket(fileno=int(sys.argv[1]))

def say(message):
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    connection.sendall(len(data).to_bytes(4, "big") + data)

say({"confined": [], "bytes": 0})
socket.recv_fds(connection, 4096, 1)
%s
connection.recv(1)
"""
INFO = (
    "'info': {'container': 'mov', 'codec': 'h264', 'width': 1, 'height': 1, 'frame_rate': 25,"
    " 'duration_seconds': 1, 'notes': []}"
)


def clips(*, count: int = 3, left: int = 0, starts: str = "[0, 1, 2]", info: str = INFO) -> str:
    """What the hostile worker says when it answers with clips."""
    size = count * 4 * 32 * 32 * 3
    answer = f"{{'bytes': {size}, 'left': {left}, 'starts_us': {starts}, {info}}}"
    return f"say({answer}); connection.sendall(bytes({size}))"


LIES = {
    "no JSON": "say(b'{')",
    "no object": "say([])",
    "no answer": "say({'bytes': 0})",
    "nothing but nesting": "say(b'[' * 100_000)",
    "a message of 4 GiB": "connection.sendall(b'\\xff' * 100)",
    "pixels of 4 GiB": "say({'bytes': 2**32})",
    "less than no pixels": "say({'bytes': -1})",
    "too few pixels": f"say({{'bytes': 3, 'left': 0, 'starts_us': [0, 1, 2], {INFO}}}); "
    "connection.sendall(b'abc')",
    "an endless time": clips(starts="[0, 1, 2**80]"),
    "an unknown field": clips(info="'info': {'notes': [], 'x': 1}"),
    "a video without a codec": clips(info="'info': {'notes': []}"),
    "a width that is no number": clips(info=INFO.replace("'width': 1", "'width': 'wide'")),
    "an endless video": clips(
        info=INFO.replace("'duration_seconds': 1", "'duration_seconds': 1e999")
    ),
    "a codec that moves the cursor": clips(info=INFO.replace("h264", "\\x1b[2J")),
    "a note of ten lines": clips(info=INFO.replace("[]", "['\\n' * 9]")),
    "an error as long as a book": "say({'bytes': 0, 'error': 'no-frames', 'message': 'x' * 9999, "
    "'codec': None})",
    "more clips than asked for": clips(left=1),
    "fewer clips than asked for": clips(count=1, starts="[0]"),
    "no clip at all": clips(count=0, starts="[]"),
    "an error that is none": "say({'bytes': 0, 'error': [], 'message': 'x', 'codec': None})",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_child_that_was_taken_over_cannot_reach_its_parent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made_clip_path: Path, lie: str
) -> None:
    (tmp_path / "hostile_worker.py").write_text(HOSTILE_WORKER % LIES[lie])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(decoder_child, "WORKER", "hostile_worker")
    with DecoderProcess() as decoder:
        with pytest.raises(DecoderCrashed, match="broke its protocol"):
            decoder.read_clips(made_clip_path, spec=SPEC)
        assert decoder.pid is None


def test_a_child_that_cannot_start_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, made_clip_path: Path
) -> None:
    monkeypatch.setattr(decoder_child, "WORKER", "motionfit.no_such_module")
    with DecoderProcess() as decoder, pytest.raises(BackendError, match="did not start"):
        decoder.read_clips(made_clip_path, spec=SPEC)
