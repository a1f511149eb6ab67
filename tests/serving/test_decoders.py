"""Decoding processes that hang, die or have worked enough: each costs one request at most."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from motionfit.inference.limits import DecodeLimits
from motionfit.inference.sampling import WHOLE
from motionfit.serving.work.decoding import DecoderPool
from tests.conftest import PATIENCE_SECONDS, TOY_SPEC, running, wait_until
from tests.serving.conftest import ServerProcess, classify, metric, problem_of, serving, stopped

RESTARTS = 'motionfit_decoder_restarts_total{reason="%s"}'


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[ServerProcess]:
    """One decoder at work, and one to spare."""
    with serving("--bundle", bundle, "--decoders", 1, decode_timeout_seconds=2) as running_server:
        yield running_server.wait_ready()


@pytest.fixture
def children(server: ServerProcess) -> list[int]:
    """All of its children, idle: that at work, the spare one, and two of timelines."""
    wait_until(lambda: len(server.children()) == 4 and classify_is_idle(server))
    wait_until(lambda: all(map(is_at_work, server.children())))
    return server.children()


def is_at_work(decoder: int) -> bool:
    """Whether a decoding process has started: that it confines itself is the end of it."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return "\nNoNewPrivs:\t1" in Path(f"/proc/{decoder}/status").read_text()
    return False


def classify_is_idle(server: ServerProcess) -> bool:
    return not server.decoding() and not server.videos()


@contextmanager
def decoding(server: ServerProcess, video: bytes) -> Iterator[tuple[int, Future[httpx.Response]]]:
    """The child that is in the middle of ``video``, and the answer to come."""
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(classify, server, video)
        wait_until(lambda: bool(server.decoding()))
        (child,) = server.decoding()
        yield child, answer


def test_decoder_killed_in_mid_decode_costs_one_request(
    server: ServerProcess, children: list[int], slow_video: Path, clip: bytes
) -> None:
    before = metric(server, RESTARTS % "crashed")
    with decoding(server, slow_video.read_bytes()) as (child, answer):
        os.kill(child, signal.SIGKILL)
        problem = problem_of(answer.result())
    assert (problem.status, problem.code) == (422, "decoder-crashed")
    assert classify(server, clip).status_code == 200
    assert not running(child)
    wait_until(lambda: len(server.children()) == 4)
    assert metric(server, RESTARTS % "crashed") == before + 1


def test_leaving_a_timeline_between_two_chunks_is_no_crash(
    data_dir: Path,
) -> None:
    video = max(
        (data_dir / "ucf101_10" / "Biking").glob("*.mp4"), key=lambda one: one.stat().st_size
    )
    reasons: list[str] = []

    async def leave_after(chunks: int | None) -> None:
        pool = DecoderPool(1, limits=DecodeLimits(), max_jobs=9, on_restart=reasons.append)
        pool.open()
        await pool.start()
        async with pool.lend(video.open("rb")) as lease:
            windows = lease.read_windows(
                spec=TOY_SPEC, stride_seconds=0.05, span=WHOLE, max_windows=4096
            )
            taken = 0
            async for _ in windows:
                taken += 1
                if taken == chunks:
                    break
        assert taken > 1 or chunks == 1
        await asyncio.sleep(0.5)
        await asyncio.to_thread(pool.close)

    asyncio.run(leave_after(None))
    assert reasons == []
    asyncio.run(leave_after(1))
    assert reasons == ["cancelled"]


def test_decoder_that_hangs_costs_one_request(
    server: ServerProcess, children: list[int], clip: bytes
) -> None:
    with stopped(children):
        problem = problem_of(classify(server, clip))
        assert (problem.status, problem.code) == (504, "decode-timeout")
    assert classify(server, clip).status_code == 200
    wait_until(lambda: len(server.children()) == 4)
    assert len(set(server.children()) - set(children)) == 1


def test_video_that_takes_too_long_is_given_up(
    server: ServerProcess, children: list[int], slow_video: Path, clip: bytes
) -> None:
    problem = problem_of(classify(server, slow_video.read_bytes()))
    assert problem.code == "decode-timeout"
    assert classify(server, clip).status_code == 200


def test_death_of_an_idle_decoder_costs_nothing_and_nobody_waits_for_another(
    server: ServerProcess, children: list[int], clip: bytes
) -> None:
    for child in children:
        os.kill(child, signal.SIGKILL)
        wait_until(lambda child=child: not running(child))  # type: ignore[misc]
        answer = classify(server, clip).raise_for_status().json()
        assert answer["timings_ms"]["queue"] < 1000 * PATIENCE_SECONDS / 3
    assert classify(server, clip, "?timeline=true").status_code == 200
    wait_until(lambda: len(server.children()) == 4)
    assert not set(server.children()) & set(children)


def test_decoder_is_replaced_after_its_number_of_videos(bundle: Path, clip: bytes) -> None:
    with serving("--bundle", bundle, decoders=1, decoder_jobs=2) as server:
        server.wait_ready()
        wait_until(lambda: len(server.children()) == 4)
        first = set(server.children())
        for _ in range(8):
            assert classify(server, clip).status_code == 200
        assert metric(server, RESTARTS % "recycled") >= 3
        assert metric(server, RESTARTS % "crashed") == 0
        wait_until(lambda: len(server.children()) == 4)
        assert len(set(server.children()) & first) == 2  # those of timelines


def test_decoders_are_nicer_than_the_server(server: ServerProcess, children: list[int]) -> None:
    own = os.getpriority(os.PRIO_PROCESS, server.process.pid)
    nice = sorted(os.getpriority(os.PRIO_PROCESS, child) for child in children)
    assert nice == [min(own + more, 19) for more in (5, 5, 10, 10)]


def test_long_video_does_not_keep_short_ones_waiting(
    server: ServerProcess, children: list[int], slow_video: Path, clip: bytes
) -> None:
    with ThreadPoolExecutor(1) as thread:
        long = "?timeline=true&stride=5"
        timeline = thread.submit(classify, server, slow_video.read_bytes(), long)
        wait_until(lambda: bool(server.decoding()))
        started = time.monotonic()
        assert classify(server, clip).status_code == 200
        assert not timeline.done() or time.monotonic() - started > 2
        assert problem_of(timeline.result()).code == "decode-timeout"


def test_long_timeline_does_not_keep_short_ones_waiting(
    server: ServerProcess, children: list[int], slow_video: Path, clip: bytes
) -> None:
    with ThreadPoolExecutor(1) as thread:
        long = thread.submit(classify, server, slow_video.read_bytes(), "?timeline=true&stride=5")
        wait_until(lambda: bool(server.decoding()))
        assert classify(server, clip, "?timeline=true").status_code == 200
        assert not long.done()
        assert problem_of(long.result()).code == "decode-timeout"
