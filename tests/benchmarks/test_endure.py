import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionfit.benchmarks.endure import CHECKPOINTS, Left
from motionfit.benchmarks.endure_requests import WEIGHTS, Script, drawn, padded, scripts_of
from motionfit.benchmarks.endurer import Endurer
from motionfit.benchmarks.hostile import gif, hostile_files
from motionfit.benchmarks.result import Result, read_result
from motionfit.benchmarks.wire import Address
from motionfit.inference.video import read_frames
from motionfit.inference.warmup import made_clip
from motionfit.serving.edge.uploads import _PIECE_BYTES
from tests.benchmarks.stub_server import answer

Bench = Callable[..., Any]
MakeClip = Callable[..., Path]
REQUESTS = 150


@pytest.fixture(scope="module")
def result(
    bundle: Path, red_and_blue: list[Path], bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> Result:
    """Of the real command, against the real server."""
    output = tmp_path_factory.mktemp("result") / "endure.json"
    done = bench("endure", bundle, *red_and_blue, "--requests", REQUESTS, "-o", output)
    assert output.exists(), done.stderr
    return read_result(output)


def test_every_request_is_counted_and_every_answer_right(result: Result) -> None:
    counts: Counter[str] = Counter()
    for one in result.figures:
        kind, _, outcome = one.name.partition("/")
        if kind in WEIGHTS and outcome != "overloaded":
            counts[kind] += round(one.value)
    assert sum(counts.values()) == REQUESTS
    assert set(counts) >= {"video", "parameters", "timeline", "bad", "damaged", "cut"}
    assert [fault for fault in result.faults if fault.name != "log"] == []


def test_nothing_is_left_behind(result: Result) -> None:
    targets = {target.name: target for target in result.targets}
    for growth in ("memory growth after the warm-up", "of the server's own process alone"):
        assert targets.pop(growth).value is not None  # of so few requests it says nothing
    assert {name: target.met for name, target in targets.items()} == {
        "wrong or missing answers": True,
        "temporary files left": True,
        "zombies": True,
        "open files more than after the warm-up": True,
        "processes more than after the warm-up": True,
        "unexpected errors in the log": True,
    }
    sizes = {one.name: one.value for one in result.figures if "memory/" in one.name}
    assert len(sizes) == 2 * CHECKPOINTS
    everything, own = (sizes[f"{whose}/{REQUESTS}"] for whose in ("memory", "own memory"))
    assert everything > own > 20_000_000


def test_the_mixture_has_every_kind_in_its_share(red_and_blue: list[Path]) -> None:
    scripts = scripts_of(Address.of("http://host:1"), red_and_blue, seed=0)
    chosen = drawn(scripts, count=10_000, seed=0)
    assert chosen == drawn(scripts, count=10_000, seed=0)
    count = Counter(one.kind for one in chosen)
    for kind, weight in WEIGHTS.items():
        assert count[kind] == pytest.approx(100 * weight, rel=0.5, abs=10), kind
    names = [one.name for one in scripts]
    assert len(set(names)) == len(names)


def test_the_large_video_is_received_into_a_file_and_shows_what_the_plain_one_does(
    tmp_path: Path,
) -> None:
    (tmp_path / "plain.mp4").write_bytes(made_clip())
    (tmp_path / "large.mp4").write_bytes(padded(made_clip()))
    assert (tmp_path / "large.mp4").stat().st_size > _PIECE_BYTES
    plain, large = (
        read_frames(tmp_path / name, short_side=64) for name in ("plain.mp4", "large.mp4")
    )
    np.testing.assert_array_equal(large.frames, plain.frames)
    assert large.info == plain.info


def test_hostile_files_are_what_they_say() -> None:
    files = hostile_files()
    assert len(files) == 10
    assert files["hls"].startswith(b"#EXTM3U")
    assert gif(width=2, height=1, pictures=0) == b"GIF89a\x02\x00\x01\x00\x80\x00\x00" + (
        b"\x00\x00\x00\xff\xff\xff\x3b"
    )


@contextmanager
def answering(*answers: tuple[int, dict[str, Any]]) -> Iterator[Address]:
    """A server that gives one answer after the other, a connection each."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for status, body in answers:
                try:
                    connection, _ = listener.accept()
                except OSError:  # closed: nobody wants the answers that are left
                    return
                with connection, suppress(ConnectionError):  # some hang up
                    connection.recv(1 << 16)
                    content = json.dumps(body).encode()
                    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n\r\n"
                    connection.sendall(head.encode() + content)

        threading.Thread(target=serve, daemon=True).start()
        yield Address.of(f"http://127.0.0.1:{listener.getsockname()[1]}")


def script(*statuses: int, **changes: Any) -> Script:
    values: dict[str, Any] = {
        "kind": "video",
        "name": "a",
        "pieces": (b"POST / HTTP/1.1\r\n\r\n",),
        "statuses": frozenset(statuses),
    }
    return Script(**(values | changes))


def played(one: Script, *answers: tuple[int, dict[str, Any]]) -> Endurer:
    """What comes of a script that is asked alone first, if it is exact, and then again."""
    with answering(*answers) as address:
        endurer = Endurer(address=address, clients=1)
        asyncio.run(endurer.learn([one], after_request=lambda: None))
        asyncio.run(endurer.endure([one], after_request=lambda: None))
    return endurer


RED, BLUE = answer("red"), answer("blue")


def test_another_answer_than_alone_is_a_fault() -> None:
    right = played(script(200), (200, RED), (200, RED))
    assert (right.faults, right.count) == ([], Counter({("video", "200"): 1}))
    (fault,) = played(script(200), (200, RED), (200, BLUE)).faults
    assert fault.name == "video: a"
    assert "blue" in fault.what
    (fault,) = played(script(400), (400, {"code": "x"}), (400, {"code": "y"})).faults
    assert fault.what == "(400, 'y') instead of (400, 'x')"


def test_the_answer_for_another_video_of_the_same_class_is_a_fault() -> None:
    def scored(score: float) -> dict[str, Any]:
        return {**RED, "top": [{"label": "red", "score": score}]}

    assert played(script(200), (200, scored(0.75)), (200, scored(0.7504))).faults == []
    (fault,) = played(script(200), (200, scored(0.75)), (200, scored(0.76))).faults
    assert "0.76" in fault.what


def test_a_status_that_is_not_allowed_is_a_fault() -> None:
    (fault,) = played(script(415), (200, RED), (415, {})).faults
    assert fault.what.startswith("alone: (200, ")
    (fault,) = played(script(422, 504, exact=False), (500, {"code": "internal"})).faults
    assert fault.what == "(500, 'internal') instead of one of [422, 504]"
    assert played(script(422, 504, exact=False), (504, {})).faults == []


def test_an_overloaded_server_is_asked_again() -> None:
    busy = (503, {"code": "overloaded"})
    endurer = played(script(200), (200, RED), busy, (200, RED))
    assert endurer.faults == []
    assert endurer.count == Counter({("video", "overloaded"): 1, ("video", "200"): 1})


def test_a_missing_answer_is_a_fault_unless_the_client_hung_up() -> None:
    nobody = Address.of("http://127.0.0.1:9")
    for one, faults in [(script(200, exact=False), 1), (script(408, may_hang_up=True), 0)]:
        endurer = Endurer(address=nobody, clients=1)
        asyncio.run(endurer.endure([one], after_request=lambda: None))
        assert len(endurer.faults) == faults
        assert endurer.count == Counter({("video", "no answer"): 1})
    cut = played(script(), (200, RED))
    assert (cut.faults, cut.count) == ([], Counter({("video", "hung up"): 1}))


def test_more_of_anything_than_before_is_left() -> None:
    before = Left(processes=3, open_files=9, unnamed_files=0, named_files=0, zombies=0)
    assert before.within(before)
    for name in vars(before):
        more = Left(**{**vars(before), name: vars(before)[name] + 1})
        assert before.within(more)
        assert not more.within(before)
