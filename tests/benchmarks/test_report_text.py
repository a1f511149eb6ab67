"""What a report says, drawn from made samples: nothing that they do not allow."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionfit.benchmarks.noise import Noise
from motionfit.benchmarks.report.draw import draw_report
from motionfit.benchmarks.report.figures import row_figures, system_figures
from motionfit.benchmarks.report.headline import headline
from motionfit.benchmarks.report.merge import agreement, read_other
from motionfit.benchmarks.report.pictures import PICTURES
from motionfit.benchmarks.report.plots import tradeoff
from motionfit.benchmarks.report.result import (
    AccuracyFigures,
    CurveFigures,
    EngineFigures,
    LimitFigures,
    Point,
    ReportResult,
    ScenarioFigures,
    read_report,
    write_report,
)
from motionfit.benchmarks.report.stages import STAGES
from motionfit.benchmarks.report.systems import LIKE_FOR_LIKE, REFERENCE, USUAL, student
from motionfit.benchmarks.result import Excluded, Result, ResultError, Video
from motionfit.training.json_record import Estimate
from tests.benchmarks.conftest import MACHINE, MakeResult

MakeReport = Callable[..., ReportResult]
NOISY = Noise(variation_before=0.2, variation_after=0.2, drift=0.1, noisy=True)


@pytest.fixture
def make_report(timing_result: MakeResult) -> MakeReport:
    def make(
        *, ratio: float = 3.0, rounds: int = 26, seed: int = 0, **changes: Any
    ) -> ReportResult:
        parts = tuple(
            _part(timing_result, ratio=ratio, rounds=rounds, process=process, seed=seed, **changes)
            for process in range(5)
        )
        return _report(parts, **changes)

    return make


def _part(
    timing_result: MakeResult, *, ratio: float, rounds: int, process: int, seed: int, **changes: Any
) -> Result:
    rng = np.random.default_rng(10 * seed + process)
    base = rng.normal(100, 4, rounds)
    samples = {}
    own = ((REFERENCE, 1.0), (LIKE_FOR_LIKE, ratio), (USUAL, 80.0), (student("torch-eager"), 2.0))
    for name, times in ((system.name, times) for system, times in own):
        for case in ("total", "cpu", *STAGES):
            share = 1 / len(STAGES) if case in STAGES else 1
            samples[f"{name}/{case}"] = list(base * times * share * rng.normal(1, 0.02, rounds))
    return timing_result(
        samples,
        kind="report-systems",
        settings={"cell": "first", "process": process},
        noise=changes.get("noise", NOISY),
        machine=changes.get("machine", MACHINE),
        excluded=changes.get("excluded", ()),
    )


def _report(parts: tuple[Result, ...], **changes: Any) -> ReportResult:
    values: dict[str, Any] = {
        "command": "motionfit-bench report -o report",
        "created_utc": datetime(2026, 1, 2, tzinfo=UTC),
        "git_revision": None,
        "machine": changes.get("machine", MACHINE),
        "libraries": {"numpy": "2.4.6"},
        "threads": 2,
        "clips": 4,
        "quick": False,
        "networks": None,
        "noisy_parts": sum(part.noise.noisy for part in parts),
        "missing_parts": 0,
        "flow_bytes_a_video": None,
        "weights": {},
        "systems": system_figures(parts),
        "rows": row_figures(parts),
        "accuracies": (),
        "clip_accuracies": (),
        "videos": {},
        "limits": None,
        "engines": (),
        "decoders": (),
        "curves": (),
        "scenarios": (),
        "excluded": changes.get("excluded", ()),
        "parts": parts,
    }
    own = {name: value for name, value in changes.items() if name in values}
    return ReportResult(**(values | own))


CELLS = ("split2-seed0-labels3", "split2-seed1-labels3")


def _accuracy(
    system: str, value: float, difference: Estimate | None, *, cells: tuple[str, ...] = CELLS[:1]
) -> AccuracyFigures:
    return AccuracyFigures(
        system=system,
        clips=4,
        cells=cells,
        right=dict.fromkeys(cells, "10"),
        top1=Estimate(value=value, low=value - 0.05, high=value + 0.05),
        difference=difference,
    )


def drawn(report: ReportResult, folder: Path, *others: Path) -> str:
    draw_report(report, [read_other(path) for path in others], folder)
    return (folder / "report.md").read_text()


def test_the_first_figure_is_like_for_like_and_not_the_slow_flow(make_report: MakeReport) -> None:
    like, usual, *_ = headline(make_report())
    assert like.startswith("Like for like")
    assert re.search(r"take (2\.9\d?|3(\.0\d?)?) times \(", like)
    assert usual.startswith("With OpenCV's default TV-L1 in PyTorch")
    assert "TV-L1 flow, default, in PyTorch eager" in usual
    assert "80" in usual
    assert re.search(r"student in PyTorch eager it is (39|40|41)(\.\d)? times \(", usual)


def test_the_videos_are_described(make_report: MakeReport) -> None:
    report = make_report()
    [part, *others] = report.parts
    videos = tuple(
        Video(
            name=f"{number}.mp4",
            sha256=f"{number:064x}",
            bytes=1,
            codec="h264",
            width=170,
            height=128,
            frame_rate=25.0,
            duration_seconds=seconds,
        )
        for number, seconds in enumerate((4.0, 5.0, 9.0))
    )
    parts = (part.model_copy(update={"videos": videos}), *others)
    said = headline(report.model_copy(update={"parts": parts}))
    assert (
        "Timed on 3 videos, most of 170 x 128 pixels, of a median length of 5.0 s: 4 clips of "
        "each, by small networks (R(2+1)D-18 at 0.25 of its width, 8 frames of 64 x 64), on "
        f"{MACHINE.cpu} with 2 threads. Brackets hold 95 % intervals."
    ) in said


def test_the_first_row_is_told_for_large_pictures_too(make_report: MakeReport) -> None:
    curves = tuple(
        CurveFigures(
            sweep="resolution",
            system=name,
            part="total",
            points=tuple(
                Point(at=lines, ms=Estimate(value=ms, low=ms, high=ms), n=25)
                for lines, ms in ((240, first), (1080, last))
            ),
            exponent=None,
        )
        for name, first, last in ((REFERENCE.name, 30, 400), (LIKE_FOR_LIKE.name, 90, 500))
    )
    said = " ".join(headline(make_report(curves=curves)))
    assert "enlarged to 1080 lines" in said
    assert "take 1.25 times as long: medians of 500 (500 to 500) ms against 400 (400" in said


def test_a_noisy_machine_is_said_to_be_one(make_report: MakeReport) -> None:
    assert "noisy: in 5 of 5 parts" in " ".join(headline(make_report()))
    quiet = Noise(variation_before=0.01, variation_after=0.01, drift=0.0, noisy=False)
    assert "noisy" not in " ".join(headline(make_report(noise=quiet)))


def test_a_quick_look_says_that_it_is_no_result(make_report: MakeReport) -> None:
    assert "no result" in headline(make_report(quick=True))[0]
    assert "3 parts are still to be measured" in headline(make_report(missing_parts=3))[0]


def test_without_trained_networks_nothing_is_said_of_accuracy(
    make_report: MakeReport, tmp_path: Path
) -> None:
    text = drawn(make_report(), tmp_path)
    assert "Nothing is known of accuracy: no experiment with trained networks was given." in text
    assert "## Accuracy against time" not in text
    assert not (tmp_path / "tradeoff.png").exists()


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.05, "two streams are right more often"),
        (-0.05, -0.01, "the student is right more often"),
        (-0.02, 0.04, "the two cannot be told apart"),
    ],
)
def test_accuracy_stands_beside_the_time(
    make_report: MakeReport, tmp_path: Path, low: float, high: float, said: str
) -> None:
    difference = Estimate(value=(low + high) / 2, low=low, high=high)
    report = make_report(
        networks="split2-seed0-labels3",
        weights={cell: {} for cell in CELLS},
        accuracies=(
            _accuracy(REFERENCE.name, 0.5, None, cells=CELLS),
            _accuracy(LIKE_FOR_LIKE.name, 0.52, difference, cells=CELLS),
        ),
    )
    text = drawn(report, tmp_path)
    assert said in text
    # A quick look measures one of the trainings that are there.
    first = [one.model_copy(update={"cells": CELLS[:1]}) for one in report.accuracies]
    once = report.model_copy(update={"accuracies": tuple(first)})
    assert said not in " ".join(headline(once))
    assert "ranks no methods" in " ".join(headline(once))
    assert "Each network was trained once" in drawn(once, tmp_path / "once")
    assert "50.0 % (45.0 to 55.0)" in text
    assert (tmp_path / "tradeoff.png").read_bytes().startswith(b"\x89PNG")
    [head, row] = re.findall(r"(.+)\n(\| Like for like .+)", text)[0]
    assert head.startswith("| --- | --- | --- | --: | ")  # words to the left, numbers to the right
    assert "52.0 %" in row
    assert "trainings" not in row


def test_an_accuracy_of_fewer_trainings_than_the_students_is_marked(
    make_report: MakeReport, tmp_path: Path
) -> None:
    more = Estimate(value=0.1, low=0, high=0.2)
    report = make_report(
        networks=CELLS[0],
        weights={cell: {} for cell in CELLS},
        accuracies=(
            _accuracy(REFERENCE.name, 0.4, None, cells=CELLS),
            _accuracy(LIKE_FOR_LIKE.name, 0.7, more),
        ),
    )
    text = drawn(report, tmp_path)
    row = re.findall(r"\n(\| Like for like .+)", text)[0]
    assert "two streams 70.0 % (65.0 to 75.0), of 1 of the student's 2 trainings: +10" in text
    assert "ranks no methods" in text
    assert "70.0 % (65.0 to 75.0), of 1 of the student's 2 trainings" in row
    figure = tradeoff(report)
    assert figure is not None
    heights = [float(one[0].get_ydata()[0]) for one in figure.axes[0].containers]
    assert sorted(heights) == pytest.approx([40, 50])  # the student's, and that with the difference


def test_what_was_not_measured_or_trained_is_said_and_not_guessed(
    make_report: MakeReport, tmp_path: Path
) -> None:
    why = "mers is not trained in split2-seed0-labels3: run something"
    text = drawn(
        make_report(
            networks="split2-seed0-labels3",
            excluded=(Excluded(name="mers@openvino", reason=why),),
        ),
        tmp_path,
    )
    lines = text.splitlines()
    [mers] = [line for line in lines if line.startswith("|  | MERS student")]
    assert mers.count("mers is not trained in split2-seed0-labels3") == 2
    [farneback] = [line for line in lines if "two streams, Farneback" in line]
    assert farneback.count("not measured") == 2
    assert why in text


def test_percentiles_are_refused_with_too_few_samples(
    make_report: MakeReport, tmp_path: Path
) -> None:
    lines = drawn(make_report(), tmp_path).splitlines()
    name = "| student, no flow (OpenVINO)"
    [row] = [line for line in lines if line.startswith(name) and "| 130 |" in line]
    assert row.endswith("n too small |")
    assert row.count("n too small") == 1  # of 130 samples p90 and p95 may be said


def test_every_picture_is_drawn_where_there_are_figures_for_it(
    make_report: MakeReport, tmp_path: Path
) -> None:
    ms = Estimate(value=10, low=9, high=12)
    curve = CurveFigures(
        sweep="clips",
        system=REFERENCE.name,
        part="total",
        points=tuple(Point(at=at, ms=ms, n=55) for at in (1, 2, 4)),
        exponent=Estimate(value=0.9, low=0.8, high=1.0),
    )
    asked = [
        ScenarioFigures(
            scenario="server",
            system=name,
            at=rate,
            per_second=None,
            p50_ms=50 * rate,
            p95_ms=90 * rate,
            p99_ms=None,
            refused={"p99": "n too small: 130 samples, 662 needed"},
            n=130,
        )
        for name in (REFERENCE.name, LIKE_FOR_LIKE.name)
        for rate in (2.0, 5.0)
    ]
    accuracies = [_accuracy(REFERENCE.name, 0.5, None), _accuracy(LIKE_FOR_LIKE.name, 0.5, None)]
    report = make_report(
        networks="split2-seed0-labels3",
        curves=(curve,),
        scenarios=tuple(asked),
        accuracies=tuple(accuracies),
        clip_accuracies=(
            *accuracies,
            *(one.model_copy(update={"clips": 8}) for one in accuracies),
        ),
        limits=LimitFigures(
            gemm_gflop_s=ms, copy_gb_s=ms, flop_per_clip=10**9, bytes_per_clip=10**7
        ),
        engines=(
            EngineFigures(name="openvino", clip_ms=ms, gflop_s=100, share=0.7, memory_share=1.23),
        ),
    )
    text = drawn(report, tmp_path)
    for name in PICTURES:
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f"({name}.png)" in text
    assert "| clips of a video | student, no flow | total | 0.90 (0.80 to 1.00) |" in text
    assert "| 70% | 123% |" in text


def test_two_runs_agree_when_their_ratios_do(make_report: MakeReport, tmp_path: Path) -> None:
    first, again, other = (
        make_report(seed=1),
        make_report(seed=2),
        make_report(ratio=4.0, seed=3),
    )
    same, differs = agreement(first, again), agreement(first, other)
    assert same is not None
    assert differs is not None
    assert same.low < 1 < same.high
    assert differs.high < 1
    write_report(again, tmp_path / "again.json")
    write_report(other, tmp_path / "other.json")
    text = drawn(first, tmp_path / "drawn", tmp_path / "again.json", tmp_path / "other.json")
    assert text.count("## Another run on Made CPU, 2 cores") == 2
    assert "the runs agree" in text
    assert "the runs differ" in text


def test_another_machine_has_a_section_of_its_own(make_report: MakeReport, tmp_path: Path) -> None:
    machine = MACHINE.model_copy(update={"cpu": "Other CPU"})
    write_report(make_report(machine=machine), tmp_path / "other.json")
    text = drawn(make_report(), tmp_path / "drawn", tmp_path / "other.json")
    assert "## On another machine: Other CPU, 2 cores" in text


def test_results_of_engines_are_taken_in_and_others_refused(
    make_report: MakeReport, timing_result: MakeResult, tmp_path: Path
) -> None:
    results = Path(__file__).parents[2] / "benchmarks" / "results"
    text = drawn(make_report(), tmp_path, results / "engines.json")
    assert "The network alone, R(2+1)D-18 of width 1.0" in text
    with pytest.raises(ResultError, match="is a result of latency"):
        read_other(results / "latency.json")


def test_a_report_comes_back_from_its_file(make_report: MakeReport, tmp_path: Path) -> None:
    report = make_report()
    write_report(report, tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == report
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(ResultError, match="is not a result of  motionfit-bench report"):
        read_report(tmp_path / "broken.json")
