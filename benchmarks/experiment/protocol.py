"""The protocol of the experiment as data: which videos, which arms, how many clips each may see.

Few labels, many unlabelled videos: whole groups of look-alike videos are labelled, all videos of
the training groups are the unlabelled source. What is fixed here is fixed before the first answer
on test videos is looked at; choices are made on the validation groups, which nothing trains on.
The cross-domain source is tennis7, fight_surv, pushup2 and weizmann10 together, of other things and
cameras, but for UCF101's class TennisSwing, which is near the strokes of tennis7.
"""

from dataclasses import dataclass
from itertools import product
from math import gcd
from typing import Literal

import numpy as np

from motionfit.training.json_record import Record

MeasuredOn = Literal["test", "validation"]
Modality = Literal["flow", "rgb"]
Source = Literal["own", "other"]
Precision = Literal["bf16", "fp32"]
Resampled = Literal["class-groups", "subjects"]

MOTIONFIT = "motionfit"
RANDOM = "random-same-clips"
OWN_SCHEDULE = "random-own-schedule"
FLOW_NETWORK = "flow-network"
APPEARANCE_NETWORK = "appearance-network"
TWO_STREAM = "two-stream"
CROSS_DOMAIN = "cross-domain"
NOT_FINE_TUNED = "motionfit-not-fine-tuned"
"""MotionFit's student as the pseudo-labels leave it: asked on validation alone."""

ARMS = {
    MOTIONFIT: "student of the flow network's pseudo-labels, fine-tuned",
    RANDOM: "random initialisation; as many clips as student and fine-tuning",
    OWN_SCHEDULE: "random initialisation; its own best number of clips",
    "appearance": "student of an RGB network's pseudo-labels, fine-tuned",
    "shuffled": "student of MotionFit's pseudo-labels dealt to the wrong clips, fine-tuned",
    "mars": "student of pseudo-labels and the flow network's features, fine-tuned",
    "mers": "student of the flow network's features alone, fine-tuned",
    "supervised": "pre-trained on the source's true labels, fine-tuned: an upper bound",
    FLOW_NETWORK: "the flow network itself",
    TWO_STREAM: "random initialisation with as many clips, fused with the flow network",
    CROSS_DOMAIN: "as MotionFit, with other data sets as the source",
}
"""What is compared, and in the order of the reports; the first two are the primary comparison."""

CURVE_ARMS = (MOTIONFIT, RANDOM, FLOW_NETWORK)

# Groups that the next seed starts after: as many as are labelled in the comparison of all arms.
_DEALT = 3


class Variant(Record):
    """MotionFit with one thing changed; a generator is measured itself, labels by their student."""

    arm: str
    modality: Modality
    """Of the generator"""
    teacher: tuple[str, ...] | None = None
    """Flags in the place of the protocol's; None: the protocol's generator itself"""
    batch_size: int | None = None
    """Of the teacher; None: as every training"""
    labels: tuple[str, ...] | None = None
    """Flags in the place of the protocol's"""


class Split(Record):
    """One way to divide the groups."""

    name: str
    training: tuple[str, ...]
    """Groups of the source; the labelled ones are among them."""
    test: tuple[str, ...]


