"""Weizmann as target: who is tested is never trained on, and all pseudo-labels are of others."""

from itertools import product
from pathlib import Path

import pytest

from motionfit.benchmarks.experiment.graph import Job, answers, in_order
from motionfit.benchmarks.experiment.protocol import (
    FLOW_NETWORK,
    MOTIONFIT,
    PROTOCOL,
    RANDOM,
    Cell,
    entries,
)
from motionfit.benchmarks.experiment.weizmann import WEIZMANN
from motionfit.training.manifest import read_manifest

DATA, SOURCE = Path("/persons"), Path("/others")
REAL = Path(__file__).parents[3] / "shared" / "data" / "weizmann10"
ALL = entries(WEIZMANN, on="test", cross_domain=True)
JOBS = in_order(
    job
    for entry in ALL
    for job in answers(entry, protocol=WEIZMANN, data=DATA, cross_domain=(SOURCE,))
)


def option(job: Job, name: str) -> str:
    return job.arguments[job.arguments.index(name) + 1]


def persons(job: Job) -> set[str]:
    return set(option(job, "--where").removeprefix("group=").split(","))


def of_cell(cell: Cell) -> list[Job]:
    return [job for job in JOBS if job.name.startswith(f"{cell.name}/")]


def test_every_person_is_tested_once_a_seed() -> None:
    tested = [person for split in WEIZMANN.splits for person in split.test]
    assert len(tested) == len(set(tested)) == 9
    assert {entry.arm for entry in ALL} == {MOTIONFIT, RANDOM, FLOW_NETWORK}
    assert len(ALL) == 3 * 3 * len(WEIZMANN.seeds)


def test_each_seed_labels_other_three_persons_who_are_not_tested() -> None:
    for split in WEIZMANN.splits:
        drawn = {Cell(split=split, seed=s, labels=3).labelled for s in WEIZMANN.seeds}
        assert len(drawn) == len(WEIZMANN.seeds)
        for labelled in drawn:
            assert len(labelled) == 3
            assert not set(labelled) & set(split.test)


def test_training_sees_labelled_persons_and_other_videos_and_nothing_else() -> None:
    for cell in {entry.cell for entry in ALL}:
        for job in of_cell(cell):
            if "--labelled" in job.arguments:
                whom = cell.split.test if job.program == "watch" else cell.labelled
                assert persons(job) == set(whom), job.name
                assert option(job, "--labelled") == str(DATA)
            if "--unlabelled" in job.arguments:
                assert option(job, "--unlabelled") == str(SOURCE)
                assert "--where" not in job.arguments


def test_flow_of_both_data_sets_is_there_before_the_labels_are_made() -> None:
    flows = {job.name: job for job in JOBS if job.arguments[0] == "flow"}
    assert {job.arguments[1] for job in flows.values()} == {str(DATA), str(SOURCE)}
    (labels, *_) = [job for job in JOBS if job.stage == "labels-flow"]
    assert {one.name for one in in_order([labels])} > set(flows)


def test_recipe_and_clips_are_those_of_the_main_protocol() -> None:
    changed = {
        name
        for name in type(PROTOCOL).model_fields
        if getattr(PROTOCOL, name) != getattr(WEIZMANN, name)
    }
    assert changed == {
        *("splits", "validation", "seeds", "curve", "schedules", "exploratory"),
        *("arms", "source", "resampled"),
    }


@pytest.mark.skipif(not REAL.exists(), reason="needs the shared videos")
def test_each_person_does_each_action_once() -> None:
    rows = read_manifest(REAL)
    known = {(row.label, row.columns["group"]) for row in rows}
    whom = [person for split in WEIZMANN.splits for person in split.test]
    assert known == set(product({row.label for row in rows}, whom))
    assert len(rows) == len(known) == 90
