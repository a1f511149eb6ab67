"""Random initialisation's own schedule is the one that the rule chooses, of committed evidence."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from motionfit.benchmarks.experiment.protocol import PROTOCOL, random_arm
from motionfit.benchmarks.experiment.result import (
    ArmCell,
    ExperimentResult,
    VideoSet,
    read_experiment,
)
from motionfit.benchmarks.experiment.schedule import (
    chosen_schedule,
    schedule_entries,
    schedule_text,
)

EVIDENCE = Path(__file__).parents[2] / "benchmarks" / "results" / "experiment-schedule.json"
VALIDATION = Path(EVIDENCE).with_name("experiment-validation.json")
VIDEOS = 10


def measured(right: Mapping[int, tuple[int, int, int, int]]) -> ExperimentResult:
    """A result in which a schedule is right on so many of ten videos in each of the four cells."""
    sets = tuple(
        VideoSet(
            split=split.name,
            videos=tuple(f"{place}.mp4" for place in range(VIDEOS)),
            true=(0,) * VIDEOS,
            groups=("g22",) * VIDEOS,
            frame_rates=(25.0,) * VIDEOS,
        )
        for split in PROTOCOL.splits
    )
    cells = []
    for clips, counts in right.items():
        own = [one for one in schedule_entries(PROTOCOL) if one.arm == random_arm(clips)]
        for entry, count in zip(own, counts, strict=True):
            answers = (0,) * count + (1,) * (VIDEOS - count)
            cells.append(
                ArmCell(
                    name=entry.name,
                    arm=entry.arm,
                    split=entry.cell.split.name,
                    seed=entry.cell.seed,
                    labelled=entry.cell.labelled,
                    top1=count / VIDEOS,
                    answers=answers,
                    answers_within_rate=answers,
                    answers_retimed=None,
                )
            )
    known = read_experiment(VALIDATION)
    return known.model_copy(
        update={"protocol": PROTOCOL, "video_sets": sets, "cells": tuple(cells)}
    )


ALL = {5_000: (1, 2, 3, 4), 10_000: (9, 1, 1, 1), 20_000: (3, 3, 3, 3), 40_000: (0, 6, 0, 6)}


def test_the_best_mean_over_all_cells_is_chosen_and_of_equals_the_shortest() -> None:
    assert chosen_schedule(measured(ALL)) == 10_000
    assert chosen_schedule(measured({**ALL, 40_000: (3, 3, 3, 4)})) == 40_000


def test_only_the_splits_of_seeds_0_and_1_count() -> None:
    names = {entry.cell.name for entry in schedule_entries(PROTOCOL)}
    assert names == {f"split{split}-seed{seed}-labels3" for split in (2, 3) for seed in (0, 1)}


@pytest.mark.parametrize(
    "result",
    [
        measured({clips: counts for clips, counts in ALL.items() if clips != 5_000}),
        measured(ALL).model_copy(update={"cells": measured(ALL).cells[:-1]}),
        measured(ALL).model_copy(update={"measured_on": "test"}),
    ],
    ids=["a schedule is missing", "a cell is missing", "test videos"],
)
def test_nothing_is_chosen_of_less_or_of_test_videos(result: ExperimentResult) -> None:
    assert chosen_schedule(result) is None
    assert schedule_text(result) == []


def test_the_report_says_what_was_chosen() -> None:
    text = "\n".join(schedule_text(measured(ALL)))
    assert "10,000 clips" in text
    assert "| 20,000 | 30.00% |" in text


def test_the_schedule_of_the_protocol_is_the_one_that_the_committed_file_chooses() -> None:
    evidence = chosen_schedule(read_experiment(EVIDENCE)) if EVIDENCE.exists() else None
    assert PROTOCOL.own_schedule_clips == evidence
