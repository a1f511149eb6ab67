import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from motionfit.benchmarks.report.flow import FlowComputer, flow_of
from motionfit.benchmarks.report.networks import MissingNetwork, networks_of
from motionfit.benchmarks.report.open import open_all, opener, usable_cores
from motionfit.benchmarks.report.options import Options
from motionfit.benchmarks.report.pipeline import Opener, Pipeline, Scores
from motionfit.benchmarks.report.reading import Shown, Wanted, read_pictures, rgb_clips
from motionfit.benchmarks.report.stages import STAGES, Stopwatch
from motionfit.benchmarks.report.systems import (
    FLOW_ALONE,
    FLOW_ALONE_STORED,
    INT8,
    LIKE_FOR_LIKE,
    MERS_STUDENT,
    REFERENCE,
    SHIPPED_STUDENT,
    System,
    student,
    system,
    two_stream,
)
from motionfit.benchmarks.report.torch_run import Run
from motionfit.inference.bundle import Bundle
from motionfit.inference.prediction import video_scores
from motionfit.inference.video import read_clips
from motionfit.training.checkpoint import load_checkpoint
from motionfit.training.evaluation import clip_logits
from motionfit.training.flow_methods import flow_function
from motionfit.training.manifest import read_manifest
from motionfit.training.two_stream import flow_scores
from tests.benchmarks.report_runs import CELL, FLOW_SPEC, SPEC, TinyExperiment


@pytest.fixture(scope="module")
def options(report_runs: TinyExperiment) -> Options:
    return Options(
        videos=(),
        runs=str(report_runs.runs),
        networks={CELL.name: dict(report_runs.cell.networks)},
        data=str(report_runs.data),
        threads=1,
        num_clips=2,
        seed=0,
        quick=True,
    )


@pytest.fixture(scope="module")
def found(
    options: Options, report_runs: TinyExperiment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opener]:
    folder = tmp_path_factory.mktemp("report")
    with opener(options, folder, cell=report_runs.cell) as one:
        yield one


@pytest.fixture
def video(report_runs: TinyExperiment) -> Path:
    return report_runs.videos[-1]


def scores_of(found: Opener, one: System, video: Path) -> Scores:
    pipeline = found.open(one)
    pipeline.store_flow(video)
    return pipeline.answer(video, watch=Stopwatch())


def test_the_student_is_given_the_clips_that_serving_gives_it(
    found: Opener, report_runs: TinyExperiment
) -> None:
    for video in report_runs.videos:
        pictures = read_pictures(video, found.open(REFERENCE).wanted, watch=Stopwatch())
        served = read_clips(video, spec=SPEC).frames
        np.testing.assert_array_equal(rgb_clips(pictures.now, num_clips=2), served)


def test_the_student_says_what_its_network_says(
    found: Opener, report_runs: TinyExperiment, video: Path
) -> None:
    own = load_checkpoint(report_runs.cell.checkpoint("motionfit"))
    clips = read_clips(video, spec=SPEC).frames
    expected = video_scores(clip_logits(own.model, clips, spec=SPEC), temperature=1)
    np.testing.assert_allclose(scores_of(found, REFERENCE, video), expected, atol=1e-5)


def test_two_streams_are_the_mean_of_both(found: Opener, video: Path) -> None:
    rgb = scores_of(found, system("rgb", rgb="random-same-clips"), video)
    flow = scores_of(found, FLOW_ALONE, video)
    assert not np.allclose(rgb, flow, atol=0.01)
    np.testing.assert_allclose(scores_of(found, LIKE_FOR_LIKE, video), (rgb + flow) / 2, atol=1e-6)


def test_stored_flow_gives_what_an_evaluation_gives(
    found: Opener, report_runs: TinyExperiment, tmp_path: Path
) -> None:
    rows = [r for r in read_manifest(report_runs.data) if r.path in report_runs.videos]
    network = load_checkpoint(report_runs.cell.checkpoint("flow-network"))
    _, expected = flow_scores(network, rows, folder=tmp_path, console=Console(quiet=True))
    for row, line in zip(rows, expected, strict=True):
        np.testing.assert_allclose(scores_of(found, FLOW_ALONE_STORED, row.path), line, atol=1e-5)


def test_flow_at_request_time_is_near_what_was_stored(found: Opener, video: Path) -> None:
    computed, stored = found.open(FLOW_ALONE), found.open(FLOW_ALONE_STORED)
    stored.store_flow(video)
    clips = [one.clips(video, known_as=video, watch=Stopwatch())[1] for one in (computed, stored)]
    first, second = (np.asarray(one) for one in clips)
    assert first.shape == second.shape == (2, 4, 32, 32, 2)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.9


def test_algorithms_are_those_of_training(report_runs: TinyExperiment) -> None:
    [a, b] = read_clips(report_runs.videos[0], spec=SPEC).frames[0, [0, 2]]
    shown = [np.asarray(one) for one in (a, b)]
    grey = [_grey(one) for one in shown]
    for name in ("dis", "farneback", "tvl1"):
        np.testing.assert_array_equal(flow_of(name)(*grey), flow_function(name)(*shown))


