"""Ten thousand requests of all sorts: is every answer right, and what is left behind?"""

import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from motionfit.benchmarks import processes
from motionfit.benchmarks.asked_alone import Endpoint, Known, ask_alone
from motionfit.benchmarks.endure_requests import IDLE_SECONDS, WEIGHTS, drawn, scripts_of
from motionfit.benchmarks.endurer import Endurer
from motionfit.benchmarks.result import Fault, Figure, Result, Target
from motionfit.benchmarks.server_process import Server, running_server
from motionfit.benchmarks.session import Session
from motionfit.benchmarks.watch import Watch
from motionfit.benchmarks.wire import Address
from motionfit.inference.bundle import Bundle

KIND = "endure"
CHECKPOINTS = 20
WARM_CHECKPOINTS = 4
"""After these the server counts as warm."""
COMPARED = 6
"""So many checkpoints after the warm-up, and at the end, are compared by their medians.

Decoding processes take more or less, and are replaced after 500 videos; of 10,000 requests six
checkpoints are about two such lives of each.
"""
SETTLE_SECONDS = 0.3
PATIENCE_SECONDS = 20.0
DECODE_TIMEOUT_SECONDS = 4.0
MOST_GROWTH = 0.05


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to endure."""

    bundle: str | None
    """Its folder; None for the embedded student."""
    videos: tuple[Path, ...]
    requests: int
    clients: int
    """Requests under way at the same time."""
    decoders: int
    seed: int

    def server_settings(self) -> dict[str, object]:
        """The server's settings that are not its defaults; short limits, so that they are met."""
        return {
            "bundle": self.bundle,
            "decoders": self.decoders,
            "decode_timeout_seconds": DECODE_TIMEOUT_SECONDS,
            "upload_idle_seconds": IDLE_SECONDS,
        }


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a server has when nobody asks it."""

    processes: int
    open_files: int
    """Of the server's own process."""
    unnamed_files: int
    named_files: int
    """In its folder for temporary files."""
    zombies: int

    @classmethod
    def by(cls, server: Server) -> "Left":
        """Count."""
        return cls(
            processes=len(processes.family(server.pid)),
            open_files=processes.open_files(server.pid),
            unnamed_files=processes.unnamed_files(server.pid),
            named_files=len(list(server.temp.iterdir())),
            zombies=len(processes.zombies(server.pid)),
        )

    def within(self, before: "Left") -> bool:
        """Whether there is no more of anything than ``before``."""
        return all(mine <= vars(before)[name] for name, mine in vars(self).items())


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the server takes, in bytes, after so many requests."""

    requests: int
    everything: int
    """Of its own process and of its children."""
    own: int
    """Of its own process."""


@dataclass(frozen=True, kw_only=True)
class Endured:
    """What became of a server."""

    known: Known
    endurer: Endurer
    memory: tuple[Memory, ...]
    """At each checkpoint."""
    warm: Left
    """After the warm-up."""
    end: Left
    logged: tuple[str, ...]
    """Unexpected errors in the server's log."""


def measure_endurance(plan: Plan, *, watch: Watch) -> Endured:
    """Start a server and let it endure ``plan.requests``.

    Raises ResultError when it does not start, does not answer for the videos, or does not end.
    """
    with running_server(plan.server_settings()) as server:
        endpoint = Endpoint(url=server.url, path="/classify", headers={}, timeout_seconds=60)
        known = ask_alone(endpoint, plan.videos)
        address = Address.of(server.url)
        scripts = scripts_of(address, plan.videos, seed=plan.seed)
        endurer = Endurer(address=address, clients=plan.clients)
        with watch("alone", len(scripts)) as advance:
            asyncio.run(endurer.learn(scripts, after_request=advance))
        chosen = drawn(scripts, count=plan.requests, seed=plan.seed)
        memory, warm = [], None
        bounds = [round(plan.requests * n / CHECKPOINTS) for n in range(CHECKPOINTS + 1)]
        with watch("requests", plan.requests) as advance:
            for number, (start, end) in enumerate(zip(bounds, bounds[1:], strict=False), 1):
                asyncio.run(endurer.endure(chosen[start:end], after_request=advance))
                time.sleep(SETTLE_SECONDS)
                memory.append(_memory(server, requests=end))
                if number == WARM_CHECKPOINTS:
                    warm = _calm(server, Left.by(server))
        assert warm is not None
        return Endured(
            known=known,
            endurer=endurer,
            memory=tuple(memory),
            warm=warm,
            end=_calm(server, warm),
            logged=tuple(server.unexpected()),
        )


def endure_result(bundle: Bundle, plan: Plan, *, session: Session, watch: Watch) -> Result:
    """``measure_endurance`` as a result of kind ``endure``, held against what is promised."""
    found = measure_endurance(plan, watch=watch)
    counts = sorted(found.endurer.count.items())
    return session.finish(
        kind=KIND,
        settings={
            "requests": plan.requests,
            "clients": plan.clients,
            "mixture": ", ".join(f"{kind} {weight:g} %" for kind, weight in WEIGHTS.items()),
            "warm_up_share": WARM_CHECKPOINTS / CHECKPOINTS,
            **{name: v for name, v in plan.server_settings().items() if isinstance(v, int | float)},
        },
        bundle=bundle,
        videos=found.known.records,
        figures=[
            *(Figure(name="/".join(key), unit="requests", value=n) for key, n in counts),
            *(
                Figure(name=f"{whose}/{one.requests}", unit="bytes", value=value)
                for one in found.memory
                for whose, value in (("memory", one.everything), ("own memory", one.own))
            ),
            *(
                Figure(name=f"{name}/{when}", unit="", value=value)
                for when, left in (("warm", found.warm), ("end", found.end))
                for name, value in vars(left).items()
            ),
        ],
        targets=_targets(found),
        faults=[
            *found.endurer.faults,
            *(Fault(name="log", what=what) for what in found.logged),
        ],
    )


def _targets(found: Endured) -> list[Target]:
    growth = _growth([one.everything for one in found.memory])
    own = _growth([one.own for one in found.memory])
    more = found.end.open_files - found.warm.open_files
    children = found.end.processes - found.warm.processes
    files = found.end.named_files + found.end.unnamed_files
    return [
        Target.of("memory growth after the warm-up", growth, unit="", at_most=MOST_GROWTH),
        Target.of("of the server's own process alone", own, unit="", at_most=MOST_GROWTH),
        Target.of("wrong or missing answers", len(found.endurer.faults), unit="", at_most=0),
        Target.of("temporary files left", files, unit="", at_most=0),
        Target.of("zombies", found.end.zombies, unit="", at_most=0),
        Target.of("open files more than after the warm-up", more, unit="", at_most=0),
        Target.of("processes more than after the warm-up", children, unit="", at_most=0),
        Target.of("unexpected errors in the log", len(found.logged), unit="", at_most=0),
    ]


def _growth(sizes: list[int]) -> float:
    begin = sizes[WARM_CHECKPOINTS - 1 : WARM_CHECKPOINTS - 1 + COMPARED]
    return statistics.median(sizes[-COMPARED:]) / statistics.median(begin) - 1


def _memory(server: Server, *, requests: int) -> Memory:
    pids = processes.family(server.pid)
    return Memory(
        requests=requests,
        everything=processes.proportional_bytes(pids),
        own=processes.proportional_bytes(pids[:1]),
    )


def _calm(server: Server, before: Left) -> Left:
    """What is left once the server had time to let go of what the last requests needed."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (left := Left.by(server)).within(before) and time.monotonic() < end:
        time.sleep(0.1)
    return left
