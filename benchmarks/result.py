"""The one format of every result: JSON that a report can be drawn from, years later."""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar

from pydantic import AwareDatetime, Field, ValidationError

from motionfit.benchmarks import estimates
from motionfit.benchmarks.machine import Machine
from motionfit.benchmarks.noise import Noise
from motionfit.inference.bundle import MODEL, Bundle, sha256_of
from motionfit.inference.decoding import VideoInfo
from motionfit.inference.errors import MotionfitError
from motionfit.training.json_record import Estimate, Record
from motionfit.training.recipe import recipe_of
from motionfit.training.resampling import rounded
from motionfit.training.scores import Accuracy
from motionfit.training.whole_files import written_whole

FORMAT: Final = 1
PERCENTILES = {"p90": 0.90, "p95": 0.95, "p99": 0.99}
R = TypeVar("R", bound=Record)

SHA256 = r"^[0-9a-f]{64}$"


class ResultError(MotionfitError):
    """A results file is missing, damaged, of another format, or cannot be compared."""

    code = "bad-result"


class Model(Record):
    """The bundle that was measured."""

    name: str
    sha256: str = Field(pattern=SHA256)
    """Of the bundle's model.onnx."""
    recipe: dict[str, Any] | None = Field(default=None, exclude_if=lambda recipe: recipe is None)
    """How it was trained, whatever the videos; absent when the bundle does not say."""

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        """The record of an opened bundle."""
        return cls(
            name=bundle.name,
            sha256=bundle.files[MODEL],
            recipe=recipe_of(bundle.manifest.get("training", {})),
        )


class Video(Record):
    """A video that was measured with."""

    name: str
    """File name, or path inside its data set."""
    sha256: str = Field(pattern=SHA256)
    bytes: int
    codec: str
    width: int
    """Pixels, as displayed."""
    height: int
    """Pixels, as displayed."""
    frame_rate: float | None
    """Frames per second; null where the file does not say."""
    duration_seconds: float

    @classmethod
    def of(cls, path: Path, *, info: VideoInfo, name: str) -> Self:
        """The record of the file at ``path``, known as ``name``."""
        return cls(
            name=name,
            sha256=sha256_of(path),
            bytes=path.stat().st_size,
            codec=info.codec,
            width=info.width,
            height=info.height,
            frame_rate=None if info.frame_rate is None else round(info.frame_rate, 3),
            duration_seconds=round(info.duration_seconds, 3),
        )


class Summary(Record):
    """What the samples of a case allow to be said, in milliseconds."""

    n: int
    mean: float
    min: float
    max: float
    median: Estimate | None
    p90: float | None
    p95: float | None
    p99: float | None
    refused: dict[str, str]
    """Statistic -> why it is null."""


class TimedCase(Record):
    """One thing that was timed."""

    name: str
    """Parts joined by ``/``, from the general to the special: ``clip.mp4/infer/onnx``."""
    samples_ms: tuple[float, ...] = Field(min_length=1)
    """In the order of the rounds: sample i of all cases of a result is of round i."""
    summary: Summary

    @classmethod
    def of(cls, name: str, samples_ms: Sequence[float], *, seed: int) -> Self:
        """Samples, kept to a tenth of a microsecond, with their summary."""
        samples = tuple(round(sample, 4) for sample in samples_ms)
        return cls(name=name, samples_ms=samples, summary=summarise(samples, seed=seed))


class Ratio(Record):
    """Two cases against each other, round by round."""

    numerator: str
    """Name of a case."""
    denominator: str
    ratio: Estimate | None
    """Median over the rounds of the ratio within a round; null when there are too few rounds."""

    @classmethod
    def of(cls, numerator: TimedCase, denominator: TimedCase, *, seed: int) -> Self:
        """The ratio of two cases of one run."""
        ratio = estimates.paired_ratio(numerator.samples_ms, denominator.samples_ms, seed=seed)
        return cls(numerator=numerator.name, denominator=denominator.name, ratio=ratio)


class Rate(Record):
    """How much a case gets done in a second."""

    name: str
    """Name of the case."""
    unit: str
    """What is counted: ``clips``."""
    per_second: Estimate | None
    """The count of a sample over the median sample; null when there are too few rounds."""

    @classmethod
    def of(cls, case: TimedCase, *, count: int, unit: str) -> Self:
        """The rate of a case that gets ``count`` units done in each sample."""
        median = case.summary.median
        if median is None:
            return cls(name=case.name, unit=unit, per_second=None)
        # The fewest milliseconds are the highest rate.
        value, low, high = (count * 1000 / ms for ms in (median.value, median.high, median.low))
        per_second = Estimate(value=rounded(value), low=rounded(low), high=rounded(high))
        return cls(name=case.name, unit=unit, per_second=per_second)


class Excluded(Record):
    """A case that was not timed."""

    name: str
    reason: str


