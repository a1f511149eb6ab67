"""The configuration of ``motionfit-train run``: one for all stages of MotionFit.

Importing this file does not import torch.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from motionfit.training.config import (
    Augment,
    Clip,
    Config,
    Data,
    Input,
    Model,
    Recipe,
    RunConfig,
    Section,
    Share,
    Train,
)
from motionfit.training.stage_config import (
    Flow,
    Network,
    Source,
    StudentConfig,
    Teacher,
    TeacherConfig,
)


class Others(Section):
    """The data sets besides the labelled one."""

    unlabelled: Path = Field(
        description="Videos to make pseudo-labels for: a folder, or a CSV with the column path."
    )
    unlabelled_where: tuple[str, ...] = Field(
        default=(), description="Use only these of them, as column=value[,value]. Repeatable."
    )
    test: Path | None = Field(
        default=None,
        description="Labelled videos to measure on, in the form of --labelled. Without it, those "
        "held out.",
    )
    test_where: tuple[str, ...] = Field(
        default=(), description="Use only these of them, as column=value[,value]. Repeatable."
    )

    @model_validator(mode="after")
    def _something_to_choose_from(self) -> Self:
        if self.test is None and self.test_where:
            raise ValueError("test_where chooses among the videos of test: give that too")
        return self


class Stages(Section):
    """In what the trainings differ; by default numbers of clips and the teacher's crops are those
    of our experiment (METHOD). Clips of one video count one by one.

    Random initialisation, for comparison, sees as many as student and fine-tuning together.
    """

    teacher_clips: int = Field(
        default=20_000, ge=1, description="Clips that the teacher is trained on."
    )
    teacher_crop_area: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.4,
        description="--crop-area of the teacher: a crop that is enlarged makes motion faster.",
    )
    student_clips: int = Field(
        default=40_000,
        ge=1,
        description="Clips that the student is trained on; more for more unlabelled videos.",
    )
    fine_tuning_clips: int = Field(
        default=6_000, ge=1, description="Clips that the student is fine-tuned on."
    )
    fine_tuning_learning_rate: Annotated[float, Field(gt=0)] = Field(
        default=5e-4,
        description="--learning-rate of the fine-tuning.",
    )


class Labels(Section):
    """How the teacher's predictions become pseudo-labels."""

    kind: Literal["soft", "hard", "clusters"] = Field(
        default="soft",
        description="Class probabilities, the most probable class, or k-means clusters of "
        "features.",
    )
    temperature: float = Field(
        default=1.0,
        ge=0.01,
        le=100,
        description="The teacher's logits are divided by it before the softmax.",
    )
    clusters: int | None = Field(
        default=None, ge=2, description="How many clusters; as many as classes if not given."
    )
    granularity: Literal["clip", "video", "tsn", "actionbytes"] = Field(
        default="clip",
        description="What gets a label of its own: each clip, the whole video, each of --segments "
        "equal parts (tsn), or what lies between two changes of the features (actionbytes).",
    )
    segments: int = Field(
        default=3, ge=1, le=64, description="Parts of a video with --granularity tsn."
    )
    threshold: Share = Field(default=0.0, description="Leave out labels of a lower confidence.")
    per_class: int | None = Field(
        default=None,
        ge=1,
        description="Keep the most confident labels of each class; all if not given.",
    )


def lasting(recipe: Recipe, *, clips: int) -> Train:
    """A training of so many clips."""
    return Train(clips_seen=clips, **dict(recipe))


class MethodConfig(RunConfig):
    """All of a run of ``motionfit-train run``."""

    data: Data
    others: Others
    stages: Stages = Stages()
    teacher: Teacher = Teacher()
    flow: Flow = Flow()
    labels: Labels = Labels()
    clip: Clip = Clip()
    augment: Augment = Augment()
    input: Input = Input()
    network: Network = Network()
    train: Recipe = Recipe()

    @model_validator(mode="after")
    def _something_to_measure_on(self) -> Self:
        if self.others.test is None and not self.data.holds_out:
            raise ValueError("there is nothing to measure on: give --test, or hold videos out")
        return self

    def for_teacher(self) -> TeacherConfig:
        """Of the teacher, which copies no calibration."""
        share = self.data.hold_out_share if self.data.calibration_from is None else 0.0
        own = {"calibration_from": None, "hold_out_share": share}
        return TeacherConfig(
            data=self.data.model_copy(update=own),
            teacher=self.teacher,
            flow=self.flow,
            clip=self.clip,
            augment=self.augment.model_copy(update={"crop_area": self.stages.teacher_crop_area}),
            input=self.input,
            network=self.network,
            train=lasting(self.train, clips=self.stages.teacher_clips),
        )

    def for_student(self, *, labels: Path) -> StudentConfig:
        """Of the student of the pseudo-labels in a file."""
        return StudentConfig(
            source=Source(
                labels=labels,
                unlabelled=self.others.unlabelled,
                lists=self.lists_of(self.others.unlabelled),
                where=self.others.unlabelled_where,
            ),
            augment=self.augment,
            input=self.input,
            model=Model(width=self.network.width),
            train=lasting(self.train, clips=self.stages.student_clips),
        )

    def for_fit(self, *, start: Path | None) -> Config:
        """Of the fine-tuning of the student in a run folder, or of random initialisation."""
        clips, recipe = self.stages.fine_tuning_clips, self.train
        if start is None:
            clips += self.stages.student_clips
        else:
            rate = self.stages.fine_tuning_learning_rate
            recipe = recipe.model_copy(update={"learning_rate": rate})
        return Config(
            data=self.data,
            clip=self.clip,
            augment=self.augment,
            input=self.input,
            model=Model(width=self.network.width, start=None if start is None else str(start)),
            train=lasting(recipe, clips=clips),
        )

    def lists_of(self, source: Path) -> Path | None:
        """The published lists of a data set: those of the labelled one, if it is the same."""
        return self.data.lists if source == self.data.labelled else None

    def placed_in(self, output: Path) -> Self:
        """The same with folders for flow and decoded videos: in ``output`` if none were given."""
        flow = self.flow.model_copy(update={"flow": self.flow.flow or output / "flow"})
        given = self.input.model_copy(update={"cache": self.input.cache or output / "cache"})
        return self.model_copy(update={"flow": flow, "input": given})
