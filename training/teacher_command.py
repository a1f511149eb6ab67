"""``motionfit-train teacher``: the network that makes pseudo-labels."""

from motionfit.training.options import with_config_options
from motionfit.training.stage_config import TeacherConfig
from motionfit.training.training_command import (
    ConfigFile,
    Output,
    Overrides,
    Resume,
    require_training,
    run_training,
)


@with_config_options(TeacherConfig)
def teacher_command(
    output: Output,
    overrides: Overrides,
    config: ConfigFile = None,
    resume: Resume = False,
) -> None:
    """Train a pseudo-label generator, from scratch, on a small labelled set.

    By default it sees optical flow alone, and the clips of a video share one loss on their average
    prediction (--loss-clips). Give --modality rgb for the appearance generator, a control. Of the
    augmentation, flow takes crops and flips alone. It stops and goes on like fit.
    """
    require_training()
    from motionfit.training.teacher import train_teacher

    run_training(
        train_teacher,
        stage="teacher",
        kind=TeacherConfig,
        output=output,
        config=config,
        resume=resume,
        overrides=overrides,
    )
