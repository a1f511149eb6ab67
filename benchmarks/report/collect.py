"""The report of a folder: figures of all parts that are there."""

from datetime import UTC, datetime
from pathlib import Path

from motionfit.benchmarks.report.accuracy_figures import accuracy_figures, clip_figures, video_names
from motionfit.benchmarks.report.curves import curve_figures
from motionfit.benchmarks.report.figures import (
    decoder_figures,
    excluded_of,
    limit_figures,
    row_figures,
    system_figures,
)
from motionfit.benchmarks.report.options import Options
from motionfit.benchmarks.report.parts import in_turns, read_parts
from motionfit.benchmarks.report.plan import PREPARATION, cells
from motionfit.benchmarks.report.result import ReportResult
from motionfit.benchmarks.report.samples import figures
from motionfit.benchmarks.report.scenario_figures import scenario_figures
from motionfit.benchmarks.report.systems_cell import FLOW_BYTES
from motionfit.benchmarks.result import ResultError
from motionfit.training.provenance import git_revision


def collect(folder: Path, options: Options, *, command: str) -> ReportResult:
    """Figures of what is measured so far, timed or not. Raises ResultError when that is nothing."""
    planned = cells(options)
    parts = read_parts(folder, planned)
    if not parts:
        raise ResultError(f"nothing is measured in {folder} yet")
    untimed = {f"report-{kind}" for kind in PREPARATION}
    timed_parts = tuple(part for part in parts if part.kind not in untimed)
    limits, engines = limit_figures(parts)
    timed = options.timed_cell()
    flow_bytes = figures(parts, FLOW_BYTES)
    return ReportResult(
        command=command,
        created_utc=datetime.now(UTC).replace(microsecond=0),
        git_revision=git_revision(),
        machine=parts[0].machine,
        libraries=parts[0].libraries,
        threads=options.threads,
        clips=options.num_clips,
        quick=options.quick,
        networks=timed.name if timed else None,
        weights=options.networks,
        noisy_parts=sum(part.noise.noisy for part in timed_parts),
        missing_parts=len(in_turns(planned)) - len(parts),
        flow_bytes_a_video=int(flow_bytes[0]) if flow_bytes else None,
        systems=system_figures(parts),
        rows=row_figures(parts),
        accuracies=accuracy_figures(parts),
        clip_accuracies=clip_figures(parts),
        videos=video_names(parts),
        limits=limits,
        engines=engines,
        decoders=decoder_figures(parts),
        curves=curve_figures(parts),
        scenarios=scenario_figures(parts),
        excluded=excluded_of(parts),
        parts=timed_parts,
    )
