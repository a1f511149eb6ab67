"""Run folders of teachers that were never trained: quick to make, and they answer all the same."""

from collections.abc import Sequence
from pathlib import Path

import torch

from motionfit.inference.clip import ClipSpec
from motionfit.training.checkpoint import CHECKPOINT, Checkpoint, save_checkpoint
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.manifest import Row
from motionfit.training.model import FLOW, RGB, R2Plus1D
from motionfit.training.used_videos import write_used

LABELS = ("blue", "green", "red")


def write_teacher(
    run: Path,
    *,
    spec: ClipSpec,
    flow: FlowSpec | None = None,
    seed: int = 0,
    labelled: Path | None = None,
    training: Sequence[Row] = (),
    held_out: Sequence[Row] = (),
) -> Path:
    """Make ``run`` the run folder of a random network, as if trained on videos of ``labelled``."""
    run.mkdir(parents=True)
    torch.manual_seed(seed)
    model = R2Plus1D(len(LABELS), width=0.1, channels=RGB if flow is None else FLOW)
    with torch.no_grad():
        model.fc.weight.normal_(0, 3)  # so that its answers differ
    checkpoint = Checkpoint(
        model=model, spec=spec, labels=LABELS, width=0.1, training={}, flow=flow
    )
    save_checkpoint(run / CHECKPOINT, checkpoint)
    if labelled is not None:
        write_used(run, training=training, held_out=held_out)
        (run / "config.toml").write_text(f'[data]\nlabelled = "{labelled}"\n')
    return run
