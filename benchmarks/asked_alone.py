"""What a server answers when it has nothing else to do: the right answers, and the best times."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionfit.benchmarks.client import Client
from motionfit.benchmarks.latency import video_names
from motionfit.benchmarks.load_plan import Arrivals, KnownVideo, LoadPlan, fingerprint
from motionfit.benchmarks.result import Model, ResultError, Video
from motionfit.inference.bundle import MODEL
from motionfit.inference.decoding import VideoInfo


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server, and what it is asked."""

    url: str
    path: str
    """Path and query: ``/classify?clips=3``."""
    headers: Mapping[str, str]
    timeout_seconds: float
    """For one answer."""

    def client(self) -> Client:
        """A client of the server. Raises ValueError when ``url`` is no address of one."""
        return Client(self.url, headers=self.headers, timeout_seconds=self.timeout_seconds)


@dataclass(frozen=True, kw_only=True)
class Known:
    """Videos whose answers are known."""

    videos: tuple[KnownVideo, ...]
    names: tuple[str, ...]
    records: tuple[Video, ...]
    model: Model
    """That the server says it serves."""
    idle_seconds: float
    """The longest of their answers."""


def ask_alone(endpoint: Endpoint, videos: Sequence[Path]) -> Known:
    """Ask for each video twice, one after the other.

    Raises ResultError when the server is not there, refuses a video or is no motionfit server.
    """
    names = video_names(videos)
    known, records, slowest = [], [], 0.0
    with endpoint.client() as client:
        try:
            model = _model(client)
            for path, name in zip(videos, names, strict=True):
                _answer(client, endpoint, path)
                begin = time.perf_counter()
                answer = _answer(client, endpoint, path)
                slowest = max(slowest, time.perf_counter() - begin)
                known.append(KnownVideo(path=str(path), fingerprint=fingerprint(answer)))
                records.append(Video.of(path, info=_info(answer), name=name))
        except (KeyError, TypeError, ValueError) as error:
            raise ResultError(f"{endpoint.url} is no motionfit server: {error!r}") from error
    return Known(
        videos=tuple(known), names=names, records=tuple(records), model=model, idle_seconds=slowest
    )


def load_plan(
    endpoint: Endpoint,
    known: Known,
    *,
    arrivals: Arrivals,
    requests: int,
    clients: int,
    seed: int,
    rate: float = 1.0,
) -> LoadPlan:
    """Requests of ``endpoint`` for the known videos."""
    return LoadPlan(
        url=endpoint.url,
        target=endpoint.path,
        headers=endpoint.headers,
        videos=known.videos,
        arrivals=arrivals,
        requests=requests,
        rate=rate,
        clients=clients,
        timeout_seconds=endpoint.timeout_seconds,
        seed=seed,
    )


def _model(client: Client) -> Model:
    reply = client.get("/model")
    if reply.status != 200:
        raise ResultError(f"{client.url}/model answers {reply.status}, {_why(reply.json())}")
    found = reply.json()
    return Model(name=found["name"], sha256=found["files"][MODEL])


def _answer(client: Client, endpoint: Endpoint, path: Path) -> dict[str, Any]:
    reply = client.post_video(endpoint.path, path.read_bytes())
    answer: dict[str, Any] = reply.json()
    if reply.status != 200:
        raise ResultError(f"{path.name}: the server answers {reply.status}, {_why(answer)}")
    return answer


def _why(problem: Mapping[str, Any]) -> str:
    return str(problem.get("detail", problem))


def _info(answer: Mapping[str, Any]) -> VideoInfo:
    info = answer["video"]
    return VideoInfo(**{**info, "notes": tuple(info["notes"])})
