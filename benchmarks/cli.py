"""``motionfit-bench``: speed and accuracy, measured so that they can be believed and repeated."""

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from motionfit.benchmarks.command import EMBEDDED, Output, Seed, Threads, Warmup, progress
from motionfit.benchmarks.endure_command import endure_command
from motionfit.benchmarks.engines_command import engines_command, engines_plot_command
from motionfit.benchmarks.experiment.command import (
    experiment_command,
    experiment_join_command,
    experiment_report_command,
    experiment_schedule_command,
)
from motionfit.benchmarks.flow_bench_command import flow_command
from motionfit.benchmarks.gpu_command import gpu_command
from motionfit.benchmarks.install_command import install_command
from motionfit.benchmarks.load_command import load_command
from motionfit.benchmarks.mutants_command import mutants_command
from motionfit.benchmarks.report.command import report_command, report_draw_command
from motionfit.benchmarks.serve_command import serve_command
from motionfit.inference.bundle import Bundle
from motionfit.inference.console import run, show, stderr
from motionfit.inference.errors import require_extra
from motionfit.inference.runner import Backend

app = typer.Typer(
    help="Measure a bundle or the training: how fast, how right, and what changed since.",
    epilog="--debug shows the traceback of a failure. Exit codes: 0 done, 1 failure, 2 wrong use.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point of the command."""
    run(app, name="motionfit-bench")


def _backends(text: str | None) -> str | None:
    _parse_backends(text)
    return text


BundleArgument = Annotated[
    str, typer.Argument(metavar="BUNDLE", help=f"A bundle's folder, or the word '{EMBEDDED}'.")
]
Where = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN=VALUE[,VALUE]", help="Only these videos; may be repeated."),
]
NumClips = Annotated[
    int | None,
    typer.Option(
        "--clips", min=1, max=64, help="Clips of a video.", show_default="the bundle's own"
    ),
]


@app.command()
def latency(
    bundle: BundleArgument,
    videos: Annotated[
        list[Path],
        typer.Argument(metavar="VIDEO", help="Real videos.", exists=True, dir_okay=False),
    ],
    output: Output = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Samples of each case; 64 allow p90, 130 p95, 662 p99.")
    ] = 64,
    warmup: Warmup = 3,
    backends: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]",
            callback=_backends,
            help="onnx, openvino or both.",
            show_default="those installed",
        ),
    ] = None,
    clips: NumClips = None,
    threads: Threads = None,
    seed: Seed = 0,
) -> None:
    """Milliseconds of each stage: decode (here and in the child process), infer, post, total.

    Runtimes and readers are first proven to give equal answers, then timed in turns.
    """
    from motionfit.benchmarks import tables
    from motionfit.benchmarks.latency import Plan, latency_result
    from motionfit.benchmarks.result import shown_command, write_result
    from motionfit.benchmarks.session import Session

    opened = _open(bundle)
    plan = Plan(
        videos=tuple(videos),
        backends=_parse_backends(backends),
        num_clips=clips,
        threads=threads,
        rounds=rounds,
        warmup_rounds=warmup,
        seed=seed,
    )
    session = Session.start(command=shown_command(sys.argv[1:]), seed=seed)
    with progress("rounds", total=rounds + warmup) as advance:
        result = latency_result(opened, plan, session=session, after_round=advance)
    show([tables.timing_table(result)], tables.timing_notes(result))
    if output:
        write_result(result, output)


@app.command()
def accuracy(
    bundle: BundleArgument,
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET", exists=True, help="A folder per class, or a CSV (path, label, ...)."
        ),
    ],
    output: Output = None,
    where: Where = None,
    unknown: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DATASET|DIR", exists=True, help="Videos of none of the classes; repeatable."
        ),
    ] = None,
    clips: NumClips = None,
    backend: Annotated[Backend, typer.Option(help="Runtime.")] = Backend.AUTO,
    threads: Threads = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Decoding processes.")] = 2,
    seed: Seed = 0,
) -> None:
    """Top-1, top-5, per class, calibration and "none of these" on labelled videos.

    Intervals resample whole groups of look-alike videos (column `group`, where there is one).
    """
    from motionfit.benchmarks import tables
    from motionfit.benchmarks.accuracy import (
        Recogniser,
        accuracy_result,
        check_labels,
        unknown_videos,
    )
    from motionfit.benchmarks.result import shown_command, write_result
    from motionfit.benchmarks.session import Session
    from motionfit.inference.runner import open_runner
    from motionfit.training.manifest import matching, parse_filter, read_manifest

    opened = _open(bundle)
    rows = matching(read_manifest(dataset), [parse_filter(text) for text in where or ()])
    check_labels(rows, labels=opened.labels)
    strangers = tuple(video for source in unknown or () for video in unknown_videos(source))
    runner = open_runner(opened, backend=backend, threads=threads)
    session = Session.start(command=shown_command(sys.argv[1:]), seed=seed)
    with closing(runner), progress("videos", total=len(rows) + len(strangers)) as advance:
        result = accuracy_result(
            Recogniser(bundle=opened, runner=runner, num_clips=clips, workers=workers),
            rows,
            dataset=dataset.name,
            where=" ".join(where or ()),
            unknown=strangers,
            session=session,
            after_video=advance,
        )
    show([tables.accuracy_table(result)], tables.accuracy_notes(result))
    if output:
        write_result(result, output)


