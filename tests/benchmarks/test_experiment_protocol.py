"""The protocol asks for what the issue says, and its commands are the product's own."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from motionfit.benchmarks.experiment.graph import Job, answers, in_order
from motionfit.benchmarks.experiment.protocol import (
    ARMS,
    CROSS_DOMAIN,
    MOTIONFIT,
    NOT_FINE_TUNED,
    OWN_SCHEDULE,
    PROTOCOL,
    RANDOM,
    Cell,
    Entry,
    MeasuredOn,
    entries,
)
from motionfit.training.cli import app
from motionfit.training.config import Clip, Recipe
from motionfit.training.run_config import Labels, Stages
from motionfit.training.stage_config import Flow

DATA = Path("/videos")
OTHER = Path("/others")
WHOLE = PROTOCOL.model_copy(update={"own_schedule_clips": 10_000})
EXPLORED = [one.arm for one in PROTOCOL.exploratory]
MAIN = Cell(split=PROTOCOL.splits[0], seed=0, labels=3)


def jobs_of(*arms: str, cell: Cell = MAIN, on: MeasuredOn = "test") -> tuple[Job, ...]:
    return in_order(
        job
        for arm in arms
        for job in answers(
            Entry(cell=cell, arm=arm), protocol=WHOLE, data=DATA, cross_domain=(OTHER,), on=on
        )
    )


def option(job: Job, name: str) -> str:
    return option_of(job.arguments, name)


def option_of(flags: Sequence[str], name: str) -> str:
    return flags[flags.index(name) + 1]


def last_option(job: Job, name: str) -> str:
    backwards = job.arguments[::-1]
    return backwards[backwards.index(name) - 1]


def groups(job: Job) -> set[str]:
    return set(option(job, "--where").removeprefix("group=").split(","))


def stage(name: str, *, jobs: tuple[Job, ...]) -> Job:
    return next(job for job in jobs if job.stage == name)


def test_the_defaults_of_all_stages_in_one_command_are_the_protocol_s() -> None:
    stages = Stages()
    for name in ("teacher_clips", "student_clips", "fine_tuning_clips"):
        assert getattr(stages, name) == getattr(PROTOCOL, name)
    assert option_of(PROTOCOL.teacher, "--crop-area") == str(stages.teacher_crop_area)
    slow, usual = (
        float(option_of(flags, "--learning-rate"))
        for flags in (PROTOCOL.fine_tuning, PROTOCOL.common)
    )
    assert stages.fine_tuning_learning_rate / Recipe().learning_rate == pytest.approx(slow / usual)
    defaults = {**dict(Clip()), **dict(Flow()), **dict(Labels())}
    for flags in (PROTOCOL.clip, PROTOCOL.view, PROTOCOL.flow, PROTOCOL.grid, PROTOCOL.labels):
        for name, value in zip(flags[::2], flags[1::2], strict=True):
            default = defaults[name.removeprefix("--").replace("-", "_")]
            assert type(default)(value) == default, name


def test_the_primary_comparison_of_all_seeds_and_splits_comes_first() -> None:
    order = entries(WHOLE, on="test", cross_domain=True)
    first = [entry.name for entry in order[:20]]
    assert {entry.arm for entry in order[:20]} == {MOTIONFIT, RANDOM}
    assert len(set(first)) == 20
    assert {entry.cell.labels for entry in order[: 10 * len(ARMS)]} == {3}
    rest, last = order[10 * len(ARMS) : -len(EXPLORED)], order[-len(EXPLORED) :]
    assert {entry.cell.labels for entry in rest} == {1, 5}
    assert [(entry.cell, entry.arm) for entry in last] == [(MAIN, arm) for arm in EXPLORED]


def test_fewer_labels_are_among_more_and_are_whole_training_groups() -> None:
    for seed in PROTOCOL.seeds:
        for split in PROTOCOL.splits:
            drawn = [set(Cell(split=split, seed=seed, labels=k).labelled) for k in (1, 3, 5)]
            assert [len(one) for one in drawn] == [1, 3, 5]
            assert drawn[0] < drawn[1] < drawn[2] < set(split.training)
    assert len({Cell(split=MAIN.split, seed=s, labels=3).labelled for s in PROTOCOL.seeds}) == 5


@pytest.mark.parametrize("on", ["test", "validation"])
def test_nothing_is_trained_on_videos_of_test_or_validation(on: MeasuredOn) -> None:
    kept = {*PROTOCOL.validation, *MAIN.split.test}
    for job in jobs_of(*ARMS, on=on):
        if job.program == "train" and "--where" in job.arguments:
            assert not groups(job) & kept, job.name
    measured = {frozenset(groups(job)) for job in jobs_of(*ARMS, on=on) if job.program == "watch"}
    assert measured == {frozenset(MAIN.split.test if on == "test" else PROTOCOL.validation)}


def test_labels_are_used_for_labelled_groups_only() -> None:
    for job in jobs_of(*ARMS):
        if "--labelled" in job.arguments and job.program == "train":
            assert groups(job) == set(MAIN.labelled), job.name
        if "--unlabelled" in job.arguments and str(OTHER) not in job.arguments:
            assert groups(job) == set(MAIN.split.training)


def test_random_initialisation_sees_as_many_clips_as_student_and_fine_tuning() -> None:
    jobs = jobs_of(MOTIONFIT, RANDOM)
    ours = [
        int(option(stage(s, jobs=jobs), "--clips-seen")) for s in ("student-motionfit", "motionfit")
    ]
    random = next(job for job in jobs if job.stage.startswith("random-") and "." not in job.stage)
    assert int(option(random, "--clips-seen")) == sum(ours)
    assert "--start" not in random.arguments


def test_what_a_stage_says_itself_counts_more_than_what_all_have_in_common() -> None:
    jobs = jobs_of(MOTIONFIT, RANDOM)
    tuned = stage("motionfit", jobs=jobs)
    assert last_option(tuned, "--learning-rate") == option_of(WHOLE.fine_tuning, "--learning-rate")
    for name in ("teacher-flow", "student-motionfit"):
        usual = option_of(WHOLE.common, "--learning-rate")
        assert last_option(stage(name, jobs=jobs), "--learning-rate") == usual


def test_arms_of_a_cell_share_teacher_labels_and_flow() -> None:
    jobs = jobs_of(*ARMS)
    names = [job.stage for job in jobs]
    for shared in ("flow", "teacher-flow", "labels-flow", "teacher-rgb", "labels-rgb"):
        assert names.count(shared) == 1
    students = [stage(f"student-{arm}", jobs=jobs) for arm in ("motionfit", "shuffled", "mars")]
    assert len({option(job, "--labels") for job in students}) == 1
    others = [stage(f"student-{arm}", jobs=jobs) for arm in ("appearance", "supervised")]
    assert len({option(job, "--labels") for job in (*students, *others)}) == 3


def test_generators_and_networks_that_are_compared_look_at_as_many_clips() -> None:
    jobs = jobs_of(*ARMS, "appearance-network")
    for job in jobs:
        if job.stage in ("flow", "teacher-flow", "teacher-rgb", "labels-rgb"):
            assert option(job, "--grid-clips") == "8", job.name
        if job.program == "watch" and "--flow" not in job.arguments:
            assert option(job, "--clips") == "8", job.name


def test_a_schedule_that_is_not_chosen_yet_is_left_out() -> None:
    assert OWN_SCHEDULE in {entry.arm for entry in entries(WHOLE, on="test", cross_domain=False)}
    undecided = PROTOCOL.model_copy(update={"own_schedule_clips": None})
    assert OWN_SCHEDULE not in {
        entry.arm for entry in entries(undecided, on="test", cross_domain=False)
    }


def test_other_videos_are_the_source_of_one_arm_alone_and_only_where_they_are_given() -> None:
    (flow, labels, student) = (
        job for job in jobs_of(*ARMS, *EXPLORED) if str(OTHER) in job.arguments
    )
    assert [job.stage for job in (flow, labels, student)] == [
        *("flow-cross-domain", "labels-cross-domain", "student-cross-domain")
    ]
    assert flow in labels.needs
    assert CROSS_DOMAIN not in {
        entry.arm for entry in entries(WHOLE, on="test", cross_domain=False)
    }


def test_what_is_explored_differs_in_generator_or_granularity_alone() -> None:
    jobs = jobs_of(MOTIONFIT, *EXPLORED)
    for modality, clips in product(("flow", "rgb"), (1, 2, 3, 4)):
        teacher = stage(f"teacher-{modality}-generator-R{clips}", jobs=jobs)
        assert option(teacher, "--modality") == modality
        assert option(teacher, "--loss-clips") == str(clips)
        assert int(last_option(teacher, "--batch-size")) % clips == 0
        assert option(teacher, "--clips-seen") == str(PROTOCOL.teacher_clips)
        watched = stage(f"{modality}-generator-R{clips}.test", jobs=jobs)
        assert watched.needs == (teacher,)
        assert ("--flow" in watched.arguments) is (modality == "flow")
    own = stage("labels-flow", jobs=jobs)
    for granularity in ("video", "tsn", "actionbytes"):
        labels = stage(f"labels-granularity-{granularity}", jobs=jobs)
        assert labels.needs == own.needs
        assert option(labels, "--granularity") == granularity


def test_the_student_before_fine_tuning_is_motionfits_own_and_asked_on_validation_alone() -> None:
    (watched,) = (job for job in jobs_of(NOT_FINE_TUNED, on="validation") if job.program == "watch")
    assert watched.needs == (stage("student-motionfit", jobs=jobs_of(MOTIONFIT)),)
    for on, asked in (("test", False), ("validation", True)):
        arms = {entry.arm for entry in entries(PROTOCOL, on=on, cross_domain=False)}
        assert (NOT_FINE_TUNED in arms) is asked


def test_what_a_job_needs_is_before_it() -> None:
    before: set[str] = set()
    for job in jobs_of(*ARMS):
        assert {needed.name for needed in job.needs} <= before
        before.add(job.name)


@pytest.mark.parametrize(
    "job", jobs_of(*ARMS, "appearance-network", *EXPLORED), ids=lambda job: job.stage
)
def test_the_command_of_each_training_is_one_that_the_product_takes(job: Job) -> None:
    commands = get_command(app)
    assert isinstance(commands, TyperGroup)
    if job.program != "train":
        return
    data = str(Path(__file__).parent)
    for arguments in (job.arguments, job.resumed or job.arguments):
        name, *rest = [data if one in (str(DATA), str(OTHER)) else one for one in arguments]
        commands.commands[name].make_context(name, rest).close()
