"""Figures of the experiment are what can be computed by hand, and its report shows them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from motionfit.benchmarks.experiment.answers import Answers, read_answers, write_answers
from motionfit.benchmarks.experiment.collect import cell_of, video_sets
from motionfit.benchmarks.experiment.command import experiment_report_command
from motionfit.benchmarks.experiment.figures import comparisons, summaries
from motionfit.benchmarks.experiment.protocol import MOTIONFIT, PROTOCOL, RANDOM, Cell, Entry
from motionfit.benchmarks.experiment.result import (
    ArmCell,
    ArmSpent,
    ExperimentResult,
    LabelAccuracy,
    VideoSet,
    read_experiment,
    write_experiment,
)
from motionfit.benchmarks.experiment.runner import ExperimentError
from motionfit.benchmarks.experiment.statistics import Table, two_way
from motionfit.benchmarks.experiment.tables import Resampling, tables
from motionfit.benchmarks.experiment.text import markdown, primary_sentence
from motionfit.benchmarks.experiment.weizmann import WEIZMANN
from motionfit.benchmarks.machine import describe
from motionfit.benchmarks.result import ResultError
from motionfit.training.manifest import Row

CLASSES = ("apple", "pear", "plum")
# Four videos of each class, two groups of two; apples alone are at 29.97.
TRUE = (0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2)
SET = VideoSet(
    split="split2",
    videos=tuple(f"{place}.mp4" for place in range(12)),
    true=TRUE,
    groups=("g08", "g08", "g09", "g09") * 3,
    frame_rates=(29.97,) * 4 + (25.0,) * 8,
)
OTHERS = tuple(f"other{place}.mp4" for place in range(12))
SETS = {
    "split2": SET,
    "split3": SET.model_copy(update={"split": "split3", "videos": OTHERS}),
}


BY = Resampling(sets=SETS, seed=0)


def arm(
    name: str,
    answers: Sequence[int],
    *,
    seed: int = 0,
    split: str = "split2",
    retimed: Sequence[int] | None = None,
    labels: int = 3,
) -> ArmCell:
    return ArmCell(
        name=f"{split}-seed{seed}-labels{labels}/{name}",
        arm=name,
        split=split,
        seed=seed,
        labelled=("g15", "g16", "g17", "g18", "g19")[:labels],
        top1=float(np.mean(np.equal(answers, TRUE))),
        answers=tuple(answers),
        answers_within_rate=tuple(answers),
        answers_retimed=None if retimed is None else tuple(retimed),
    )


def wrong(*places: int) -> list[int]:
    return [(one + 1) % 3 if place in places else one for place, one in enumerate(TRUE)]


def test_the_mean_weighs_splits_alike_and_videos_of_a_split_alike() -> None:
    first = Table(values=np.array([[1.0, 1, 0], [1, 0, 0]]), clusters=np.array([0, 0, 1]))
    second = Table(values=np.array([[1.0]]), clusters=np.array([0]))
    assert two_way([first, second], seed=0).value == 0.75


def test_seeds_are_resampled() -> None:
    # The same for all videos: only which of two seeds are drawn matters, 0, 1/2 or 1.
    table = Table(values=np.array([[0.0] * 6, [1.0] * 6]), clusters=np.arange(6))
    estimate = two_way([table], seed=0)
    assert (estimate.low, estimate.value, estimate.high) == (0, 0.5, 1)


def test_whole_class_groups_are_resampled() -> None:
    values = np.tile([1.0] * 10 + [0.0] * 10, (3, 1))
    together = two_way([Table(values=values, clusters=np.repeat([0, 1], 10))], seed=0)
    alone = two_way([Table(values=values, clusters=np.arange(20))], seed=0)
    assert (together.low, together.high) == (0, 1)
    assert 0.2 < alone.low < 0.4
    assert 0.6 < alone.high < 0.8


def test_both_ways_at_once_are_wider_than_either() -> None:
    rng = np.random.default_rng(0)
    seeds, groups = rng.normal(size=(5, 1)), rng.normal(size=(1, 40))
    both = Table(values=seeds + groups, clusters=np.arange(40))
    only_seeds = Table(values=np.tile(seeds, (1, 40)), clusters=np.arange(40))
    only_groups = Table(values=np.tile(groups, (5, 1)), clusters=np.arange(40))
    widths = [
        one.high - one.low
        for one in (two_way([t], seed=0) for t in (both, only_seeds, only_groups))
    ]
    assert widths[0] == pytest.approx(np.hypot(widths[1], widths[2]), rel=0.15)


def test_splits_of_the_same_videos_know_no_more_of_videos_than_one() -> None:
    values, clusters = np.random.default_rng(0).normal(size=(1, 40)), np.arange(40)
    one = two_way([Table(values=values, clusters=clusters)], seed=0)

    def of(*videos: str) -> float:
        tables = [
            Table(values=values, clusters=clusters, videos=tuple(f"{name}{n}" for n in range(40)))
            for name in videos
        ]
        estimate = two_way(tables, seed=0)
        assert estimate.value == one.value
        return (estimate.high - estimate.low) / (one.high - one.low)

    assert of("a", "a") == 1
    assert of("a", "b") == pytest.approx(np.sqrt(0.5), rel=0.1)


def test_values_that_are_not_there_are_left_out() -> None:
    nan = np.nan
    values = np.array([[1.0, 1, nan, nan], [0, 0, 1, 0]])
    estimate = two_way([Table(values=values, clusters=np.array([0, 0, 1, 1]))], seed=0)
    assert estimate.value == pytest.approx(3 / 6)


def test_persons_of_all_folds_are_drawn_together() -> None:
    # Of four persons, two in each fold, two are always told right: with both folds, as with one
    # table of four clusters, from none to all are drawn.
    folds = {
        f"fold{number}": VideoSet(
            split=f"fold{number}",
            videos=tuple(f"{number}{place}.avi" for place in range(4)),
            true=(0, 1, 0, 1),
            groups=(f"a{number}", f"a{number}", f"b{number}", f"b{number}"),
            frame_rates=(25.0,) * 4,
        )
        for number in (1, 2)
    }
    lines = [
        (arm("motionfit", (0,) * 12, seed=seed, split=fold), np.array([right, right, 0.0, 0.0]))
        for seed in (0, 1)
        for fold, right in (("fold1", 1.0), ("fold2", 1.0))
    ]
    (table,) = tables(lines, by=Resampling(sets=folds, seed=0, resampled="subjects"))
    assert table.values.shape == (2, 8)
    assert len(set(table.clusters.tolist())) == 4
    assert table.clusters[0] == table.clusters[1] != table.clusters[2]
    (partial,) = tables(lines[:-1], by=Resampling(sets=folds, seed=0, resampled="subjects"))
    assert np.isnan(partial.values[1, 4:]).all()
    assert two_way([partial], seed=0).value == 0.5
    apart = tables(lines, by=Resampling(sets=folds, seed=0))
    assert [one.values.shape for one in apart] == [(2, 4), (2, 4)]


def test_measures_of_an_arm_are_those_of_the_answers() -> None:
    cells = [arm(MOTIONFIT, wrong(0), retimed=wrong(0, 1, 4)), arm(RANDOM, wrong(0, 4, 5))]
    ours, random = summaries(cells, by=BY)
    measures = {one.name: one for one in ours.measures}
    assert measures["top1"].value.value == pytest.approx(11 / 12, abs=1e-5)
    assert measures["within-29.97"].value.value == 0.75
    assert measures["within-25"].value.value == 1
    assert measures["retimed-change"].value.value == pytest.approx(-2 / 12, abs=1e-5)
    difference = measures["top1"].difference
    assert difference is not None
    assert difference.value == pytest.approx(2 / 12, abs=1e-5)
    assert measures["retimed"].difference is None  # the other was not re-timed
    assert "retimed" not in {one.name for one in random.measures}
    assert all(one.difference is None for one in random.measures)


def test_differences_are_of_cells_that_both_arms_have() -> None:
    cells = [
        arm(MOTIONFIT, wrong(0), seed=0),
        arm(MOTIONFIT, wrong(*range(12)), seed=1),
        arm(MOTIONFIT, wrong(), split="split3"),
        arm("mars", wrong(0, 1, 2), seed=0),
        arm("mars", wrong(0), split="split3"),
        arm("mars", wrong(0), split="split3", labels=1),
    ]
    (one,) = comparisons(cells, by=BY)
    assert (one.name, one.cells) == ("labels3/motionfit-mars", 2)
    assert one.top1.value == pytest.approx((2 / 12 + 1 / 12) / 2, abs=1e-5)


def answers(scores: list[list[float]]) -> Answers:
    rows = [
        Row(path=Path(n), name=n, label=label, columns={"group": "g08"})
        for n, label in (("b.mp4", "pear"), ("a.mp4", "apple"), ("c.mp4", "plum"))
    ]
    return Answers.of(
        rows,
        labels=CLASSES,
        frame_rates=[25, 29.97002997, 25],
        scores=np.array(scores),
        retimed=None,
    )


def test_answers_are_kept_in_the_order_of_names(tmp_path: Path) -> None:
    write_answers(answers([[0.1, 0.8, 0.1], [0.6, 0.2, 0.2], [0.5, 0.4, 0.1]]), tmp_path / "a.json")
    read = read_answers(tmp_path / "a.json")
    assert read.videos == ("a.mp4", "b.mp4", "c.mp4")
    assert read.true == ("apple", "pear", "plum")
    assert read.frame_rates == (29.97, 25, 25)
    assert read.scores[0] == (0.6, 0.2, 0.2)


def test_several_networks_answer_by_the_mean_of_their_scores() -> None:
    entry = Entry(cell=Cell(split=PROTOCOL.splits[0], seed=0, labels=3), arm="two-stream")
    rgb = answers([[0.5, 0.4, 0.1], [0.6, 0.2, 0.2], [0.5, 0.1, 0.4]])
    flow = answers([[0.1, 0.8, 0.1], [0.6, 0.2, 0.2], [0.4, 0.4, 0.2]])
    fused = cell_of(entry, [rgb, flow])
    assert fused.answers == (0, 1, 0)
    # Among pear and plum, which are at 25: 0.25 and 0.3.
    assert fused.answers_within_rate == (0, 1, 2)
    assert fused.top1 == pytest.approx(2 / 3, abs=1e-5)


EXPLORED = PROTOCOL.exploratory[0].arm
TWO_SEEDS = PROTOCOL.model_copy(update={"seeds": (0, 1), "own_schedule_clips": None})


def result(**changes: Any) -> ExperimentResult:
    cells = [
        arm(name, wrong(*range(count), *range(4, 4 + seed)), seed=seed, split=split, labels=labels)
        for name, count in ((MOTIONFIT, 1), (RANDOM, 4), ("mars", 3))
        for labels in (1, 3)
        for seed in (0, 1)
        for split in SETS
    ]
    cells.append(arm(EXPLORED, wrong(0), seed=0, split="split2", labels=3))
    compared = comparisons(cells, by=BY)
    values: dict[str, Any] = {
        "command": "motionfit-bench experiment runs --data ucf101_10",
        "created_utc": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "git_revision": None,
        "trained_by": ("0123456",),
        "measured_on": "test",
        "dataset": "ucf101_10",
        "protocol": TWO_SEEDS,
        "machine": describe(),
        "libraries": {},
        "resampling_seed": 0,
        "labels": CLASSES,
        "primary": next(one for one in compared if one.name == f"labels3/motionfit-{RANDOM}"),
        "summaries": summaries(cells, by=BY),
        "comparisons": compared,
        "spent": (),
        "missing": (
            *("split2-seed4-labels3/mars", "split3-seed4-labels3/mars"),
            *("split2-seed0-labels3/mers", "split3-seed0-labels3/mers"),
        ),
        "video_sets": tuple(SETS.values()),
        "cells": tuple(cells),
    }
    return ExperimentResult(**(values | changes))


def test_the_report_is_drawn_from_the_results_file_alone(tmp_path: Path) -> None:
    write_experiment(result(), tmp_path / "results.json")
    app = typer.Typer()
    app.command()(experiment_report_command)
    done = CliRunner().invoke(app, [str(tmp_path / "results.json"), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| mars |" in text
    main, explored = text.split("## Exploratory")
    assert "| motion | 91.7% | - | - | - |" in explored  # R = 1 alone was run
    assert EXPLORED not in main
    assert "| labels3/mars | 2 | split2-seed4, split3-seed4 |" in text
    assert "| labels3/mers | 2 | all |" in text
    assert "| random-own-schedule | - | its number of clips is not chosen yet |" in text
    assert "| cross-domain | - | no source of other videos was given |" in text
    assert "Everything that the protocol asks for was run." not in text
    assert primary_sentence(result()) in text
    for picture in ("arms.png", "curve.png"):
        assert f"]({picture})" in text
        assert (tmp_path / "out" / picture).read_bytes().startswith(b"\x89PNG")


def test_no_words_stand_above_a_table_that_is_not_there() -> None:
    alone = result(
        cells=[arm("mars", wrong(0))],
        summaries=summaries([arm("mars", wrong(0))], by=BY),
        comparisons=(),
        primary=None,
    )
    assert "video by video" in markdown(result(), pictures=())
    assert "video by video" not in markdown(alone, pictures=())


def test_the_report_says_so_when_all_was_run() -> None:
    chosen = TWO_SEEDS.model_copy(update={"own_schedule_clips": 10_000})
    whole = result(missing=(), protocol=chosen, cross_domain=("tennis7",))
    assert "Everything that the protocol asks for was run." in markdown(whole, pictures=())


def test_the_verdict_is_that_of_the_interval() -> None:
    primary = result().primary
    assert primary is not None
    low, high = (
        primary.model_copy(update={"top1": primary.top1.model_copy(update=interval)})
        for interval in ({"value": -0.2, "low": -0.3, "high": -0.1}, {"low": -0.1, "high": 0.4})
    )
    assert "is better than" in primary_sentence(result())
    assert "is worse than" in primary_sentence(result(primary=low))
    assert "cannot be told from" in primary_sentence(result(primary=high))
    assert "not measured yet" in primary_sentence(result(primary=None))


def test_there_is_no_verdict_before_all_cells_of_the_primary_comparison_are_there() -> None:
    assert primary_sentence(result(protocol=PROTOCOL)).startswith("No verdict yet: of the 10 cells")


def test_a_results_file_goes_to_disk_and_back(tmp_path: Path) -> None:
    written = result()
    write_experiment(written, tmp_path / "results.json")
    assert read_experiment(tmp_path / "results.json") == written


@pytest.mark.parametrize("text", ["", "[]", '{"kind": "latency"}', '{"kind": "experiment"}'])
def test_what_is_no_result_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ResultError, match=r"results\.json"):
        read_experiment(tmp_path / "results.json")


def test_a_report_on_persons_says_who_was_tested_what_was_the_source_and_what_is_noise() -> None:
    persons = result(protocol=WEIZMANN, cross_domain=("ucf101_10",))
    text = markdown(persons, pictures=[])
    assert "fold2: ido, ira, lena" in text
    assert "source of all pseudo-labels is ucf101_10" in text
    assert "differences of 5 points are noise" in text
    assert "seeds x subjects" in text
    assert "its own schedule" not in text


def test_minutes_of_each_arm_stand_in_the_report() -> None:
    spent = ArmSpent(name="labels3/mars", cells=4, minutes=41.26)
    assert "| labels3/mars | 4 | 41.3 |" in markdown(result(spent_by_arm=(spent,)), pictures=[])


def test_the_report_says_how_right_the_pseudo_labels_are() -> None:
    labels = LabelAccuracy(
        name="labels3/labels-flow",
        cells=2,
        unseen_pieces=0.4,
        unseen_videos=0.61,
        seen_pieces=0.75,
    )
    text = markdown(result(pseudo_labels=(labels,)), pictures=[])
    assert "| labels3/labels-flow | 2 | 40.0% | 61.0% | 75.0% |" in text


def test_exploratory_tables_are_by_generator_and_r_and_by_granularity() -> None:
    cells = [
        *(
            arm(f"{kind}-generator-R{r}", wrong(*range(r)))
            for kind in ("flow", "rgb")
            for r in (1, 3)
        ),
        arm("granularity-tsn", wrong(0, 1)),
        arm(MOTIONFIT, wrong()),
    ]
    text = markdown(result(cells=tuple(cells), summaries=summaries(cells, by=BY)), pictures=[])
    assert "| generator | R = 1 | R = 2 | R = 3 | R = 4 |" in text
    assert "| appearance | 91.7% | - | 75.0% | - |" in text
    assert "| clip | 100.0% |" in text
    assert "| tsn | 83.3% |" in text
    assert "in the cell split2-seed0-labels3 alone: it suggests and does not show" in text


def test_networks_that_saw_different_videos_are_not_averaged() -> None:
    entry = Entry(cell=Cell(split=PROTOCOL.splits[0], seed=0, labels=3), arm="two-stream")
    one = answers([[0.5, 0.4, 0.1], [0.6, 0.2, 0.2], [0.5, 0.1, 0.4]])
    other = one.model_copy(update={"videos": ("a.mp4", "b.mp4", "d.mp4")})
    with pytest.raises(ExperimentError, match="other videos"):
        video_sets({entry: [one, other]})
    strange = one.model_copy(update={"labels": ("apple", "pear", "quince")})
    with pytest.raises(ExperimentError, match="different classes"):
        video_sets({entry: [one, strange]})
