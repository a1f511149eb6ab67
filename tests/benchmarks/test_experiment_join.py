"""Results of several folders, joined, are those of one folder that holds all of their cells."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from motionfit.benchmarks.cli import app
from motionfit.benchmarks.experiment.join import joined
from motionfit.benchmarks.experiment.protocol import MOTIONFIT, OWN_SCHEDULE, RANDOM
from motionfit.benchmarks.experiment.result import (
    ArmCell,
    ExperimentResult,
    read_experiment,
    write_experiment,
)
from motionfit.benchmarks.experiment.text import markdown
from motionfit.benchmarks.result import ResultError

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
WHOLE = read_experiment(RESULTS / "experiment.json")


def part(chosen: Callable[[ArmCell], bool], **changes: Any) -> ExperimentResult:
    """Some cells of the committed primary comparison, as a file of their own."""
    cells = tuple(cell for cell in WHOLE.cells if chosen(cell))
    splits = {cell.split for cell in cells}
    sets = tuple(one for one in WHOLE.video_sets if one.split in splits)
    own = {"cells": cells, "video_sets": sets, "primary": None, "comparisons": ()}
    return WHOLE.model_copy(update=own | {"summaries": ()} | changes)


def of_arm(arm: str) -> Callable[[ArmCell], bool]:
    return lambda cell: cell.arm == arm


@pytest.mark.parametrize(
    "halves",
    [
        (of_arm(RANDOM), of_arm(MOTIONFIT)),
        (lambda cell: cell.split == "split3", lambda cell: cell.split == "split2"),
        (lambda cell: cell.seed < 3, lambda cell: cell.seed > 0),  # some in both, the same
    ],
    ids=["by arm", "by split", "overlapping"],
)
def test_joined_halves_have_the_figures_of_the_whole(
    tmp_path: Path, halves: tuple[Callable[[ArmCell], bool], Callable[[ArmCell], bool]]
) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file, chosen in zip(files, halves, strict=True):
        write_experiment(part(chosen), file)
    output = tmp_path / "whole.json"
    done = CliRunner().invoke(app, ["experiment-join", *map(str, files), "-o", str(output)])
    assert done.exit_code == 0, done.output
    result = read_experiment(output)
    assert result.cells == WHOLE.cells
    assert {one.split: one for one in result.video_sets} == {
        one.split: one for one in WHOLE.video_sets
    }
    for name in ("summaries", "comparisons", "primary", "labels", "trained_by", "protocol"):
        assert getattr(result, name) == getattr(WHOLE, name), name
    assert set(result.missing) == set(WHOLE.missing)
    assert [one.file for one in result.parts] == ["a.json", "b.json"]
    assert {one.machine for one in result.parts} == {WHOLE.machine}


def test_of_one_file_the_figures_are_computed_anew_and_the_rest_stays(tmp_path: Path) -> None:
    stale = WHOLE.model_copy(update={"summaries": (), "comparisons": (), "primary": None})
    result = joined({Path("stale.json"): stale}, command="")
    for name in ("summaries", "comparisons", "primary", "spent", "spent_by_arm", "pseudo_labels"):
        assert getattr(result, name) == getattr(WHOLE, name), name
    assert result.spent


def test_validation_has_the_gate_and_counts_its_videos_once() -> None:
    """Both splits are measured on the same videos there, so they are drawn together."""
    before = read_experiment(RESULTS / "experiment-validation.json")
    assert len({one.videos for one in before.video_sets}) == 1
    result = joined({Path("validation.json"): before}, command="")
    assert result.gate is not None
    flow, rgb = (
        next(one.per_cell for one in result.summaries if one.arm == arm)
        for arm in ("flow-network", "appearance-network")
    )
    mean = sum(flow[cell] - rgb[cell] for cell in rgb) / len(rgb)
    assert result.gate.top1.value == pytest.approx(mean, abs=1e-5)
    own = [one for one in result.video_sets if one.split == "split2"]
    alone = before.model_copy(
        update={
            "video_sets": tuple(own),
            "cells": tuple(one for one in before.cells if one.split == "split2"),
        }
    )
    half = joined({Path("half.json"): alone}, command="").gate
    assert half is not None
    widths = [one.top1.high - one.top1.low for one in (result.gate, half)]
    assert widths[0] > 0.8 * widths[1]  # twice the trainings, not twice the videos
    assert "The first gate, the flow network less the RGB" in markdown(result, pictures=())


def test_a_joined_file_that_is_joined_again_still_says_where_its_cells_are_from() -> None:
    thirds = [part(lambda cell, seed=seed: cell.seed == seed) for seed in (0, 1, 2)]
    two = joined({Path("a.json"): thirds[0], Path("b.json"): thirds[1]}, command="join")
    three = joined({Path("two.json"): two, Path("c.json"): thirds[2]}, command="join")
    assert [one.file for one in three.parts] == ["a.json", "b.json", "c.json"]
    assert "| all | 0 | 0.00 |" not in markdown(three, pictures=())


def test_files_of_one_name_are_not_joined() -> None:
    files = {Path("a/results.json"): part(of_arm(RANDOM)), Path("b/results.json"): WHOLE}
    with pytest.raises(ResultError, match=r"several files are called results\.json"):
        joined(files, command="")


def test_what_was_never_asked_for_is_not_missing() -> None:
    whole = WHOLE.model_copy(update={"missing": ("split2-seed0-labels3/mars",)})
    assert joined({Path("a.json"): whole}, command="").missing == whole.missing


def test_an_input_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_experiment(WHOLE, file)
    before = file.read_bytes()
    done = CliRunner().invoke(app, ["experiment-join", str(file), "-o", str(file)])
    assert done.exit_code == 2
    assert "give another name" in done.output.replace("\n", " ")
    assert file.read_bytes() == before


def changed(cell: int, **changes: Any) -> ExperimentResult:
    """MotionFit's cells, one of them with ``changes``."""
    own = part(of_arm(MOTIONFIT))
    cells = list(own.cells)
    cells[cell] = cells[cell].model_copy(update=changes)
    return own.model_copy(update={"cells": tuple(cells)})


