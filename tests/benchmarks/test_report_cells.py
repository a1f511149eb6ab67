"""Every kind of part, measured for real on tiny networks, and the figures drawn from it."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from motionfit.benchmarks.report import decoders, scaling, scenarios
from motionfit.benchmarks.report.accuracy import accuracy_part
from motionfit.benchmarks.report.accuracy_figures import accuracy_figures
from motionfit.benchmarks.report.cold import cold_part, cold_plan, start_cold
from motionfit.benchmarks.report.curves import curve_figures
from motionfit.benchmarks.report.decoders import decoders_part
from motionfit.benchmarks.report.files import files_part
from motionfit.benchmarks.report.open import opener
from motionfit.benchmarks.report.options import Options
from motionfit.benchmarks.report.parts import in_turns
from motionfit.benchmarks.report.pipeline import Pipeline
from motionfit.benchmarks.report.plan import PREPARATION, Cell, Kind, cells
from motionfit.benchmarks.report.scaling import VARIANTS, scaling_part
from motionfit.benchmarks.report.scenario_figures import scenario_figures
from motionfit.benchmarks.report.scenarios import scenario_part
from motionfit.benchmarks.report.stages import Stopwatch
from motionfit.benchmarks.report.systems import (
    FLOW_ALONE,
    LIKE_FOR_LIKE,
    MERS_STUDENT,
    REFERENCE,
    EngineName,
    System,
    all_systems,
    student,
    two_stream,
)
from motionfit.benchmarks.report.systems_cell import systems_part
from motionfit.benchmarks.report.work import Work
from motionfit.benchmarks.session import Session
from motionfit.inference.errors import DatasetError
from tests.benchmarks.report_runs import CELL, TinyExperiment, write_moving

MakeWork = Callable[..., Work]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cells")


@pytest.fixture
def make_work(report_runs: TinyExperiment, folder: Path) -> MakeWork:
    options = Options(
        videos=(),
        runs=str(report_runs.runs),
        networks={CELL.name: dict(report_runs.cell.networks)},
        data=str(report_runs.data),
        threads=1,
        num_clips=2,
        seed=0,
        quick=False,
    )

    def make(
        kind: Kind,
        *,
        what: str = "",
        rounds: int = 1,
        systems: tuple[System, ...] = (REFERENCE, LIKE_FOR_LIKE),
        clips: int | None = None,
    ) -> Work:
        return Work(
            cell=Cell(
                name=kind,
                kind=kind,
                processes=1,
                rounds=rounds,
                warmup_rounds=0,
                systems=systems,
                what=what,
                clips=clips,
            ),
            options=options,
            folder=folder,
            process=0,
            session=Session.start(command="motionfit-bench report", seed=0),
        )

    return make


def test_clips_make_a_curve_with_an_exponent(
    make_work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "CLIPS", (1, 2, 4))
    curves = curve_figures([scaling_part(make_work("scaling", what="clips", rounds=11))])
    [total] = [c for c in curves if (c.system, c.part) == (LIKE_FOR_LIKE.name, "total")]
    assert [point.at for point in total.points] == [1, 2, 4]
    assert total.exponent is not None
    assert total.exponent.value > 0
    assert not [c for c in curves if (c.system, c.part) == (REFERENCE.name, "flow")]


@pytest.mark.parametrize("what", ["length", "concurrency", "batch", "threads"])
def test_every_sweep_has_both_systems(
    make_work: MakeWork, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    for name, value in {
        "SECONDS": (1, 2),
        "USUAL_HEIGHT": 96,
        "CONCURRENCY": (1, 2),
        "BATCHES": (1, 2),
    }.items():
        monkeypatch.setattr(scaling, name, value)
    found = scaling_part(make_work("scaling", what=what))
    named = {tuple(case.name.split("/")[:3]) for case in found.cases}
    sizes = {size for _, size, _ in named}
    both = (REFERENCE.name, LIKE_FOR_LIKE.name)
    assert named == {(what, size, system) for size in sizes for system in both}
    assert what == "threads" or sizes == {"1", "2"}


def test_two_runs_share_no_seed(make_work: MakeWork) -> None:
    work = make_work("server")
    again = replace(work, options=work.options.model_copy(update={"seed": 1}))
    seeds = [replace(one, process=p).seed for one in (work, again) for p in range(11)]
    assert len(set(seeds)) == len(seeds)


def test_a_server_is_asked_whether_or_not_it_has_answered(
    make_work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenarios, "REQUESTS", 15)
    monkeypatch.setattr(scenarios, "FIRST", 3)
    monkeypatch.setattr(scenarios, "SHARES", (0.3, 20))
    part = scenario_part(make_work("server"))
    waits = {case.name: case.samples_ms for case in part.cases}
    calm, busy = waits[f"0.3/{REFERENCE.name}"], waits[f"20/{REFERENCE.name}"]
    assert len(calm) == len(busy) == 12
    # Twenty times what it gets done: the last ones wait for nearly all before them.
    assert max(busy) > 3 * min(calm)
    capacity = next(one for one in part.figures if one.name.startswith(REFERENCE.name))
    [figures] = [
        one
        for one in scenario_figures([part])
        if one.system == REFERENCE.name and one.at and one.at > 19 * capacity.value
    ]
    assert figures.p50_ms is not None
    assert figures.p99_ms is None
    assert figures.refused["p99"] == "n too small: 12 samples, 662 needed"


def test_offline_counts_videos(make_work: MakeWork) -> None:
    part = scenario_part(make_work("offline", rounds=11))
    [student, both] = scenario_figures([part])
    assert student.per_second is not None
    assert both.per_second is not None
    assert student.per_second.value > both.per_second.value


def test_a_cold_start_is_longer_than_an_answer_and_takes_memory(make_work: MakeWork) -> None:
    part = cold_part(make_work("cold", systems=(REFERENCE, FLOW_ALONE, MERS_STUDENT), rounds=2))
    starts = {case.name.partition("/")[0]: case.samples_ms for case in part.cases}
    assert {name: len(own) for name, own in starts.items()} == {
        REFERENCE.name: 2,
        FLOW_ALONE.name: 1,
    }
    assert min(ms for own in starts.values() for ms in own) > 10
    assert [one.name for one in part.excluded] == [MERS_STUDENT.name]
    for peak in part.figures:
        assert peak.unit == "bytes"
        assert 0 < peak.value < 4e9


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch-eager"])
def test_a_bare_process_answers_as_the_pipeline_does(
    make_work: MakeWork, folder: Path, engine: EngineName
) -> None:
    work = make_work("cold")
    for system in (student(engine), two_stream(engine=engine)):
        plan = cold_plan(work, system)
        _, answer = start_cold(plan)
        with opener(work.options, folder, cell=work.options.timed_cell()) as found:
            scores = found.open(system).answer(Path(plan["videos"][0]), watch=Stopwatch())
        np.testing.assert_allclose(answer["scores"], scores, atol=1e-5)


def test_a_bare_process_imports_only_what_its_system_needs() -> None:
    program = "import motionfit.benchmarks.report.cold_child, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    assert {"torch", "cv2", "onnxruntime", "openvino"}.isdisjoint(loaded.stdout.split())


def test_decoders_that_give_other_frames_are_not_timed(
    make_work: MakeWork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calm = tmp_path / "calm.mp4"
    write_moving(calm, step=0, seed=0, blink=1)
    real = decoders._opencv
    monkeypatch.setattr(
        decoders, "_opencv", lambda path, indices: real(path, [i - 1 for i in indices])
    )
    work = make_work("decoders")
    videos = work.options.model_copy(update={"videos": (str(calm),)})
    part = decoders_part(replace(work, options=videos))
    assert torch.get_num_threads() == cv2.getNumThreads() == 1
    timed = {case.name.rpartition("/")[2] for case in part.cases}
    assert "pyav" in timed
    assert "opencv" not in timed
    reasons = [one.reason for one in part.excluded if one.name.endswith("/opencv")]
    assert reasons
    assert all("differs" in reason or "OpenCV reads" in reason for reason in reasons)


def test_accuracy_is_measured_of_what_was_trained(make_work: MakeWork) -> None:
    work = make_work("accuracy", what=CELL.name, systems=(REFERENCE,), clips=2)
    [student] = accuracy_figures([accuracy_part(work)])
    assert student.cells == (CELL.name,)
    assert student.top1.value == student.right[CELL.name].count("1") / 14
    asked = {one.name for c in cells(work.options) if c.kind == "accuracy" for one in c.systems}
    assert REFERENCE.name in asked
    assert MERS_STUDENT.name not in asked


def test_accuracy_of_videos_that_cannot_all_be_read_is_refused(
    make_work: MakeWork, tmp_path: Path
) -> None:
    work = make_work("accuracy", what=CELL.name, systems=(REFERENCE,), clips=2)
    data = shutil.copytree(str(work.options.data), tmp_path / "data")
    options = work.options.model_copy(update={"data": str(data)})
    [trained] = options.trained_cells()
    row = options.test_rows(trained)[1]
    row.path.write_bytes(b"no video at all")
    with pytest.raises(DatasetError, match=rf"{row.name} cannot be: .* take it out of data"):
        accuracy_part(replace(work, options=options))


def test_the_slowest_flow_is_asked_last_and_of_the_timed_networks_alone(
    make_work: MakeWork,
) -> None:
    options = make_work("systems").options
    [own] = options.networks.values()
    two = options.model_copy(update={"networks": {CELL.name: own, "split3-seed0-labels3": own}})
    asked = [one for one in cells(two) if one.kind == "accuracy"]
    slow = [one for one in asked if one.systems == (two_stream("tvl1"),)]
    assert [one.what for one in slow] == [CELL.name]
    assert asked[-1] == slow[0]


def test_processes_of_all_cells_alternate_after_the_preparation(make_work: MakeWork) -> None:
    options = make_work("systems").options
    turns = in_turns(cells(options))
    timed = [(cell.name, process) for cell, process in turns if cell.kind not in PREPARATION]
    assert [process for _, process in timed] == sorted(process for _, process in timed)
    assert {cell.kind for cell, _ in turns[: -len(timed)]} == set(PREPARATION)
    assert len(set(turns)) == len(turns)


def test_every_figure_has_at_least_five_processes(make_work: MakeWork) -> None:
    for cell in cells(make_work("systems").options):
        assert cell.processes >= 5 or cell.kind in PREPARATION


def test_the_headline_alone_is_measured_as_it_is_in_the_whole(make_work: MakeWork) -> None:
    options = make_work("systems").options
    whole = cells(options)
    alone = cells(options.model_copy(update={"headline": True}))
    timed = [one for one in alone if one.kind not in PREPARATION]
    assert all(one in whole for one in timed)
    assert [one for cell in timed for one in cell.systems] == [REFERENCE, LIKE_FOR_LIKE]
    assert len(in_turns(alone)) < len(in_turns(whole)) / 5


def test_processes_together_time_as_many_videos_as_they_can(make_work: MakeWork) -> None:
    work = make_work("systems", rounds=3)
    all_videos = work.options.timed_videos()
    assert list(all_videos) != sorted(all_videos)
    found = [path for p in range(5) for path in replace(work, process=p).videos[:3]]
    assert set(found) == set(all_videos)
    assert len(found) == 15
    assert len(all_videos) == 14


def test_callers_side_by_side_are_given_all_videos_in_turn(
    make_work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "CONCURRENCY", (2,))
    seen: list[Path] = []

    def answer(_: Pipeline, path: Path, **__: object) -> None:
        seen.append(path)

    monkeypatch.setattr(Pipeline, "answer", answer)
    work = make_work("scaling", what="concurrency", rounds=7)
    scaling_part(work)
    assert sorted(seen) == sorted(2 * work.videos)


def test_the_preparation_writes_what_is_timed(make_work: MakeWork, tmp_path: Path) -> None:
    systems = (REFERENCE, two_stream("stored"))
    part = files_part(replace(make_work("files", systems=systems), folder=tmp_path))
    assert part.cases == ()
    assert len(list((tmp_path / VARIANTS).glob("*.mp4"))) == 9
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    systems_part(replace(make_work("systems", systems=systems), folder=tmp_path))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == files


def test_every_system_is_in_some_cell(make_work: MakeWork) -> None:
    planned = cells(make_work("systems").options)
    timed = {one.name for cell in planned if cell.kind == "systems" for one in cell.systems}
    assert timed == {one.name for one in all_systems()}
