"""Thousands of damaged videos through the decoder: each gives an answer or says what is wrong.

The damage of a mutant is drawn from a text, its seed, so that one that broke something can be made
again: ``damaged(original, seed=...)``.
"""

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from motionfit.benchmarks.client import Client
from motionfit.benchmarks.damage import damaged, remade
from motionfit.benchmarks.latency import video_names
from motionfit.benchmarks.result import Fault, Figure, Result, Target, Video
from motionfit.benchmarks.server_process import running_server
from motionfit.benchmarks.session import Session
from motionfit.inference.bundle import Bundle
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import (
    DecoderCrashed,
    DecoderFailed,
    DecodeTimeout,
    VideoError,
)
from motionfit.inference.isolation import DecoderProcess
from motionfit.inference.video import read_frames

KIND = "mutants"
ANSWERED, UNEXPECTED = "answered", "unexpected"
SPECTACULAR = {DecoderCrashed.code, DecodeTimeout.code, DecoderFailed.code, UNEXPECTED}
"""Outcomes that are listed one by one."""
REMADE_FRAMES, REMADE_SIDE = 25, 64
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which mutants, and how many."""

    bundle: str | None
    """Whose clips are read; None for the embedded student."""
    videos: tuple[Path, ...]
    count: int
    http: int
    """How many of them are also uploaded to a server."""
    workers: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Original:
    """A video, before it is damaged."""

    name: str
    content: bytes
    codec: str


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A damaged video that is made when it is asked for."""

    original: Original
    seed: str

    def content(self) -> bytes:
        """Its bytes, the same at every call."""
        return damaged(self.original.content, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a mutant."""

    mutant: Mutant
    code: str
    """``answered``, the code of a VideoError, or ``unexpected``."""
    detail: str
    """The error's message; of an answer, what was read."""


def originals_of(videos: Sequence[Path], *, spec: ClipSpec) -> tuple[list[Original], list[Video]]:
    """The videos, and a second of the first of them in ten containers; the videos' records.

    Raises a VideoError when one of them cannot be read.
    """
    with DecoderProcess() as decoder:
        infos = [decoder.read_clips(video, spec=spec).info for video in videos]
        records = [
            Video.of(path, info=info, name=name)
            for path, info, name in zip(videos, infos, video_names(videos), strict=True)
        ]
        frames = read_frames(videos[0], short_side=REMADE_SIDE).frames[:REMADE_FRAMES]
        height, width = (side // 2 * 2 for side in frames.shape[1:3])
        contents = remade(frames[:, :height, :width])
        contents |= {
            record.name: path.read_bytes() for path, record in zip(videos, records, strict=True)
        }
        originals = [
            Original(
                name=name,
                content=content,
                codec=decoder.read_clips(io.BytesIO(content), spec=spec).info.codec,
            )
            for name, content in sorted(contents.items())
        ]
    return originals, records


def mutants_of(originals: Sequence[Original], *, count: int, seed: int) -> list[Mutant]:
    """As many mutants, of all originals in turn."""
    chosen = (originals[number % len(originals)] for number in range(count))
    return [
        Mutant(original=one, seed=f"{seed} {number} {one.name}")
        for number, one in enumerate(chosen)
    ]


def outcomes_of(mutants: Sequence[Mutant], *, spec: ClipSpec, workers: int) -> Iterator[Outcome]:
    """What becomes of each mutant in a child process, in order."""
    with ExitStack() as stack:
        free: SimpleQueue[DecoderProcess] = SimpleQueue()
        for _ in range(workers):
            free.put(stack.enter_context(DecoderProcess()))

        def read(mutant: Mutant) -> Outcome:
            decoder = free.get()
            try:
                return _outcome(mutant, decoder, spec=spec)
            finally:
                free.put(decoder)

        threads = ThreadPoolExecutor(workers)
        stack.callback(threads.shutdown, cancel_futures=True)
        yield from threads.map(read, mutants)


def differences(
    outcomes: Sequence[Outcome], plan: Plan, *, after_mutant: Callable[[], None]
) -> list[Fault]:
    """Upload ``plan.http`` of the mutants: those of which the server says something else.

    A time limit depends on the clock, so where one side met its own nothing is compared.
    """
    if not plan.http:
        return []
    step = max(1, len(outcomes) // plan.http)
    faults = []
    with (
        running_server({"bundle": plan.bundle}) as server,
        Client(server.url, timeout_seconds=TIMEOUT_SECONDS) as client,
    ):
        for one in islice(outcomes, 0, step * plan.http, step):
            code, detail = _uploaded(client, one.mutant)
            same = (code, detail) == (one.code, one.detail)
            if not same and DecodeTimeout.code not in {code, one.code}:
                what = f"{code} by HTTP ({detail}), {one.code} in Python ({one.detail})"
                faults.append(Fault(name=one.mutant.seed, what=what))
            after_mutant()
    return faults


def mutants_result(
    outcomes: Sequence[Outcome],
    plan: Plan,
    *,
    bundle: Bundle,
    records: Sequence[Video],
    different: Sequence[Fault],
    session: Session,
) -> Result:
    """A result of kind ``mutants``: counts by codec and outcome, and each that stands out."""
    listed = [one for one in outcomes if one.code in SPECTACULAR]
    count = Counter(one.code for one in outcomes)
    return session.finish(
        kind=KIND,
        settings={"mutants": plan.count, "http": plan.http, "workers": plan.workers},
        bundle=bundle,
        videos=records,
        figures=[
            Figure(name=name, unit="mutants", value=number)
            for name, number in (*_by_outcome(count), *_by_codec(outcomes))
        ],
        targets=[
            Target.of(
                "outcomes that are neither an answer nor a refusal",
                count[UNEXPECTED] + count[DecoderFailed.code],
                unit="mutants",
                at_most=0,
            ),
            Target.of(
                f"of {plan.http} uploads, answered otherwise than in Python",
                len(different),
                unit="mutants",
                at_most=0,
            ),
        ],
        faults=[
            *(Fault(name=one.mutant.seed, what=f"{one.code}: {one.detail}") for one in listed),
            *different,
        ],
    )


def _outcome(mutant: Mutant, decoder: DecoderProcess, *, spec: ClipSpec) -> Outcome:
    try:
        info = decoder.read_clips(io.BytesIO(mutant.content()), spec=spec).info
    except VideoError as error:
        return Outcome(mutant=mutant, code=error.code, detail=str(error))
    except Exception as error:
        return Outcome(mutant=mutant, code=UNEXPECTED, detail=f"{type(error).__name__}: {error}")
    return Outcome(mutant=mutant, code=ANSWERED, detail=_read(vars(info)))


def _uploaded(client: Client, mutant: Mutant) -> tuple[str, str]:
    reply = client.post_video("/classify", mutant.content())
    body = reply.json()
    if reply.status == 200:
        return ANSWERED, _read(body["video"])
    return body["code"], body["detail"]


def _read(info: Mapping[str, object]) -> str:
    """What was read of a video, in words."""
    notes = info["notes"]
    assert isinstance(notes, list | tuple)
    size = f"{info['codec']} {info['width']}x{info['height']}"
    return ", ".join([size, f"{info['duration_seconds']:.3f} s", *map(str, notes)])


def _by_outcome(count: Counter[str]) -> Iterator[tuple[str, int]]:
    yield from ((f"all/{code}", number) for code, number in count.most_common())


def _by_codec(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, int]]:
    count = Counter((one.mutant.original.codec, one.code) for one in outcomes)
    yield from ((f"{codec}/{code}", number) for (codec, code), number in sorted(count.items()))


def written(outcomes: Sequence[Outcome], folder: Path) -> list[Path]:
    """Write each mutant that stands out into ``folder``, for a debugger; the files."""
    files = []
    for one in outcomes:
        if one.code in SPECTACULAR:
            path = folder / "_".join(one.mutant.seed.split())
            path.write_bytes(one.mutant.content())
            files.append(path)
    return files
