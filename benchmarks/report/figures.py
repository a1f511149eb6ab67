"""From parts to the figures of systems and rows, decoders and engines."""

from collections.abc import Sequence

import numpy as np

from motionfit.benchmarks.estimates import too_few
from motionfit.benchmarks.report.cold import COLD_START, PEAK
from motionfit.benchmarks.report.limit import COPY, GEMM, INFER
from motionfit.benchmarks.report.result import (
    CaseFigures,
    EngineFigures,
    LimitFigures,
    RowFigures,
    SystemFigures,
)
from motionfit.benchmarks.report.samples import Samples, by_cell, figures, setting
from motionfit.benchmarks.report.stages import STAGES
from motionfit.benchmarks.report.statistics import (
    Processes,
    median,
    paired_ratio,
    pooled,
    quantile,
)
from motionfit.benchmarks.report.systems import INT8, ROWS, Row, all_systems
from motionfit.benchmarks.report.timed import CPU, TOTAL
from motionfit.benchmarks.result import PERCENTILES, Excluded, Result
from motionfit.training.json_record import Estimate
from motionfit.training.resampling import rounded

SEED = 0
"""Of resampling."""
NOT_MEASURED = "not measured"
Parts = Sequence[Result]


def system_figures(parts: Parts) -> tuple[SystemFigures, ...]:
    """The figures of every system that was timed, from the first cell that has it."""
    cells = by_cell(parts, kind="systems")
    alone = by_cell(parts, kind="cold")
    found = []
    for one in all_systems():
        for cell in cells:
            if samples := cell.of(f"{one.name}/{TOTAL}"):
                found.append(_system(one.name, cell, samples, alone=alone))
                break
    return tuple(found)


def _system(
    name: str, cell: Samples, samples: Processes, *, alone: Sequence[Samples]
) -> SystemFigures:
    n = len(pooled(samples))
    reasons = {text: too_few(n, share=share) for text, share in _SHARES.items()}
    percentiles = {text: quantile(samples, share=share) for text, share in PERCENTILES.items()}
    own = [part for one in alone for part in one.parts]
    peaks = figures(own, f"{name}/{PEAK}")
    starts = Samples(cell=name, parts=tuple(own)).of(f"{name}/{COLD_START}")
    return SystemFigures(
        name=name,
        cell=cell.cell,
        processes=len(samples),
        n=n,
        total_ms=median(samples, seed=SEED),
        p90_ms=percentiles["p90"],
        p95_ms=percentiles["p95"],
        p99_ms=percentiles["p99"],
        refused={text: reason for text, reason in reasons.items() if reason},
        cpu_ms=median(cell.of(f"{name}/{CPU}"), seed=SEED),
        stages_ms={
            stage: rounded(float(pooled(cell.of(f"{name}/{stage}")).mean())) for stage in STAGES
        },
        peak_memory_bytes=float(np.median(peaks)) if peaks else None,
        cold_start_ms=median(starts, seed=SEED),
    )


_SHARES = {"median": 0.5, **PERCENTILES}


def row_figures(parts: Parts) -> tuple[RowFigures, ...]:
    """Every row, from the first cell whose processes have both of its systems."""
    cells = by_cell(parts, kind="systems")
    return tuple(_row(row, cells) for row in ROWS)


def _row(row: Row, cells: Sequence[Samples]) -> RowFigures:
    other, own = row.other.name, row.without_flow.name
    for cell in cells:
        above, below = cell.pair(f"{other}/{TOTAL}", f"{own}/{TOTAL}")
        if above:
            costs = cell.pair(f"{other}/{CPU}", f"{own}/{CPU}")
            return RowFigures(
                group=row.group,
                without_flow=own,
                other=other,
                cell=cell.cell,
                without_flow_ms=median(below, seed=SEED),
                other_ms=median(above, seed=SEED),
                time=paired_ratio(above, below, seed=SEED),
                cpu=paired_ratio(*costs, seed=SEED),
                missing=None,
            )
    excluded = [one for cell in cells for one in cell.excluded if one.name in (other, own)]
    return RowFigures(
        group=row.group,
        without_flow=own,
        other=other,
        cell=None,
        without_flow_ms=None,
        other_ms=None,
        time=None,
        cpu=None,
        missing=excluded[0].reason if excluded else NOT_MEASURED,
    )


def decoder_figures(parts: Parts) -> tuple[CaseFigures, ...]:
    """Each decoder on each video, beside PyAV, which comes first."""
    found = []
    for cell in by_cell(parts, kind="decoders"):
        for name in cell.cases:
            first = f"{name.rpartition('/')[0]}/pyav"
            samples = cell.of(name)
            found.append(
                CaseFigures(
                    name=name,
                    processes=len(samples),
                    n=len(pooled(samples)),
                    ms=median(samples, seed=SEED),
                    times=None
                    if name == first
                    else paired_ratio(*cell.pair(name, first), seed=SEED),
                )
            )
    return tuple(found)


def limit_figures(parts: Parts) -> tuple[LimitFigures | None, tuple[EngineFigures, ...]]:
    """What the machine does at most, and how near the engines come."""
    cells = by_cell(parts, kind="limit")
    if not cells:
        return None, ()
    [cell] = cells
    flop = int(setting(cell.parts, "flop_per_clip") or 0)
    moved = int(setting(cell.parts, "bytes_per_clip") or 0)
    clips = setting(cell.parts, "clips") or 1
    gemm = _rate(cell, GEMM, count=setting(cell.parts, "gemm_flop"))
    copy = _rate(cell, COPY, count=setting(cell.parts, "copy_bytes"))
    limits = LimitFigures(
        gemm_gflop_s=gemm, copy_gb_s=copy, flop_per_clip=flop, bytes_per_clip=moved
    )
    engines = []
    for name in (name for name in cell.cases if name.endswith(f"/{INFER}")):
        ms = median([samples / clips for samples in cell.of(name)], seed=SEED)
        speed = rounded(flop / ms.value / 1e6) if ms else None
        engine = name.partition("/")[0].partition("@")[2]
        fp32 = engine != INT8
        engines.append(
            EngineFigures(
                name=engine,
                clip_ms=ms,
                gflop_s=speed,
                share=rounded(speed / gemm.value) if speed and gemm and fp32 else None,
                memory_share=rounded(moved / ms.value / 1e6 / copy.value)
                if ms and copy and fp32
                else None,
            )
        )
    return limits, tuple(engines)


def _rate(cell: Samples, case: str, *, count: float | None) -> Estimate | None:
    """Thousands of millions a second."""
    ms = median(cell.of(case), seed=SEED)
    if ms is None or count is None:
        return None
    value, low, high = (rounded(count / one / 1e6) for one in (ms.value, ms.high, ms.low))
    return Estimate(value=value, low=low, high=high)


def excluded_of(parts: Parts) -> tuple[Excluded, ...]:
    """What was not timed in any part, once each."""
    return tuple(dict.fromkeys(one for part in parts for one in part.excluded))
