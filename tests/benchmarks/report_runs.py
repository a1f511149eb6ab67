"""An experiment's folder as its trainings leave it, with tiny networks, and videos that move."""

import csv
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from motionfit.benchmarks.report.networks import TrainedCell, main_cells
from motionfit.benchmarks.report.options import trained_networks
from motionfit.inference.clip import ClipSpec
from motionfit.training.checkpoint import Checkpoint, save_checkpoint
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.model import FLOW, RGB, R2Plus1D

SPEC = ClipSpec(num_frames=4, frame_rate=10.0, short_side=36, crop=32, num_clips=2)
FLOW_SPEC = FlowSpec(compute_side=48, short_side=36, num_frames=4, frame_rate=10.0, grid_clips=2)
LABELS = ("left", "right")
WIDTH = 1 / 16
CELL = main_cells()[0]
ARMS = {"motionfit": RGB, "random-same-clips": RGB, "flow-network": FLOW}
"""Trained; the students that imitate features are not."""


@dataclass(frozen=True)
class TinyExperiment:
    runs: Path
    data: Path
    videos: tuple[Path, ...]
    """Test videos."""

    @property
    def cell(self) -> TrainedCell:
        return TrainedCell(
            runs=self.runs, name=CELL.name, networks=trained_networks(self.runs)[CELL.name]
        )


def tiny_experiment(folder: Path, *, real: Path | None) -> TinyExperiment:
    """Three networks with random weights; twenty videos, one of them ``real`` if there is one."""
    runs, data = folder / "runs", folder / "data"
    cell = TrainedCell(runs=runs, name=CELL.name, networks={})
    for seed, (arm, channels) in enumerate(ARMS.items()):
        path = cell.checkpoint(arm)
        path.parent.mkdir(parents=True)
        save_checkpoint(path, network(channels, seed=seed))
    groups = (*CELL.split.test, *CELL.labelled)
    names = []
    for label in LABELS:
        for number, group in enumerate(groups):
            name = f"{label}/{group}.mp4"
            path = data / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if real is not None and label == LABELS[0] and number == 0:
                path.write_bytes(real.read_bytes())
            else:
                write_moving(path, step=3 if label == "right" else -3, seed=number)
            names.append((name, label, group))
    with (data / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group"), *names])
    tested = tuple(data / name for name, _, group in sorted(names) if group in CELL.split.test)
    return TinyExperiment(runs=runs, data=data, videos=tested)


def network(channels: int, *, seed: int) -> Checkpoint:
    torch.manual_seed(seed)
    model = R2Plus1D(len(LABELS), width=WIDTH, channels=channels).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.normal_(module.bias, std=0.2)
    torch.nn.init.normal_(model.fc.weight)
    return Checkpoint(
        model=model,
        spec=SPEC,
        labels=LABELS,
        width=WIDTH,
        training={},
        flow=FLOW_SPEC if channels == FLOW else None,
    )


def write_moving(path: Path, *, step: int, seed: int, seconds: float = 1.6, blink: int = 0) -> None:
    """An MP4 at 25 frames a second whose texture moves by ``step`` pixels a frame, and of which
    ``blink`` blocks are black in every other frame.
    """
    rng = np.random.default_rng(seed)
    texture = np.kron(rng.integers(0, 256, (12, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for number in range(round(25 * seconds)):
            moved = np.ascontiguousarray(np.roll(texture, step * number, axis=1))
            moved[:8, : 8 * blink] *= number % 2
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        container.mux(stream.encode(None))
