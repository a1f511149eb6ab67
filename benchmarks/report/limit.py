"""What the machine can do at most, in the same run: a product of matrices, and a copy of memory.

Beside them each engine runs the network of RGB on clips that lie in memory.
"""

import time
from functools import partial

import numpy as np
import torch

from motionfit.benchmarks.engines import SETTLE_SECONDS, matrix_product
from motionfit.benchmarks.engines_cpu import CPU, MATRIX
from motionfit.benchmarks.engines_network import bytes_per_clip, flop_per_clip
from motionfit.benchmarks.report.open import open_all, opener
from motionfit.benchmarks.report.pipeline import Pipeline
from motionfit.benchmarks.report.work import Work
from motionfit.benchmarks.result import Rate, Result, TimedCase
from motionfit.benchmarks.timing import Case, measure

GEMM, COPY = "limit/gemm", "limit/copy"
INFER = "infer"
COPIED_BYTES = 1 << 28
"""Far more than any cache holds."""


def limit_part(work: Work) -> Result:
    """Time the limits and the networks alone: a result of kind ``report-limit``.

    Rates are floating-point operations and bytes (read and written) a second.
    """
    options = work.options
    with opener(options, work.folder, cell=options.timed_cell()) as found:
        video = options.timed_videos()[0]
        pipelines, excluded = open_all(found, work.cell.systems, video=video)
        peak = matrix_product(MATRIX, precision="fp32", device=CPU)
        copied = torch.zeros(COPIED_BYTES, dtype=torch.uint8)
        samples = measure(
            [
                Case(name=GEMM, run=peak.run),
                Case(name=COPY, run=partial(copied.copy_, torch.ones_like(copied))),
                *(_network_alone(one) for one in pipelines),
            ],
            rounds=work.cell.rounds,
            warmup_rounds=work.cell.warmup_rounds,
            seed=work.seed,
            before_case=partial(time.sleep, SETTLE_SECONDS),
        )
        spec = pipelines[0].wanted.spec
    cases = {name: TimedCase.of(name, ms, seed=work.seed) for name, ms in samples.items()}
    width = work.cell.systems[0].shape.width
    return work.finish(
        settings={
            "gemm_flop": peak.flop,
            "copy_bytes": 2 * COPIED_BYTES,
            "flop_per_clip": flop_per_clip(width=width, spec=spec),
            "bytes_per_clip": bytes_per_clip(width=width, spec=spec, clips=options.num_clips),
        },
        cases=tuple(cases.values()),
        excluded=excluded,
        rates=(
            Rate.of(cases[GEMM], count=peak.flop, unit="flop"),
            Rate.of(cases[COPY], count=2 * COPIED_BYTES, unit="bytes"),
        ),
    )


def _network_alone(pipeline: Pipeline) -> Case:
    """The engine's answer to the clips of a video, without anything before it."""
    assert pipeline.rgb is not None
    spec = pipeline.wanted.spec
    shape = (pipeline.num_clips, spec.num_frames, spec.crop, spec.crop, 3)
    clips = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return Case(name=f"{pipeline.system.name}/{INFER}", run=partial(pipeline.rgb.run, clips))
