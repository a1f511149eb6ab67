"""``motionfit-train student``: an RGB network trained on pseudo-labels."""

from motionfit.training.options import with_config_options
from motionfit.training.stage_config import StudentConfig
from motionfit.training.training_command import (
    ConfigFile,
    Output,
    Overrides,
    Resume,
    require_training,
    run_training,
)


@with_config_options(StudentConfig)
def student_command(
    output: Output,
    overrides: Overrides,
    config: ConfigFile = None,
    resume: Resume = False,
) -> None:
    """Train an RGB student on the clips that pseudo-label labelled, at their times.

    It computes no flow. Fine-tune it on the labelled set with  fit --start RUN. With --match it
    learns the features of a motion teacher instead or besides (MERS, MARS: rivals of the method).
    It stops and goes on like fit.
    """
    require_training()
    from motionfit.training.student import train_student

    run_training(
        train_student,
        stage="student",
        kind=StudentConfig,
        output=output,
        config=config,
        resume=resume,
        overrides=overrides,
    )