def test_a_cell_that_was_trained_twice_is_not_mixed() -> None:
    again = changed(0, answers=WHOLE.cells[0].answers[::-1])
    with pytest.raises(
        ResultError, match=r"whole\.json and again\.json have two different results of split2"
    ):
        joined({Path("whole.json"): WHOLE, Path("again.json"): again}, command="")


def test_networks_of_other_labelled_groups_are_not_compared() -> None:
    files = {Path("a.json"): part(of_arm(RANDOM)), Path("b.json"): changed(0, labelled=("g15",))}
    with pytest.raises(ResultError, match=r"b\.json drew other labelled groups for split2-seed0"):
        joined(files, command="")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"measured_on": "validation"}, "other videos to measure on"),
        ({"dataset": "other"}, "other data set"),
        ({"labels": ("a", "b")}, "other classes"),
        (
            {"protocol": WHOLE.protocol.model_copy(update={"student_clips": 1})},
            r"another protocol than a\.json: student_clips differ",
        ),
        (
            {"video_sets": (WHOLE.video_sets[0].model_copy(update={"videos": ("a.mp4",)}),)},
            "measured on other videos of split2",
        ),
    ],
)
def test_what_is_not_of_one_experiment_is_not_joined(changes: dict[str, Any], said: str) -> None:
    other = part(of_arm(RANDOM), **changes)
    with pytest.raises(ResultError, match=rf"other\.json .*{said}"):
        joined({Path("a.json"): part(of_arm(MOTIONFIT)), Path("other.json"): other}, command="")


def with_schedule(clips: int) -> ExperimentResult:
    """Random initialisation's cells as if they were those of its own schedule."""
    own = part(of_arm(RANDOM))
    cells = tuple(
        one.model_copy(update={"arm": OWN_SCHEDULE, "name": one.name.replace(RANDOM, OWN_SCHEDULE)})
        for one in own.cells
    )
    protocol = own.protocol.model_copy(update={"own_schedule_clips": clips})
    return own.model_copy(update={"cells": cells, "protocol": protocol})


def test_a_schedule_that_was_chosen_later_is_compared_and_the_report_says_where_from() -> None:
    before = WHOLE.protocol.model_copy(update={"own_schedule_clips": None})
    parts = {
        Path("before.json"): WHOLE.model_copy(update={"protocol": before}),
        Path("schedule.json"): with_schedule(10_000),
    }
    result = joined(parts, command="motionfit-bench experiment-join")
    assert result.protocol.own_schedule_clips == 10_000
    text = markdown(result, pictures=())
    assert (
        "MotionFit cannot be told from random initialisation by its own best schedule: +1.2" in text
    )
    assert "| random-own-schedule | - |" not in text
    assert f"- `schedule.json`, 10 cells. Made by  `{WHOLE.command}`" in text


def test_two_schedules_do_not_make_one_arm() -> None:
    parts = {Path("a.json"): with_schedule(10_000), Path("b.json"): with_schedule(20_000)}
    with pytest.raises(ResultError, match="10000 and 20000 clips"):
        joined(parts, command="")
