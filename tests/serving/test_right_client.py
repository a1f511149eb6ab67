"""Under load, among damaged videos and clients that leave, nobody gets another one's answer."""

import contextlib
import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.serving.conftest import LABELS, RAW, ServerProcess, colour_video, head_of

COLOURS = [(r, g, b) for r, g, b in itertools.permutations((20, 90, 170, 250), 3)]
CLIENTS, REQUESTS = 12, 12


def ask(
    client: httpx.Client, video: bytes, *, query: dict[str, Any], name: str | None = None
) -> httpx.Response:
    headers = RAW | ({"x-request-id": name} if name else {})
    return client.post("/classify", content=video, params=query, headers=headers)


def point_of(answer: dict[str, Any]) -> list[float]:
    """Where the embedding of a colour lies: its direction from black."""
    assert len(answer["embedding"]) == 3
    return list(answer["embedding"])


def damaged(video: bytes, *, seed: int) -> bytes:
    chance = random.Random(seed)
    content = bytearray(video)
    for _ in range(chance.randint(1, 50)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    return bytes(content[: chance.randint(1, len(content))])


def leave_early(server: ServerProcess, video: bytes, *, seed: int) -> None:
    chance = random.Random(seed)
    with server.connect() as connection:
        whole = head_of(len(video)) + video
        connection.sendall(whole[: chance.choice([len(whole) // 2, len(whole)])])
        connection.settimeout(chance.random() / 20 + 0.001)
        with contextlib.suppress(TimeoutError):
            connection.recv(1)


def test_every_answer_is_that_of_its_own_video(server: ServerProcess) -> None:
    videos = [colour_video(colour) for colour in COLOURS]
    asks: list[dict[str, Any]] = [
        {"clips": 1},
        {"clips": 7, "top": 2},
        {"start": 0.2, "end": 0.9},
        {"timeline": True, "stride": 0.05},
    ]
    with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
        points = [
            point_of(ask(client, video, query={"embedding": True}).raise_for_status().json())
            for video in videos
        ]
    distances = [np.subtract(a, b) for a, b in itertools.combinations(points, 2)]
    assert min(np.linalg.norm(d) for d in distances) > 0.05

    def be_a_client(number: int) -> int:
        chance = random.Random(number)
        good = 0
        with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
            for index in range(REQUESTS):
                seed = number * REQUESTS + index
                which = chance.randrange(len(COLOURS))
                match chance.randrange(6):
                    case 0:
                        ask(client, damaged(videos[which], seed=seed), query={})
                    case 1:
                        leave_early(server, videos[which], seed=seed)
                    case _:
                        query = chance.choice(asks) | {"embedding": True}
                        name = f"client-{number}-{index}"
                        response = ask(client, videos[which], query=query, name=name)
                        check(response, which=which, query=query, name=name)
                        good += 1
        return good

    def check(response: httpx.Response, *, which: int, query: dict[str, Any], name: str) -> None:
        answer = response.raise_for_status().json()
        assert response.headers["x-request-id"] == name
        assert point_of(answer) == pytest.approx(points[which], abs=0.01)
        assert answer["label"] == LABELS[int(np.argmax(COLOURS[which]))]
        assert len(answer["top"]) == query.get("top", 3)
        assert len(answer["clips"]) == query.get("clips", len(answer["clips"]))
        assert (answer["timeline"] is not None) == ("timeline" in query)

    with ThreadPoolExecutor(CLIENTS) as threads:
        assert sum(threads.map(be_a_client, range(CLIENTS))) > CLIENTS * REQUESTS / 2