class Protocol(Record):
    """Everything that decides the experiment's figures, besides the product."""

    splits: tuple[Split, ...]
    validation: tuple[str, ...]
    """Groups that choices are made on."""
    seeds: tuple[int, ...]
    labelled_groups: int
    """Of each class, in the comparison of all arms."""
    curve: tuple[int, ...]
    """Other numbers of labelled groups, for some arms."""
    teacher_clips: int
    """Clips that a teacher sees in training; the clips of one video count one by one."""
    student_clips: int
    fine_tuning_clips: int
    own_schedule_clips: int | None
    """Of random initialisation's own best schedule: of ``schedules`` the one with the highest mean
    top-1 on the validation groups over the splits of seeds 0 and 1, the shortest of equals. Null
    while that is not known: the arm is then left out."""
    schedules: tuple[int, ...]
    """The schedules it was chosen among."""
    clip: tuple[str, ...]
    """Flags of everything that decides how clips are made; a student has its labels' clips."""
    view: tuple[str, ...]
    """Flags of everything that decides what a network sees of them."""
    test_clips: int
    """Clips of a video that a network of RGB looks at; a network of flow looks at the grid's."""
    common: tuple[str, ...]
    """Other flags of every training."""
    flow: tuple[str, ...]
    """Flags of everything that computes or reads optical flow, besides folder and grid."""
    grid: tuple[str, ...]
    """Flags of everything that looks at a fixed number of clips of a video."""
    teacher: tuple[str, ...]
    labels: tuple[str, ...]
    student: tuple[str, ...]
    matching: tuple[str, ...]
    """Other flags of students that match features: they must see flow at the scale that the
    teacher was trained at. Their clips have no jitter in time, for their flow has none."""
    fine_tuning: tuple[str, ...]
    """Flags of every training that starts from a student."""
    random: tuple[str, ...]
    """Flags of every training on the labelled videos from random weights."""
    mars_alpha: float
    """Weight of feature matching beside the cross-entropy."""
    exploratory: tuple[Variant, ...]
    """Measured in the first cell alone, so that they can suggest and not show."""
    arms: tuple[str, ...] = tuple(ARMS)
    """What is compared; the first two are the primary comparison."""
    source: Source = "own"
    """The unlabelled videos: all of the training groups, or another data set, which is given."""
    resampled: Resampled = "class-groups"
    """What intervals draw anew besides seeds. ``subjects``: a group is a person in all classes and
    a split a fold; persons of all folds are drawn together, and so are the seeds of all folds."""


def _groups(first: int, last: int) -> tuple[str, ...]:
    return tuple(f"g{number:02}" for number in range(first, last + 1))


def _generator(modality: Modality, clips: int) -> Variant:
    """One of the poster's first table: R clips in a loss, with as many clips seen."""
    return Variant(
        arm=f"{modality}-generator-R{clips}",
        modality=modality,
        teacher=("--loss-clips", str(clips), "--average", "probabilities", "--crop-area", "0.4"),
        batch_size=12,  # which 1, 2, 3 and 4 divide
    )


def _granularity(granularity: str) -> Variant:
    """One of the poster's second table; by clip is MotionFit itself."""
    return Variant(
        arm=f"granularity-{granularity}",
        modality="flow",
        labels=("--kind", "soft", "--granularity", granularity),
    )


