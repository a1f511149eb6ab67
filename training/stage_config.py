"""The configurations of the stages of MotionFit that train a network, in the form of ``config``.

Importing this file does not import torch.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from motionfit.training.config import (
    Augment,
    Clip,
    Data,
    Input,
    Model,
    RunConfig,
    Section,
    Train,
    check_patience,
)
from motionfit.training.flow_spec import FlowMethod, FlowSpec


def as_in(section: type[Section], name: str) -> Any:
    """The value ``name`` of another section: the same limits, default and description."""
    return section.model_fields[name]


class Network(Section):
    """A network that starts at random."""

    width: float = as_in(Model, "width")


class Teacher(Section):
    """The network that makes pseudo-labels."""

    modality: Literal["flow", "rgb"] = Field(
        default="flow",
        description="What the network sees: optical flow (the motion generator) or pictures (the "
        "appearance generator, a control).",
    )
    loss_clips: int = Field(
        default=2,
        ge=1,
        le=8,
        description="Clips of a video that share one cross-entropy, on their average prediction; "
        "1: ordinary cross-entropy.",
    )
    average: Literal["probabilities", "logits"] = Field(
        default="probabilities",
        description="What is averaged over these clips. The paper does not say; probabilities are "
        "our reading.",
    )


class Flow(Section):
    """Optical flow, and the clips of a video that it is computed for."""

    flow: Path | None = Field(
        default=None, description="Folder of optical flow; what it lacks is computed and kept."
    )
    method: FlowMethod = Field(
        default="dis",
        description="dis, farneback or tvl1 by OpenCV, or raft by torchvision.",
    )
    compute_side: int = Field(
        default=128, ge=16, le=1024, description="Short side, in pixels, at which it is computed."
    )
    gap_seconds: float = Field(
        default=0.1, gt=0, le=1, description="Time between the two pictures of a flow field."
    )
    grid_clips: int = Field(
        default=8, ge=1, le=64, description="Clips spread evenly over each video."
    )

    def spec(self, clip: Clip) -> FlowSpec:
        """The FlowSpec for the clips of ``clip``. Raises SpecError."""
        return FlowSpec.of(
            clip.spec(),
            method=self.method,
            compute_side=self.compute_side,
            gap_seconds=self.gap_seconds,
            grid_clips=self.grid_clips,
        )


class TeacherConfig(RunConfig):
    """All of a run of ``motionfit-train teacher``."""

    data: Data
    teacher: Teacher = Teacher()
    flow: Flow = Flow()
    clip: Clip = Clip()
    augment: Augment = Augment()
    input: Input = Input()
    network: Network = Network()
    train: Train = Train()

    @model_validator(mode="after")
    def _flow_has_a_place(self) -> Self:
        if self.teacher.modality == "flow" and self.flow.flow is None:
            raise ValueError("a teacher that sees flow needs the folder of it: give --flow")
        return self

    @model_validator(mode="after")
    def _calibrated_and_stopped_by_its_own_videos(self) -> Self:
        if self.data.calibration_from is not None:
            raise ValueError(
                "calibration_from is for fit; a teacher is calibrated on the videos that it holds "
                "out: leave it away"
            )
        check_patience(self.train, holds_out=self.data.holds_out)
        return self


class Source(Section):
    """Pseudo-labelled videos."""

    labels: Path = Field(description="The labels.parquet that pseudo-label wrote.")
    unlabelled: Path = Field(
        description="The videos it is about: a folder, or a CSV with the column path."
    )
    lists: Path | None = as_in(Data, "lists")
    where: tuple[str, ...] = as_in(Data, "where")
    shuffled: bool = Field(
        default=False,
        description="Deal the labels out to the clips at random: a control, which shows what "
        "is not owed to the labels.",
    )


class Match(Section):
    """Matching the features of a network of optical flow (MARS and MERS, which are rivals)."""

    match: Path | None = Field(
        default=None, description="Run of the motion teacher whose features are matched; none: no."
    )
    flow: Path | None = Field(
        default=None, description="With --match: the folder of flow that pseudo-label used."
    )
    alpha: float = Field(
        default=50.0, ge=0, description="With --match: weight of the matching beside cross-entropy."
    )
    cross_entropy: bool = Field(
        default=True,
        description="Learn from the labels (with --match: MARS); off, only match (MERS).",
    )

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if self.match is None and not self.cross_entropy:
            raise ValueError("without cross_entropy there is nothing to learn but --match")
        if (self.match is None) != (self.flow is None):
            raise ValueError("--match and --flow are given together")
        return self


class StudentConfig(RunConfig):
    """All of a run of ``motionfit-train student``. The clips are those that were labelled."""

    source: Source
    match: Match = Match()
    augment: Augment = Augment()
    input: Input = Input()
    model: Model = Model()
    train: Train = Train()

    @model_validator(mode="after")
    def _no_patience(self) -> Self:
        check_patience(self.train, holds_out=False)
        return self