def _grey(picture: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    import cv2

    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def test_after_the_last_frame_nothing_moves(found: Opener, video: Path) -> None:
    wanted = Wanted(spec=SPEC, num_clips=2, rgb=False, flow=FLOW_SPEC)
    pictures = read_pictures(video, wanted, watch=Stopwatch())
    still = replace(pictures, later=pictures.now)
    with ThreadPoolExecutor(1) as pool:
        computer = FlowComputer(algorithm="dis", spec=FLOW_SPEC, pool=pool)
        assert not computer.clips(still, num_clips=2, crop=32).any()
        assert computer.clips(pictures, num_clips=2, crop=32).any()


def test_shared_pairs_are_computed_once(found: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    from motionfit.benchmarks.report import flow

    calls = []
    monkeypatch.setattr(flow, "flow_of", lambda name: lambda a, b: calls.append(1) or a2(a))
    grey = np.zeros((48, 64), np.uint8)

    def a2(picture: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.zeros((*picture.shape, 2), np.float32)

    first, second = (Shown(seconds=s, rgb=None, grey=grey) for s in (0.0, 0.1))
    from motionfit.benchmarks.report.reading import Pictures

    pictures = Pictures(now=(first,) * 8, later=(second,) * 8, flow_size=(48, 36))
    with ThreadPoolExecutor(2) as pool:
        FlowComputer(algorithm="dis", spec=FLOW_SPEC, pool=pool).clips(
            pictures, num_clips=2, crop=32
        )
    assert len(calls) == 1


def test_every_stage_is_timed_and_they_add_up(found: Opener, video: Path) -> None:
    import time

    pipeline = found.open(LIKE_FOR_LIKE)
    pipeline.answer(video, watch=Stopwatch())
    shares = []
    for _ in range(5):
        watch, begun = Stopwatch(), time.perf_counter()
        pipeline.answer(video, watch=watch)
        total_ms = 1000 * (time.perf_counter() - begun)
        assert set(watch.spent_ms) == set(STAGES)
        assert all(ms > 0 for ms in watch.spent_ms.values())
        shares.append(sum(watch.spent_ms.values()) / total_ms)
    assert 0.7 < max(shares) <= 1


def test_engines_agree_or_are_left_out(found: Opener, video: Path) -> None:
    engines = [student(name) for name in ("onnxruntime", "onnxruntime-plain", "torch-eager", INT8)]
    kept, excluded = open_all(found, [REFERENCE, LIKE_FOR_LIKE, *engines], video=video)
    assert [one.system.name for one in kept] == [
        REFERENCE.name,
        LIKE_FOR_LIKE.name,
        *(one.name for one in engines),
    ]
    assert excluded == ()


def test_an_engine_that_answers_otherwise_is_not_timed(
    found: Opener, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Pipeline.logits

    def other(self: Pipeline, path: Path) -> tuple[NDArray[np.float32], ...]:
        off = np.float32(0.01 if self.system.engine == "onnxruntime" else 0)
        return tuple(logits + off for logits in real(self, path))

    monkeypatch.setattr(Pipeline, "logits", other)
    kept, excluded = open_all(found, [REFERENCE, student("onnxruntime")], video=video)
    assert [one.system.name for one in kept] == [REFERENCE.name]
    assert "differs by up to 0.01" in excluded[0].reason


def test_the_flow_network_runs_in_every_engine(found: Opener, video: Path) -> None:
    expected = scores_of(found, two_stream(), video)
    for name in ("onnxruntime", "onnxruntime-plain", "torch-eager"):
        np.testing.assert_allclose(
            scores_of(found, two_stream(engine=name), video), expected, atol=1e-4
        )


@pytest.mark.skipif(usable_cores() < 2, reason="threads have one core to be on")
def test_workers_side_by_side_may_run_on_every_core(
    options: Options, report_runs: TinyExperiment, tmp_path: Path
) -> None:
    cell = report_runs.cell
    with ExitStack() as stack:
        runs = []
        for _ in range(2):
            opened = stack.enter_context(opener(options, tmp_path, cell=cell, threads=1))
            stream = opened.open(REFERENCE).rgb
            assert stream is not None
            runs.append(stream.run)
        clips = np.zeros((8, SPEC.num_frames, SPEC.crop, SPEC.crop, 3), np.uint8)
        done, seen = Event(), set[frozenset[int]]()

        def work(run: Run) -> None:
            while not done.is_set():
                run(clips)

        workers = [Thread(target=work, args=(run,)) for run in runs]
        for worker in workers:
            worker.start()
        for _ in range(200):
            seen |= {frozenset(os.sched_getaffinity(one.native_id or 0)) for one in workers}
            time.sleep(0.002)
        done.set()
        for worker in workers:
            worker.join()
    assert seen == {frozenset(os.sched_getaffinity(0))}


def test_what_was_not_trained_is_missing(found: Opener) -> None:
    with pytest.raises(MissingNetwork, match=f"--only '{CELL.name}/mers'"):
        found.open(MERS_STUDENT)


def test_without_an_experiment_the_student_is_the_one_that_ships() -> None:
    made, flow = networks_of(LIKE_FOR_LIKE, None)
    assert made is not None
    assert flow is not None
    assert made.key.startswith("made-")
    student_network, _ = networks_of(REFERENCE, None)
    assert student_network is not None
    assert student_network.key == f"shipped-{Bundle.open().version}"
    assert student_network.checkpoint.width == flow.checkpoint.width
    assert student_network.checkpoint.spec.num_frames == flow.checkpoint.spec.num_frames


def test_beside_an_experiment_the_shipped_student_is_timed_too(
    report_runs: TinyExperiment,
) -> None:
    network, flow = networks_of(SHIPPED_STUDENT, report_runs.cell)
    assert network is not None
    assert network.key == f"shipped-{Bundle.open().version}"
    assert flow is None
    with pytest.raises(MissingNetwork, match="the student is the one that ships"):
        networks_of(SHIPPED_STUDENT, None)