@app.command()
def training(
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET", exists=True, help="A folder per class, or a CSV (path, label, ...)."
        ),
    ],
    output: Output = None,
    where: Where = None,
    width: Annotated[float, typer.Option(min=0.05, max=2, help="Of the network.")] = 0.25,
    frames: Annotated[int, typer.Option(min=1, max=256, help="Frames of a clip.")] = 8,
    frame_rate: Annotated[
        float, typer.Option(min=0.01, max=240, help="Frames taken per second of video time.")
    ] = 10.0,
    short_side: Annotated[
        int, typer.Option(min=8, max=2048, help="Short side that frames are scaled to.")
    ] = 72,
    crop: Annotated[int, typer.Option(min=8, max=2048, help="Side of the square seen.")] = 64,
    batch_size: Annotated[int, typer.Option(min=2, help="Clips of a step.")] = 16,
    workers: Annotated[
        int | None,
        typer.Option(min=0, max=64, help="Processes that make clips.", show_default="one per core"),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each loop; 11 allow medians.")] = 24,
    warmup: Warmup = 2,
    steps: Annotated[int, typer.Option(min=1, help="Steps of a turn.")] = 4,
    seed: Seed = 0,
) -> None:
    """Training clips per second, beside torchvision's reference recipe on the same videos.

    One step of each loop is first proven to give the same loss and gradient; then they take turns.
    Reading videos with torchvision takes TorchCodec and FFmpeg's shared libraries.
    """
    require_extra("train", "accelerate", "torch", "torchvision")
    from motionfit.training.manifest import data_hash, matching, parse_filter, read_manifest

    rows = matching(read_manifest(dataset), [parse_filter(text) for text in where or ()])
    from motionfit.benchmarks.result import shown_command, write_result
    from motionfit.benchmarks.session import Session
    from motionfit.benchmarks.training_speed import Plan, contest, training_result
    from motionfit.benchmarks.training_table import training_notes, training_table
    from motionfit.inference.clip import ClipSpec

    plan = Plan(
        spec=ClipSpec(num_frames=frames, frame_rate=frame_rate, short_side=short_side, crop=crop),
        width=width,
        batch_size=batch_size,
        workers=len(os.sched_getaffinity(0)) if workers is None else workers,
        steps=steps,
        rounds=rounds,
        warmup_rounds=warmup,
        seed=seed,
    )
    with contest(rows, plan, console=stderr) as ready:
        session = Session.start(command=shown_command(sys.argv[1:]), seed=seed)
        with progress("rounds", total=rounds + warmup) as advance:
            result = training_result(
                ready,
                plan,
                data={
                    "dataset": dataset.name,
                    "where": " ".join(where or ()),
                    "videos": len(rows),
                    "videos_sha256": data_hash(rows),
                },
                session=session,
                after_round=advance,
            )
    show([training_table(result)], training_notes(result))
    if output:
        write_result(result, output)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A.json", exists=True, dir_okay=False)],
    second: Annotated[Path, typer.Argument(metavar="B.json", exists=True, dir_okay=False)],
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="NAME.STATISTIC>CHANGE or <CHANGE: 'infer.median>+5%', 'total/onnx.p90>+2' (ms), "
            "'accuracy.top1<-0.02'. NAME is one or more neighbouring parts of case names. "
            "May be repeated.",
        ),
    ] = None,
) -> None:
    """What changed from A to B. Exit code 1 when a --fail-if rule is broken or cannot be judged."""
    from motionfit.benchmarks import rules, tables
    from motionfit.benchmarks.compare import compare as compare_results
    from motionfit.benchmarks.result import read_result

    try:
        parsed = [rules.parse(text) for text in fail_if or ()]
    except rules.RuleError as error:
        raise typer.BadParameter(str(error)) from error
    before, after = read_result(first), read_result(second)
    comparison = compare_results(before, after)
    show(tables.comparison_tables(comparison), [])
    for warning in comparison.warnings:
        stderr.print(f"warning: {warning}", markup=False)
    try:
        verdicts = [verdict for rule in parsed for verdict in rules.judge(rule, before, after)]
    except rules.RuleError as error:
        raise typer.BadParameter(str(error)) from error
    show([], [tables.verdict_line(verdict) for verdict in verdicts])
    if any(verdict.broken for verdict in verdicts):
        raise typer.Exit(1)


app.command("flow")(flow_command)
app.command("engines")(engines_command)
app.command("gpu")(gpu_command)
app.command("engines-plot")(engines_plot_command)
app.command("load")(load_command)
app.command("serve")(serve_command)
app.command("endure")(endure_command)
app.command("mutants")(mutants_command)
app.command("install")(install_command)
app.command("experiment")(experiment_command)
app.command("experiment-schedule")(experiment_schedule_command)
app.command("experiment-join")(experiment_join_command)
app.command("experiment-report")(experiment_report_command)
app.command("report")(report_command)
app.command("report-draw")(report_draw_command)


def _open(bundle: str) -> Bundle:
    return Bundle.open(None if bundle == EMBEDDED else bundle)


def _parse_backends(text: str | None) -> tuple[Backend, ...] | None:
    if text is None:
        return None
    allowed = [str(backend) for backend in Backend if backend is not Backend.AUTO]
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    if wrong := [name for name in names if name not in allowed]:
        raise typer.BadParameter(f"{wrong[0]!r} is not one of {', '.join(allowed)}")
    return tuple(Backend(name) for name in names)


if __name__ == "__main__":
    main()