PROTOCOL = Protocol(
    splits=(
        Split(name="split2", training=_groups(15, 21), test=_groups(8, 14)),
        Split(name="split3", training=_groups(8, 14), test=_groups(15, 21)),
    ),
    validation=_groups(22, 25),
    seeds=(0, 1, 2, 3, 4),
    labelled_groups=3,
    curve=(1, 5),
    teacher_clips=20_000,
    student_clips=40_000,
    fine_tuning_clips=6_000,
    own_schedule_clips=40_000,
    schedules=(5_000, 10_000, 20_000, 40_000),
    clip=("--frames", "8", "--frame-rate", "10", "--short-side", "72"),
    view=("--crop", "64"),
    test_clips=8,
    common=(
        *("--rate-jitter", "0.2", "--width", "0.25"),
        *("--batch-size", "8", "--learning-rate", "1.2e-3"),
        *("--precision", "bf16", "--compile", "--workers", "0", "--save-minutes", "5"),
    ),
    flow=("--method", "dis", "--compute-side", "128", "--gap-seconds", "0.1"),
    grid=("--grid-clips", "8"),
    teacher=("--loss-clips", "1", "--average", "probabilities", "--crop-area", "0.4"),
    labels=("--kind", "soft", "--granularity", "clip"),
    student=(),
    matching=("--crop-area", "0.4"),
    fine_tuning=("--learning-rate", "4e-4"),
    random=(),
    mars_alpha=50.0,
    exploratory=(
        *(_generator("flow", clips) for clips in (1, 2, 3, 4)),
        *(_generator("rgb", clips) for clips in (1, 2, 3, 4)),
        *map(_granularity, ("video", "tsn", "actionbytes")),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One drawing of labels: what all arms of it share."""

    split: Split
    seed: int
    """Of the drawing, and of every training"""
    labels: int
    """Labelled groups"""

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.split.name}-seed{self.seed}-labels{self.labels}"

    @property
    def labelled(self) -> tuple[str, ...]:
        """The groups whose labels are known, the same for every class and every arm.

        Groups of two classes have nothing in common but their number. The groups are shuffled and
        dealt out in turn, and shuffled anew when the next would be the first again: no two of seven
        seeds label the same ones of seven groups, and all are labelled about equally often. Those
        of fewer labels are among those of more.
        """
        groups = self.split.training
        hands = len(groups) // gcd(len(groups), _DEALT)
        shuffled = np.random.default_rng(self.seed // hands).permutation(groups)
        first = self.seed * _DEALT % len(groups)
        return tuple(sorted(map(str, np.roll(shuffled, -first)[: self.labels])))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An arm in a cell: one trained network, or several that answer together."""

    cell: Cell
    arm: str

    @property
    def name(self) -> str:
        """``split2-seed0-labels3/motionfit``"""
        return f"{self.cell.name}/{self.arm}"


def entries(protocol: Protocol, *, on: MeasuredOn, cross_domain: bool) -> tuple[Entry, ...]:
    """All that is to be measured, in the order in which it is to be done.

    The primary comparison of every seed and split is first, then the other arms, a seed at a time,
    with ``cross_domain`` also that one; then the other numbers of labels, then what is exploratory.
    Validation has the appearance network too, which the flow network must beat, the student before
    it is fine-tuned, and random initialisation's schedules, but neither curve nor exploration.
    """
    main = [
        Cell(split=split, seed=seed, labels=protocol.labelled_groups)
        for seed, split in product(protocol.seeds, protocol.splits)
    ]
    primary, others = list(protocol.arms[:2]), list(protocol.arms[2:])
    if not cross_domain and CROSS_DOMAIN in others:
        others.remove(CROSS_DOMAIN)
    if on == "validation":
        others += [APPEARANCE_NETWORK, NOT_FINE_TUNED, *map(random_arm, protocol.schedules)]
    curve = [
        Cell(split=split, seed=seed, labels=labels)
        for labels, seed, split in product(protocol.curve, protocol.seeds, protocol.splits)
        if on == "test"
    ]
    first = main[:1] if on == "test" else []
    exploratory = [variant.arm for variant in protocol.exploratory]
    return tuple(
        Entry(cell=cell, arm=arm)
        for cells, arms in (
            (main, primary),
            (main, others),
            (curve, CURVE_ARMS),
            (first, exploratory),
        )
        for cell, arm in product(cells, arms)
        if arm != OWN_SCHEDULE or protocol.own_schedule_clips
    )


def in_precision(protocol: Protocol, precision: Precision) -> Protocol:
    """The same, with all trainings in another precision, for processors that are slow in this."""
    place = _precision_place(protocol)
    common = (*protocol.common[:place], precision, *protocol.common[place + 1 :])
    return protocol.model_copy(update={"common": common})


def precision_of(protocol: Protocol) -> str:
    """Of its trainings."""
    return protocol.common[_precision_place(protocol)]


def _precision_place(protocol: Protocol) -> int:
    return protocol.common.index("--precision") + 1


def random_clips(arm: str, *, protocol: Protocol) -> int | None:
    """How many clips an arm of random initialisation sees; None for any other arm."""
    return {
        RANDOM: protocol.student_clips + protocol.fine_tuning_clips,
        OWN_SCHEDULE: protocol.own_schedule_clips,
        **{random_arm(clips): clips for clips in protocol.schedules},
    }.get(arm)


def random_arm(clips: int) -> str:
    """The arm of random initialisation with so many clips."""
    return f"random-{clips}-clips"
