"""The mixture of requests that a server must endure: good, bad, hostile, slow, cut off."""

import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from motionfit.benchmarks.damage import damaged
from motionfit.benchmarks.hostile import gif, hostile_files
from motionfit.benchmarks.wire import Address, Piece, Request
from motionfit.inference.warmup import made_clip

WEIGHTS: Mapping[str, float] = {
    "video": 40,
    "parameters": 12,
    "timeline": 3,
    "bad": 12,
    "damaged": 15,
    "hostile": 6,
    "cut": 6,
    "gone": 3,
    "slow": 2.6,
    "stalled": 0.2,
    "endless": 0.2,
}
"""Of a hundred requests."""
DAMAGED = 200
PADDING_BYTES = 3 * 1024**2
"""Of the large video; the server receives what has more than one MiB into a file."""
IDLE_SECONDS = 2.0
"""What the server under test allows an upload to pause."""
LARGE = "a large video"
RAW = {"Content-Type": "application/octet-stream"}
PARAMETERS = ("clips=1&top=1", "embedding=true", "top=3", "start=0.2&end=0.8", "deadline=20")

OK = frozenset({200})
REFUSED = frozenset({400, 415, 422})


@dataclass(frozen=True, kw_only=True, eq=False)
class Script:
    """A request, and what may come of it. Equal only to itself."""

    kind: str
    name: str
    pieces: tuple[Piece, ...] = field(repr=False)
    statuses: frozenset[int]
    """Empty when the client hangs up without waiting for an answer."""
    exact: bool = True
    """Whether the answer is the same every time."""
    may_hang_up: bool = False
    """Whether the server may close the connection instead of answering."""


def scripts_of(address: Address, videos: Sequence[Path], *, seed: int) -> list[Script]:
    """Every request of the mixture once; the videos must be readable."""
    contents = {path.name: path.read_bytes() for path in videos}
    rng = random.Random(seed)
    return [
        *(one for name, content in contents.items() for one in _good(address, name, content)),
        *_bad(address, min(contents.values(), key=len)),
        *_damaged(address, contents, seed=seed),
        *_hostile(address),
        *_good(address, LARGE, padded(made_clip())),
        *(one for name, content in contents.items() for one in _cut(address, name, content, rng)),
        *_cut(address, LARGE, padded(made_clip()), rng),
        *(one for name, content in contents.items() for one in _slow(address, name, content)),
    ]


def drawn(scripts: Sequence[Script], *, count: int, seed: int) -> list[Script]:
    """``count`` of them by their kinds' weights."""
    rng = random.Random(seed)
    kinds = {kind: [one for one in scripts if one.kind == kind] for kind in WEIGHTS}
    chosen = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
    return [rng.choice(kinds[kind]) for kind in chosen]


def padded(mp4: bytes) -> bytes:
    """The same video with a box at its end that means nothing."""
    return mp4 + struct.pack(">I4s", PADDING_BYTES, b"free") + bytes(PADDING_BYTES - 8)


def _good(address: Address, name: str, video: bytes) -> list[Script]:
    form = Request.form(address, "/classify", video=video, headers=_once())
    bare = Request.of(address, "/classify", body=video, headers=_once(RAW))
    found = [
        _script("video", f"{name} in a form", form, OK),
        _script("video", f"{name} as it is", bare, OK),
    ]
    for query in (*PARAMETERS, "timeline=true"):
        request = Request.form(address, f"/classify?{query}", video=video, headers=_once())
        kind = "timeline" if query.startswith("timeline") else "parameters"
        found.append(_script(kind, f"{name} with {query}", request, OK))
    return found


