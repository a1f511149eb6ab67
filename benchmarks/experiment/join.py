"""Results of one experiment from several folders RUNS, perhaps of several machines -> one."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from motionfit.benchmarks import machine
from motionfit.benchmarks.experiment.figures import RESAMPLING_SEED, figures_of
from motionfit.benchmarks.experiment.protocol import Protocol, entries
from motionfit.benchmarks.experiment.result import ArmCell, ExperimentResult, Part, VideoSet
from motionfit.benchmarks.result import ResultError
from motionfit.training.provenance import git_revision

Results = Mapping[Path, ExperimentResult]


def joined(results: Results, *, command: str) -> ExperimentResult:
    """The cells of all ``results``, with figures and intervals over all of them.

    Of one result they are computed anew. Of several, hours and the accuracy of pseudo-labels stay
    in the parts, which may share jobs. Raises ResultError when the parts are not of one experiment,
    or when two of them trained a cell differently.
    """
    first = next(iter(results.values()))
    _check_names(results)
    _same({path: one.measured_on for path, one in results.items()}, what="videos to measure on")
    _same({path: one.dataset for path, one in results.items()}, what="data set")
    _same({path: one.labels for path, one in results.items()}, what="classes")
    protocol, cross_domain, sets = _protocol(results), _cross_domain(results), _sets(results)
    wanted = entries(protocol, on=first.measured_on, cross_domain=bool(cross_domain))
    cells = _cells(results, order=[entry.name for entry in wanted])
    figures = figures_of(cells, sets=sets, protocol=protocol)
    there = {cell.name for cell in cells}
    asked = {name for one in results.values() for name in one.missing}
    alone = len(results) == 1
    return ExperimentResult(
        command=command,
        created_utc=datetime.now(UTC).replace(microsecond=0),
        git_revision=git_revision(),
        trained_by=tuple(sorted({name for one in results.values() for name in one.trained_by})),
        measured_on=first.measured_on,
        dataset=first.dataset,
        cross_domain=cross_domain,
        protocol=protocol,
        machine=machine.describe(),
        libraries=machine.libraries(),
        resampling_seed=RESAMPLING_SEED,
        labels=first.labels,
        primary=figures.primary,
        gate=figures.gate,
        summaries=figures.summaries,
        comparisons=figures.comparisons,
        pseudo_labels=first.pseudo_labels if alone else (),
        spent=first.spent if alone else (),
        spent_by_arm=first.spent_by_arm if alone else (),
        missing=tuple(one.name for one in wanted if one.name in asked and one.name not in there),
        video_sets=tuple(sets.values()),
        cells=cells,
        parts=tuple(part for path, one in results.items() for part in _parts(path, one)),
    )


def _check_names(results: Results) -> None:
    names = [path.name for path in results]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ResultError(
            f"several files are called {min(twice)}, and a joined result tells its parts by their "
            "names: rename one"
        )


def _protocol(results: Results) -> Protocol:
    """That of all; of random initialisation's own schedule, parts from before its choice know less.

    Raises ResultError when they differ in more.
    """
    chosen = {clips for one in results.values() if (clips := one.protocol.own_schedule_clips)}
    first, *others = results
    rest = {
        path: one.protocol.model_copy(update={"own_schedule_clips": None})
        for path, one in results.items()
    }
    for path in others:
        if differ := [
            name
            for name in Protocol.model_fields
            if getattr(rest[path], name) != getattr(rest[first], name)
        ]:
            raise ResultError(
                f"{path} has another protocol than {first}: {', '.join(differ)} differ"
            )
    if len(chosen) > 1:
        raise ResultError(
            f"own schedules of {' and '.join(map(str, sorted(chosen)))} clips do not compare"
        )
    return rest[first].model_copy(update={"own_schedule_clips": next(iter(chosen), None)})


def _cross_domain(results: Results) -> tuple[str, ...]:
    given = {path: one.cross_domain for path, one in results.items() if one.cross_domain}
    _same(given, what="other source")
    return next(iter(given.values()), ())


def _sets(results: Results) -> dict[str, VideoSet]:
    sets: dict[str, VideoSet] = {}
    for path, one in results.items():
        for videos in one.video_sets:
            if sets.setdefault(videos.split, videos) != videos:
                raise ResultError(f"{path} was measured on other videos of {videos.split}")
    return sets


def _cells(results: Results, *, order: Sequence[str]) -> tuple[ArmCell, ...]:
    """Each once, in the order of the protocol."""
    cells: dict[str, tuple[Path, ArmCell]] = {}
    drawn: dict[str, tuple[str, ...]] = {}
    for path, one in results.items():
        for cell in one.cells:
            if drawn.setdefault(cell.name.partition("/")[0], cell.labelled) != cell.labelled:
                raise ResultError(f"{path} drew other labelled groups for {cell.name}")
            known, before = cells.setdefault(cell.name, (path, cell))
            if before != cell:
                raise ResultError(
                    f"{known} and {path} have two different results of {cell.name}: "
                    "leave one of the files out, or write one again from a folder RUNS without it"
                )
    place = {name: index for index, name in enumerate(order)}
    found = [cell for _, cell in cells.values()]
    return tuple(sorted(found, key=lambda cell: place.get(cell.name, len(place))))


def _same(values: Mapping[Path, object], *, what: str) -> None:
    """Raises ResultError when not all parts say the same."""
    parts = list(values.items())
    for path, value in parts[1:]:
        first, known = parts[0]
        if value != known:
            raise ResultError(f"{path} has other {what} than {first}: they cannot be joined")


def _parts(path: Path, result: ExperimentResult) -> tuple[Part, ...]:
    """Where the cells of a result were measured; of a joined one its own parts."""
    one = Part(
        file=path.name,
        command=result.command,
        created_utc=result.created_utc,
        git_revision=result.git_revision,
        cells=len(result.cells),
        machine=result.machine,
        libraries=result.libraries,
    )
    return result.parts or (one,)
