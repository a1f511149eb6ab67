from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motionfit.benchmarks import mutants
from motionfit.benchmarks.damage import damaged
from motionfit.benchmarks.mutants import (
    Mutant,
    Original,
    Outcome,
    mutants_of,
    outcomes_of,
    written,
)
from motionfit.benchmarks.result import Result, read_result
from motionfit.benchmarks.session import Session
from motionfit.inference.bundle import Bundle
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DecoderCrashed, DecoderFailed
from motionfit.inference.isolation import DecoderProcess
from tests.conftest import child_processes

Bench = Callable[..., Any]
COUNT, UPLOADS = 60, 12
REMADE = {"flv1", "gif", "h264", "hevc", "mjpeg", "mpeg1video", "mpeg2video", "vp9", "wmv2"}


@pytest.fixture(scope="module")
def result(
    bundle: Path, clip: Path, bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> Result:
    """Of the real command."""
    output = tmp_path_factory.mktemp("result") / "mutants.json"
    done = bench(
        *("mutants", bundle, clip, "--count", COUNT, "--http", UPLOADS),
        *("--workers", 2, "-o", output),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "codec" in done.stdout
    return read_result(output)


def test_every_mutant_is_counted_by_codec_and_by_outcome(result: Result) -> None:
    counts = {tuple(one.name.split("/")): one.value for one in result.figures}
    by_outcome = {outcome: n for (codec, outcome), n in counts.items() if codec == "all"}
    by_codec = {key: n for key, n in counts.items() if key[0] != "all"}
    assert sum(by_outcome.values()) == sum(by_codec.values()) == COUNT
    assert {codec for codec, _ in by_codec} == REMADE | {"mpeg4"}
    assert by_outcome["answered"] > COUNT / 5
    assert by_outcome["unreadable-video"] > 0
    assert all(target.met for target in result.targets)
    assert [video.name for video in result.videos] == ["a_red_clip.mp4"]


@pytest.fixture
def original(clip: Path) -> Original:
    return Original(name="red.mp4", content=clip.read_bytes(), codec="mpeg4")


@pytest.fixture
def spec(bundle: Path) -> ClipSpec:
    return Bundle.open(bundle).spec


def test_a_mutant_can_be_made_again_from_its_seed(original: Original) -> None:
    first, second = mutants_of([original], count=2, seed=7)
    assert (first.seed, second.seed) == ("7 0 red.mp4", "7 1 red.mp4")
    assert first.content() == damaged(original.content, seed="7 0 red.mp4")
    assert first.content() not in {second.content(), original.content}


def test_what_kills_the_decoder_is_listed_with_its_seed(
    original: Original, spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = DecoderProcess.read_clips
    fatal = mutants_of([original], count=3, seed=0)[1]

    def read_clips(self: DecoderProcess, source: Any, **options: Any) -> Any:
        if source.getvalue() == fatal.content():
            raise DecoderCrashed("the decoder died by signal 11")
        return honest(self, source, **options)

    monkeypatch.setattr(DecoderProcess, "read_clips", read_clips)
    outcomes = list(outcomes_of(mutants_of([original], count=3, seed=0), spec=spec, workers=1))
    assert [one.code == "decoder-crashed" for one in outcomes] == [False, True, False]
    (path,) = written(outcomes, tmp_path)
    assert (path.name, path.read_bytes()) == ("0_1_red.mp4", fatal.content())


def test_an_error_that_nobody_expects_is_no_outcome_to_be_proud_of(
    original: Original, spec: ClipSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_clips(self: DecoderProcess, source: Any, **_: Any) -> Any:
        raise IndexError("out of range")

    monkeypatch.setattr(DecoderProcess, "read_clips", read_clips)
    (outcome,) = outcomes_of(mutants_of([original], count=1, seed=0), spec=spec, workers=1)
    assert (outcome.code, outcome.detail) == ("unexpected", "IndexError: out of range")


def test_a_bug_in_the_decoder_misses_the_target(
    original: Original, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_clips(self: DecoderProcess, source: Any, **_: Any) -> Any:
        raise DecoderFailed("the decoder failed: IndexError()")

    monkeypatch.setattr(DecoderProcess, "read_clips", read_clips)
    opened = Bundle.open(bundle)
    outcomes = list(
        outcomes_of(mutants_of([original], count=1, seed=0), spec=opened.spec, workers=1)
    )
    result = mutants.mutants_result(
        outcomes,
        mutants.Plan(bundle=None, videos=(), count=1, http=0, workers=1, seed=0),
        bundle=opened,
        records=[],
        different=[],
        session=Session.start(command="mutants", seed=0),
    )
    assert [(target.value, target.met) for target in result.targets] == [(1, False), (0, True)]
    assert [fault.what for fault in result.faults] == [
        "decoder-failed: the decoder failed: IndexError()"
    ]


def test_a_server_that_says_something_else_is_noticed(original: Original, bundle: Path) -> None:
    plan = mutants.Plan(bundle=str(bundle), videos=(), count=2, http=2, workers=1, seed=0)
    harmless = Mutant(original=original, seed="unused")
    object.__setattr__(harmless, "content", lambda: original.content)
    right = Outcome(mutant=harmless, code="answered", detail="mpeg4 64x48, 0.600 s")
    wrong = Outcome(mutant=harmless, code="no-frames", detail="there is no picture")
    uploads: list[None] = []
    faults = mutants.differences([right, wrong], plan, after_mutant=lambda: uploads.append(None))
    assert [fault.what for fault in faults] == [
        "answered by HTTP (mpeg4 64x48, 0.600 s), no-frames in Python (there is no picture)"
    ]
    assert len(uploads) == 2


def test_stopping_early_leaves_no_process(original: Original, spec: ClipSpec) -> None:
    before = child_processes()
    found = outcomes_of(mutants_of([original], count=1000, seed=0), spec=spec, workers=2)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert child_processes() == before
