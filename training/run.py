"""All stages of MotionFit in one folder, from videos to a table of results.

A run folder holds

    config.toml         the resolved configuration, which --resume reads
    demo/               the videos of a demonstration
    flow/, cache/       optical flow and decoded videos, unless they are kept elsewhere
    teacher/            the run folder of the network that makes pseudo-labels
    pseudo-label/       labels.parquet and the report on them
    student/            the run folder of the network that learnt from them
    fine-tune/          that of the same network after learning from the labelled videos: the result
    random/             that of one that learnt from these alone, for comparison
    evaluate/           a report on each network of pictures
    result.md, .json    all figures; they appear last

Each stage is left as it is when it is finished, and goes on when it is half done.
"""

import time
from pathlib import Path

from accelerate import PartialState  # type: ignore[import-untyped]
from rich.console import Console

from motionfit.training.config import ConfigError
from motionfit.training.demo_videos import DemoSize, make_demo
from motionfit.training.run_config import MethodConfig
from motionfit.training.run_demo import is_demo
from motionfit.training.run_result import RunResult, result_of
from motionfit.training.run_stages import Stage, Stages
from motionfit.training.run_text import JSON, write_result
from motionfit.training.run_videos import read_videos
from motionfit.training.session import CONFIG, RunOptions
from motionfit.training.whole_files import written_whole


def run(options: RunOptions[MethodConfig], *, console: Console) -> RunResult:
    """Do all that is not done yet, and return what came of it.

    A run that is stopped ends in KeyboardInterrupt, and goes on when it is called again. Raises
    ConfigError, DatasetError, CacheError, CheckpointError or MissingExtra.
    """
    if PartialState().num_processes > 1:
        raise ConfigError(
            "run works in one process; to train with several, start the stages one by one with "
            "accelerate launch"
        )
    output = options.output.absolute()
    config = options.config
    if is_demo(config, output):
        _keep(config, output)
        console.print("making the videos of the demonstration")
        make_demo(config.data.labelled.parent, size=DemoSize(), seed=config.train.seed)
    stages = Stages(
        config=config.placed_in(output),
        output=output,
        command=options.command,
        videos=read_videos(config),
        console=console,
    )
    steps = stages.in_order()
    _keep(config, output)  # what cannot be done is not begun
    for number, stage in enumerate(steps, start=1):
        _do(stage, place=f"{number} of {len(steps)}", console=console)
    if (output / JSON).exists():
        return RunResult.model_validate_json((output / JSON).read_bytes())
    result = result_of(stages)
    write_result(result, output)
    return result


def _keep(config: MethodConfig, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    with written_whole(output / CONFIG) as unfinished:
        unfinished.write_text(config.to_toml(), encoding="utf-8")


def _do(stage: Stage, *, place: str, console: Console) -> None:
    title = f"stage {place}, {stage.name}"
    if stage.finished():
        console.print(f"{title}: done before", highlight=False)
        return
    console.print(title, highlight=False, style="bold")
    started = time.monotonic()
    stage.do()
    console.print(f"{title}: {time.monotonic() - started:.0f} s", highlight=False)