class Figure(Record):
    """A number that is not the time of a case: a count, a share, an amount."""

    name: str
    """Parts joined by ``/``, from the general to the special."""
    unit: str
    """What is counted: ``bytes``, ``requests``, ``1/s``; empty for a share."""
    value: float


class Target(Record):
    """What was promised of a figure, and what became of it."""

    name: str
    unit: str
    """Of the value; empty for a ratio or a share."""
    value: float | None
    """null when the samples do not allow one."""
    at_least: float | None
    at_most: float | None
    met: bool | None
    """null when there is no value."""

    @classmethod
    def of(
        cls,
        name: str,
        value: float | None,
        *,
        unit: str,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> Self:
        """Judge a value by its bounds, either of which may be missing."""
        met = None
        if value is not None:
            value = rounded(value)
            met = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
        return cls(name=name, unit=unit, value=value, at_least=at_least, at_most=at_most, met=met)


class Fault(Record):
    """Something that went wrong under test."""

    name: str
    """What it happened to, so that it can be made again."""
    what: str


class Result(Record):
    """Everything about one run of a benchmark: enough to repeat it, to draw it, to doubt it."""

    format: Literal[1] = FORMAT
    kind: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    """Which benchmark: results of one kind can be compared."""
    command: str
    """What makes it again; folders are left out of file names."""
    created_utc: AwareDatetime
    seed: int
    settings: dict[str, str | int | float | bool | None]
    """Options that change the figures, with the values that were in force."""
    machine: Machine
    noise: Noise
    libraries: dict[str, str]
    """Library -> version."""
    model: Model | None
    """null when no bundle takes part in the measurement."""
    videos: tuple[Video, ...]
    cases: tuple[TimedCase, ...]
    ratios: tuple[Ratio, ...]
    excluded: tuple[Excluded, ...]
    """What was not timed, because it does not agree with its rival or cannot run here."""
    accuracy: Accuracy | None
    """null when none was measured."""
    rates: tuple[Rate, ...] = Field(default=(), exclude_if=lambda rates: not rates)
    """Not in the file when there are none, as the next three."""
    figures: tuple[Figure, ...] = Field(default=(), exclude_if=lambda figures: not figures)
    targets: tuple[Target, ...] = Field(default=(), exclude_if=lambda targets: not targets)
    faults: tuple[Fault, ...] = Field(default=(), exclude_if=lambda faults: not faults)


def summarise(samples_ms: Sequence[float], *, seed: int) -> Summary:
    """The summary of at least one sample. What n does not allow to be said is null, with why."""
    shares = {"median": 0.5, **PERCENTILES}
    reasons = {name: estimates.too_few(len(samples_ms), share=s) for name, s in shares.items()}
    return Summary(
        n=len(samples_ms),
        mean=round(sum(samples_ms) / len(samples_ms), 4),
        min=min(samples_ms),
        max=max(samples_ms),
        median=estimates.median(samples_ms, seed=seed),
        **{name: estimates.quantile(samples_ms, share=s) for name, s in PERCENTILES.items()},
        refused={name: reason for name, reason in reasons.items() if reason},
    )


def write_result(result: Result, path: Path) -> None:
    """Write JSON, complete or not at all."""
    with written_whole(path) as unfinished:
        unfinished.write_text(result.document(), encoding="utf-8")


def read_result(path: Path) -> Result:
    """Read and check a results file. Raises ResultError, naming what is wrong with it."""
    values = read_json(path)
    if not isinstance(values, dict) or "format" not in values:
        raise ResultError(f"{path} is not a result of motionfit-bench: it names no format")
    if values["format"] != FORMAT:
        raise ResultError(
            f"{path} is of format {values['format']!r}; this version of motionfit reads format "
            f"{FORMAT}: measure again, or use the version that wrote it"
        )
    return checked(values, Result, path=path)


def read_json(path: Path) -> Any:
    """What the JSON file ``path`` holds. Raises ResultError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResultError(f"there is no results file {path}") from error
    except ValueError as error:
        raise ResultError(f"{path} is not JSON: {error}") from error


def checked(values: Any, kind: type[R], *, path: Path) -> R:
    """The values of the file ``path`` as a record. Raises ResultError, naming the first fault."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ResultError(f"{path} is not a valid result: {where}: {first['msg']}") from error


def shown_command(arguments: Sequence[str]) -> str:
    """A command line for the record, with the folders left out of the names of files."""
    return shlex.join(["motionfit-bench", *(_without_folder(a) for a in arguments)])


def _without_folder(argument: str) -> str:
    attached = re.match(r"-o|--[\w-]+=", argument)
    option = attached[0] if attached else ""
    value = argument.removeprefix(option)
    path = Path(value)
    return option + (path.name if "/" in value and path.parent.is_dir() else value)
