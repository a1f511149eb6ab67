"""The cells of a report: sets of cases that take turns in one process, and how often.

A *part* is one cell in one fresh process, a file of its own. A figure is drawn from the parts of
all of its cell's processes.
"""

from dataclasses import dataclass
from typing import Literal

from motionfit.benchmarks.report.networks import TrainedCell
from motionfit.benchmarks.report.options import Options
from motionfit.benchmarks.report.systems import (
    ENGINES,
    FLOW_ALONE,
    FLOW_ALONE_STORED,
    INT8,
    LIKE_FOR_LIKE,
    MARS_STUDENT,
    MERS_STUDENT,
    REFERENCE,
    ROWS,
    STUDENT_AND_FLOW,
    USUAL,
    EngineName,
    System,
    student,
    two_stream,
)

Kind = Literal[
    "systems",
    "cold",
    "limit",
    "accuracy",
    "scaling",
    "offline",
    "server",
    "decoders",
    "files",
]
PREPARATION: tuple[Kind, ...] = ("files", "accuracy")
"""Kinds that no clock decides: other work may run beside them."""

PROCESSES = 5
ROUNDS = {"p99": 133, "p90": 13, "median": 11, "few": 5, "least": 3}
"""Of each process. Five together allow the percentiles that are named, and of all a median."""
QUICK = (LIKE_FOR_LIKE.name, two_stream("stored").name, two_stream("farneback").name)
QUICK_ENGINES: tuple[EngineName, ...] = ("onnxruntime", "torch-eager")
SLOW = (two_stream("tvl1").name, USUAL.name)
"""Up to half a minute for each video: a cell of their own, without start and memory."""
COLD = (REFERENCE, student("onnxruntime"), LIKE_FOR_LIKE)
"""Systems that are started often enough for a median."""
MEMORY = (
    *(student(INT8), student("torch-eager"), two_stream(engine=INT8)),
    FLOW_ALONE,
)
"""Systems of which only the memory is asked, which takes fewer starts."""
ONCE = {one.name for one in MEMORY}
"""Names of those that a part starts once."""
ACCURACY = (
    REFERENCE,
    LIKE_FOR_LIKE,
    STUDENT_AND_FLOW,
    FLOW_ALONE,
    MERS_STUDENT,
    MARS_STUDENT,
    two_stream("stored"),
    FLOW_ALONE_STORED,
    two_stream("farneback"),
    two_stream("tvl1-tuned"),
    student(INT8),
    two_stream(engine=INT8),
)
"""Systems whose accuracy is measured. Engines that give the same logits have the same."""
SLOW_ACCURACY = two_stream("tvl1")
"""The one whose accuracy takes about an hour on two cores: asked of the networks that are timed
alone, and last."""
CLIPS = (1, 2, 3, 4, 6, 8, 10)
SIZES = "sizes"
SWEEPS = ("clips", "batch", "threads", "concurrency", "length", "resolution")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Cases that take turns."""

    name: str
    """Of its files."""
    kind: Kind
    processes: int
    rounds: int
    warmup_rounds: int
    systems: tuple[System, ...] = ()
    what: str = ""
    """What is swept, or which trained cell is asked for its accuracy."""
    clips: int | None = None
    """Clips of a video; None: as the options say."""


def cells(options: Options) -> tuple[Cell, ...]:
    """All that is to be measured, the most important first."""
    timed = _quick() if options.quick else (_FIRST,) if options.headline else _full()
    systems = {one.name: one for cell in timed for one in cell.systems}
    files = Cell(
        name="files",
        kind="files",
        processes=1,
        rounds=1,
        warmup_rounds=0,
        systems=tuple(systems.values()),
    )
    return (files, *_accuracy(options), *timed)


def _quick() -> tuple[Cell, ...]:
    return (
        _systems(
            "first", ("like for like", "flow"), processes=1, rounds=ROUNDS["median"], only=QUICK
        ),
        _limit(QUICK_ENGINES, processes=1, rounds=ROUNDS["median"]),
        Cell(name="decoders", kind="decoders", processes=1, rounds=11, warmup_rounds=1),
    )


def _full() -> tuple[Cell, ...]:
    return (
        _FIRST,
        _systems("streams", ("networks", "flow"), rounds=ROUNDS["p90"]),
        _systems(
            "tvl1", ("usual set-up", "flow"), rounds=ROUNDS["least"], warmup_rounds=0, only=SLOW
        ),
        _systems("engines", ("engine", "precision"), rounds=ROUNDS["median"]),
        _systems(SIZES, ("like for like", "size"), rounds=ROUNDS["least"]),
        _limit((*ENGINES, INT8), processes=PROCESSES, rounds=ROUNDS["median"]),
        Cell(
            name="cold",
            kind="cold",
            processes=PROCESSES,
            rounds=ROUNDS["least"],
            warmup_rounds=0,
            systems=(*COLD, *MEMORY),
        ),
        Cell(name="decoders", kind="decoders", processes=5, rounds=11, warmup_rounds=1),
        *(
            Cell(
                name=f"scaling-{what}",
                kind="scaling",
                processes=PROCESSES,
                rounds=ROUNDS["few"],
                warmup_rounds=1,
                systems=(REFERENCE, LIKE_FOR_LIKE),
                what=what,
            )
            for what in SWEEPS
        ),
        _scenario("offline", rounds=ROUNDS["few"]),
        _scenario("server", rounds=1),
    )


def _scenario(kind: Literal["offline", "server"], *, rounds: int) -> Cell:
    return Cell(
        name=kind,
        kind=kind,
        processes=PROCESSES,
        rounds=rounds,
        warmup_rounds=1,
        systems=(REFERENCE, LIKE_FOR_LIKE),
    )


def _systems(
    name: str,
    groups: tuple[str, ...],
    *,
    rounds: int,
    processes: int = PROCESSES,
    warmup_rounds: int = 1,
    only: tuple[str, ...] | None = None,
) -> Cell:
    """The systems of some groups of rows, with the student that all are held against.

    Slow ones are only in the cell that names them.
    """
    rows = [row for row in ROWS if row.group in groups]
    chosen = [
        row for row in rows if (row.other.name in only if only else row.other.name not in SLOW)
    ]
    found = {one.name: one for row in chosen for one in (row.without_flow, row.other)}
    systems = {REFERENCE.name: REFERENCE, **found}
    return Cell(
        name=name,
        kind="systems",
        processes=processes,
        rounds=rounds,
        warmup_rounds=warmup_rounds,
        systems=tuple(systems.values()),
    )


_FIRST = _systems("first", ("like for like",), rounds=ROUNDS["p99"])


def _limit(engines: tuple[EngineName, ...], *, processes: int, rounds: int) -> Cell:
    """The machine's limits, and the student in OpenVINO and other engines."""
    return Cell(
        name="limit",
        kind="limit",
        processes=processes,
        rounds=rounds,
        warmup_rounds=1,
        systems=(REFERENCE, *map(student, engines)),
    )


def _accuracy(options: Options) -> tuple[Cell, ...]:
    """One for each system and cell whose networks are trained. No clock decides it, so once is
    enough.
    """
    trained = options.trained_cells()
    if not options.whole:
        return tuple(
            _asked(one, two, options.num_clips)
            for one in trained[:1]
            for two in (REFERENCE, LIKE_FOR_LIKE)
        )
    return (
        *(
            _asked(one, two, options.num_clips)
            for one in trained
            for two in ACCURACY
            if all(arm in one.networks for arm in (two.rgb, two.flow) if arm)
        ),
        *(
            _asked(one, two, clips)
            for one in trained[:1]
            for two in (REFERENCE, LIKE_FOR_LIKE)
            for clips in CLIPS
            if clips != options.num_clips
        ),
        *(_asked(one, SLOW_ACCURACY, options.num_clips) for one in trained[:1]),
    )


def _asked(trained: TrainedCell, system: System, clips: int) -> Cell:
    return Cell(
        name=f"accuracy-{trained.name}-{system.name.replace('@', '-')}-clips{clips}",
        kind="accuracy",
        processes=1,
        rounds=1,
        warmup_rounds=0,
        systems=(system,),
        what=trained.name,
        clips=clips,
    )
