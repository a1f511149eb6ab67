"""``motionfit-train run``: all stages of MotionFit."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from motionfit.inference.errors import require_extra
from motionfit.training.options import with_config_options
from motionfit.training.run_config import MethodConfig
from motionfit.training.training_command import (
    ConfigFile,
    Output,
    Overrides,
    Resume,
    require_training,
    run_training,
)


@with_config_options(MethodConfig)
def run_command(
    output: Output,
    overrides: Overrides,
    config: ConfigFile = None,
    resume: Resume = False,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="Make a small set of videos in RUN/demo in which only motion tells the classes "
            "apart, and do all stages on it with small settings.",
        ),
    ] = False,
) -> None:
    """Teach a student from unlabelled videos: flow, teacher, pseudo-labels, student, fine-tuning.

    The fine-tuned student is measured beside random initialisation that sees as many clips, and
    beside the teacher. Each stage writes RUN/STAGE; a run that was stopped or killed goes on with
    --resume, and what is finished is not done again. RUN/result.md and result.json come last.
    """
    if demo and config is not None:
        raise typer.BadParameter(
            "the demonstration has settings of its own: change them by flags, without --config",
            param_hint="--demo",
        )
    require_training()
    require_extra("train", "cv2", "faiss", "matplotlib", "pyarrow", "sklearn")
    from motionfit.training.run import run
    from motionfit.training.run_demo import demo_values
    from motionfit.training.run_text import notes, table_lines
    from motionfit.training.session import RunOptions
    from motionfit.training.tables import table_of

    def train(options: RunOptions[MethodConfig], *, console: Console) -> None:
        result = run(options, console=console)
        shown = Console(highlight=False)
        shown.print(table_of(table_lines(result)))
        for note in notes(result):
            shown.print(note, markup=False, soft_wrap=True)

    run_training(
        train,
        stage="run",
        kind=MethodConfig,
        output=output,
        config=config,
        resume=resume,
        overrides=_merged(demo_values(output), overrides) if demo else overrides,
    )


def _merged(values: Overrides, changes: Overrides) -> Mapping[str, Mapping[str, Any]]:
    return {
        section: {**values.get(section, {}), **changes.get(section, {})}
        for section in {*values, *changes}
    }
