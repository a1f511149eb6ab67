"""What can be asked of a decoder, and how a call ends early: streams, cancelling, renewing."""

import gc
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.errors import (
    BackendError,
    Cancelled,
    DecoderCrashed,
    DecodeTimeout,
    NotAVideo,
    SpanOutside,
    TooManyWindows,
    UnreadableVideo,
)
from motionfit.inference.isolation import DecoderProcess
from motionfit.inference.sampling import Span
from motionfit.inference.video import Clips, read_clips, read_windows
from tests.conftest import PATIENCE_SECONDS, running
from tests.inference.made_videos import even_times, remux, write_video

SPEC = ClipSpec(num_frames=4, frame_rate=10.0, short_side=36, crop=32, num_clips=3)
BIG = ClipSpec(num_frames=16, frame_rate=10.0, short_side=128, crop=128)

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("long") / "a.mp4", even_times(1_000, 25))


def assert_same(found: list[Clips], expected: list[Clips]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
        np.testing.assert_array_equal(one.starts_us, other.starts_us)
        assert (one.info, one.left) == (other.info, other.left)


def later(seconds: float, action: object) -> threading.Timer:
    timer = threading.Timer(seconds, action)  # type: ignore[arg-type]
    timer.start()
    return timer


def test_the_child_reads_the_same_part_of_a_video(
    decoder: DecoderProcess, long_video: Path
) -> None:
    span = Span(start_seconds=7.5, end_seconds=11.0)
    expected = read_clips(long_video, spec=SPEC, span=span)
    assert_same([decoder.read_clips(long_video, spec=SPEC, span=span)], [expected])
    with pytest.raises(SpanOutside, match="40 s long"):
        decoder.read_clips(long_video, spec=SPEC, span=Span(start_seconds=40.0))


@pytest.mark.parametrize("stride_seconds", [0.1, 0.3, 7.0])
def test_the_child_reads_the_same_windows(
    decoder: DecoderProcess, long_video: Path, stride_seconds: float
) -> None:
    options = {"spec": SPEC, "stride_seconds": stride_seconds, "max_windows": 400}
    with long_video.open("rb") as file:
        found = list(decoder.read_windows(file, **options))  # type: ignore[arg-type]
    assert_same(found, list(read_windows(long_video, **options)))  # type: ignore[arg-type]


def test_errors_of_windows_are_those_of_the_video(
    decoder: DecoderProcess, long_video: Path, made_clip_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("not a video")
    pid = decoder.pid
    with pytest.raises(NotAVideo):
        list(decoder.read_windows(tmp_path / "text", spec=SPEC, stride_seconds=1, max_windows=9))
    with pytest.raises(TooManyWindows, match=r"slide by 4\.95 s") as caught:
        list(decoder.read_windows(long_video, spec=SPEC, stride_seconds=1, max_windows=9))
    assert caught.value.codec == "h264"
    with pytest.raises(ValueError, match="stride_seconds"):
        decoder.read_windows(long_video, spec=SPEC, stride_seconds=0, max_windows=9)
    with pytest.raises(FileNotFoundError):
        list(decoder.read_windows(tmp_path / "none", spec=SPEC, stride_seconds=1, max_windows=9))
    decoder.read_clips(made_clip_path, spec=SPEC)
    assert decoder.pid == pid


def test_the_codec_of_a_faulty_video_is_told_where_it_is_known(
    decoder: DecoderProcess, made_clip_path: Path, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "a.mkv", even_times(50, 25))
    spoiled = remux(
        path,
        tmp_path / "b.mkv",
        change=lambda packets: [packet.update(b"\x7f" * packet.size) for packet in packets],
    )
    for read in (read_clips, decoder.read_clips):
        with pytest.raises(UnreadableVideo) as caught:
            read(spoiled, spec=SPEC)
        assert caught.value.codec == "h264"
        with pytest.raises(UnreadableVideo) as caught:
            read(tmp_path / cut(made_clip_path, tmp_path), spec=SPEC)
        assert caught.value.codec is None


def cut(path: Path, folder: Path) -> Path:
    """An MP4 without its headers."""
    data = path.read_bytes()
    (folder / "cut.mp4").write_bytes(data[: data.index(b"moov")])
    return folder / "cut.mp4"


def test_the_child_waits_for_a_reader_that_is_slow(long_video: Path) -> None:
    limits = DecodeLimits(timeout_seconds=2.0)
    with DecoderProcess(limits=limits) as decoder:
        windows = decoder.read_windows(long_video, spec=BIG, stride_seconds=0.2, max_windows=400)
        next(windows)
        # It stands still: it does not decode ahead, and its time limit does not run.
        time.sleep(0.5)
        worked = cpu_seconds(decoder.pid)
        time.sleep(2.2)
        assert cpu_seconds(decoder.pid) - worked < 0.1
        assert sum(len(chunk.frames) for chunk in windows) > 100


def cpu_seconds(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_windows_that_nobody_takes_do_not_answer_the_next_call(
    long_video: Path, made_clip_path: Path
) -> None:
    expected = read_clips(made_clip_path, spec=SPEC)
    with DecoderProcess() as decoder:
        for end in ("close", "forget", "raise"):
            windows = decoder.read_windows(long_video, spec=BIG, stride_seconds=1, max_windows=99)
            assert next(windows).left
            pid = decoder.pid
            if end == "raise":
                with pytest.raises(KeyError):
                    windows.throw(KeyError())
            elif end == "close":
                windows.close()
            del windows
            gc.collect()
            assert_same([decoder.read_clips(made_clip_path, spec=SPEC)], [expected])
            assert decoder.pid != pid


def test_windows_taken_to_the_end_leave_the_child(long_video: Path, made_clip_path: Path) -> None:
    with DecoderProcess() as decoder:
        windows = decoder.read_windows(long_video, spec=SPEC, stride_seconds=1, max_windows=99)
        while next(windows).left:
            pass
        pid = decoder.pid
        windows.close()
        decoder.read_clips(made_clip_path, spec=SPEC)
        assert decoder.pid == pid


def test_a_decoder_can_be_closed_between_two_chunks(long_video: Path) -> None:
    decoder = DecoderProcess()
    windows = decoder.read_windows(long_video, spec=BIG, stride_seconds=1, max_windows=99)
    next(windows)
    decoder.close()
    assert decoder.pid is None
    with pytest.raises(BackendError, match="was closed"):
        next(windows)


def test_a_crash_between_two_chunks_costs_one_call(long_video: Path, made_clip_path: Path) -> None:
    with DecoderProcess() as decoder:
        windows = decoder.read_windows(long_video, spec=BIG, stride_seconds=0.2, max_windows=400)
        next(windows)
        assert decoder.pid is not None
        os.kill(decoder.pid, signal.SIGKILL)
        with pytest.raises(DecoderCrashed, match="by signal 9"):
            list(windows)
        decoder.read_clips(made_clip_path, spec=SPEC)


def test_a_cancelled_call_ends_soon_and_the_next_one_is_answered(
    slow_video: Path, made_clip_path: Path
) -> None:
    with DecoderProcess() as decoder:
        decoder.start()
        pid = decoder.pid
        canceller = later(0.3, decoder.cancel)
        begin = time.monotonic()
        with pytest.raises(Cancelled):
            decoder.read_clips(slow_video, spec=SPEC)
        assert time.monotonic() - begin < PATIENCE_SECONDS / 2
        canceller.join()
        assert not running(pid or 0)
        assert_same(
            [decoder.read_clips(made_clip_path, spec=SPEC)],
            [read_clips(made_clip_path, spec=SPEC)],
        )


def test_a_video_that_is_nearly_done_when_cancelled_does_not_cost_the_child(
    made_clip_path: Path,
) -> None:
    with DecoderProcess() as decoder:
        decoder.start()
        assert (pid := decoder.pid) is not None
        os.kill(pid, signal.SIGSTOP)  # the call begins and waits
        waiter = later(0.2, lambda: (decoder.cancel(), os.kill(pid, signal.SIGCONT)))
        with pytest.raises(Cancelled):
            decoder.read_clips(made_clip_path, spec=SPEC)
        waiter.join()
        decoder.read_clips(made_clip_path, spec=SPEC)
        # On a starved machine a quarter of a second may not have been enough.
        assert decoder.jobs in {1, 2}


def test_a_cancelled_stream_ends_with_the_next_chunk(
    long_video: Path, made_clip_path: Path
) -> None:
    with DecoderProcess() as decoder:
        windows = decoder.read_windows(long_video, spec=BIG, stride_seconds=0.2, max_windows=400)
        next(windows)
        decoder.cancel()
        with pytest.raises(Cancelled):
            next(windows)
        decoder.read_clips(made_clip_path, spec=SPEC)


def test_cancelling_hits_no_later_call(made_clip_path: Path) -> None:
    with DecoderProcess() as decoder:
        decoder.cancel()
        decoder.read_clips(made_clip_path, spec=SPEC)
        decoder.cancel()
        decoder.read_clips(made_clip_path, spec=SPEC)
        assert decoder.jobs == 2


def test_cancelling_at_any_moment_leaves_a_decoder_that_answers_rightly(
    made_clip_path: Path,
) -> None:
    expected = read_clips(made_clip_path, spec=SPEC)
    with DecoderProcess() as decoder:
        for milliseconds in range(0, 60, 3):
            canceller = later(milliseconds / 1000, decoder.cancel)
            with suppress(Cancelled):  # or it was done before
                assert_same([decoder.read_clips(made_clip_path, spec=SPEC)], [expected])
            canceller.join()
            assert_same([decoder.read_clips(made_clip_path, spec=SPEC)], [expected])


def test_a_decoder_counts_its_videos_and_is_renewed(
    made_clip_path: Path, long_video: Path, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("not a video")
    with DecoderProcess() as decoder:
        assert decoder.jobs == 0
        decoder.read_clips(made_clip_path, spec=SPEC)
        with pytest.raises(NotAVideo):
            decoder.read_clips(tmp_path / "text", spec=SPEC)
        list(decoder.read_windows(long_video, spec=SPEC, stride_seconds=1, max_windows=99))
        assert decoder.jobs == 3
        assert (pid := decoder.pid) is not None
        decoder.renew()
        assert decoder.pid not in {pid, None}
        assert not running(pid)
        assert decoder.jobs == 0
        decoder.read_clips(made_clip_path, spec=SPEC)
    with pytest.raises(BackendError, match="was closed"):
        decoder.renew()


def test_a_nice_child_stands_back(made_clip_path: Path) -> None:
    with DecoderProcess(nice=7) as decoder:
        decoder.read_clips(made_clip_path, spec=SPEC)
        assert decoder.pid is not None
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, decoder.pid) == min(19, own + 7)


def test_a_stream_that_stands_still_in_the_child_ends_at_the_time_limit(long_video: Path) -> None:
    with DecoderProcess(limits=DecodeLimits(timeout_seconds=2.0)) as decoder:
        windows = decoder.read_windows(long_video, spec=BIG, stride_seconds=0.2, max_windows=400)
        next(windows)
        assert decoder.pid is not None
        os.kill(decoder.pid, signal.SIGSTOP)
        with pytest.raises(DecodeTimeout):
            list(windows)