def _bad(address: Address, video: bytes) -> list[Script]:
    def post(target: str = "/classify", *, body: bytes = video, **headers: str) -> Request:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Request.of(address, target, body=body, headers=_once(named))

    form = "multipart/form-data; boundary=x"
    raw = "application/octet-stream"
    other = b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--x--\r\n'
    requests = {
        ("no content type", 415): post(),
        ("text", 415): post(Content_Type="text/plain"),
        ("compressed", 415): post(Content_Type=raw, Content_Encoding="gzip"),
        ("empty", 400): post(body=b"", Content_Type=raw),
        ("a form without a video", 400): post(body=other, Content_Type=form),
        ("a form without an end", 400): post(body=other[:-6], Content_Type=form),
        ("a form without a boundary", 400): post(Content_Type="multipart/form-data"),
        ("no form at all", 400): post(body=b"--y\r\n" * 50, Content_Type=form),
        ("clips out of range", 400): post("/classify?clips=0", Content_Type=raw),
        ("words for a number", 400): post("/classify?top=many", Content_Type=raw),
        ("a span backwards", 400): post("/classify?start=2&end=1", Content_Type=raw),
        ("an unknown path", 404): post("/nowhere", Content_Type=raw),
        ("another method", 405): Request.of(address, "/classify", method="GET", headers=_once()),
    }
    return [
        _script("bad", name, request, frozenset({status}))
        for (name, status), request in requests.items()
    ]


def _damaged(address: Address, videos: Mapping[str, bytes], *, seed: int) -> list[Script]:
    found = []
    names = sorted(videos)
    for number in range(DAMAGED):
        name = names[number % len(names)]
        key = f"{seed} {number} {name}"
        content = damaged(videos[name], seed=key)
        request = Request.of(address, "/classify", body=content, headers=_once(RAW))
        found.append(_script("damaged", key, request, OK | REFUSED))
    return found


def _hostile(address: Address) -> list[Script]:
    found = [
        _script(
            "hostile",
            name,
            Request.of(address, "/classify", body=content, headers=_once(RAW)),
            REFUSED,
        )
        for name, content in hostile_files().items()
    ]
    slow = gif(width=8000, height=4000, pictures=20_000)
    request = Request.of(address, "/classify", body=slow, headers=_once(RAW))
    late = REFUSED | {504}
    return [*found, _script("endless", "an endless animation", request, late, exact=False)]


def _cut(address: Address, name: str, video: bytes, rng: random.Random) -> list[Script]:
    """Requests that end somewhere, and one that is whole but nobody waits for."""
    request = Request.form(address, "/classify", video=video, headers=_once())
    whole = request.head + request.body
    ends = [len(request.head) // 2, len(request.head), len(whole) - 1]
    ends += [rng.randrange(len(request.head), len(whole)) for _ in range(5)]
    found = [
        Script(
            kind="cut",
            name=f"{name} cut off after {end} bytes",
            pieces=(whole[:end],),
            statuses=frozenset(),
        )
        for end in ends
    ]
    gone = Script(
        kind="gone",
        name=f"{name} that nobody waits for",
        pieces=(whole, 0.02),
        statuses=frozenset(),
    )
    return [*found, gone]


def _slow(address: Address, name: str, video: bytes) -> list[Script]:
    request = Request.form(address, "/classify", video=video, headers=_once())
    whole = request.head + request.body
    step = len(whole) // 12 + 1
    pieces: list[Piece] = []
    for start in range(0, len(whole), step):
        pieces += [whole[start : start + step], 0.08]
    half = (whole[: len(whole) // 2], 3 * IDLE_SECONDS, whole[len(whole) // 2 :])
    return [
        Script(kind="slow", name=f"{name} slowly", pieces=tuple(pieces), statuses=OK),
        Script(
            kind="stalled",
            name=f"{name} that stalls",
            pieces=half,
            statuses=frozenset({408}),
            exact=False,
            may_hang_up=True,
        ),
    ]


def _script(
    kind: str, name: str, request: Request, statuses: frozenset[int], *, exact: bool = True
) -> Script:
    pieces = tuple(request.pieces())
    return Script(kind=kind, name=name, pieces=pieces, statuses=statuses, exact=exact)


def _once(headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """Headers of a request that is the only one on its connection."""
    return {"Connection": "close", **(headers or {})}
