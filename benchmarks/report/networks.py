"""The networks of the systems: trained ones from an experiment's folder, made ones for other sizes.

A network that was not trained is missing, with the reason. Without an experiment the student is
the one that ships. Made networks have random weights, which speed does not ask about; they have
no accuracy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from motionfit.benchmarks.experiment.graph import answers
from motionfit.benchmarks.experiment.protocol import PROTOCOL, Cell, Entry
from motionfit.benchmarks.report.systems import (
    FLOW_STREAM,
    MARS,
    MERS,
    SHIPPED,
    SMALL,
    STUDENT,
    Shape,
    System,
)
from motionfit.inference.bundle import WEIGHTS, Bundle
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import MotionfitError
from motionfit.training.checkpoint import Checkpoint, load_checkpoint, load_student
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.model import FLOW, RGB, R2Plus1D

CLASSES = 10
GAP_SECONDS = 0.1
COMPUTE_SIDE = 128
ONLY_TRAINED = {MERS, MARS}
"""Their networks differ from the student's in their weights alone."""


class MissingNetwork(MotionfitError):
    """A network that a system needs was not trained."""

    code = "missing-network"


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network, and what its files are called."""

    key: str
    """The same for the same network: ``trained-`` or ``made-`` and what tells it from others."""
    checkpoint: Checkpoint


@dataclass(frozen=True, kw_only=True)
class TrainedCell:
    """One drawing of labels of an experiment, whose networks are taken."""

    runs: Path
    name: str
    """``split2-seed0-labels3``"""
    networks: Mapping[str, str]
    """Arm -> SHA-256 of its network, of those that are trained."""

    @property
    def cell(self) -> Cell:
        """What the protocol says of it. Raises MissingNetwork when it names no such cell."""
        for one in main_cells():
            if one.name == self.name:
                return one
        raise MissingNetwork(f"the protocol of the experiment has no cell {self.name}")

    def checkpoint(self, arm: str) -> Path:
        """Where the network of an arm is, or will be."""
        entry = Entry(cell=self.cell, arm=arm)
        [watched] = answers(entry, protocol=PROTOCOL, data=self.runs)
        return self.runs / str(watched.needs[-1].output)


def main_cells() -> tuple[Cell, ...]:
    """The cells of the experiment's comparison of all arms."""
    return tuple(
        Cell(split=split, seed=seed, labels=PROTOCOL.labelled_groups)
        for seed in PROTOCOL.seeds
        for split in PROTOCOL.splits
    )


def networks_of(system: System, cell: TrainedCell | None) -> tuple[Network | None, Network | None]:
    """The networks of RGB and of flow that a system has.

    Raises MissingNetwork when one was not trained.
    """
    return (
        _network(system.rgb, system.shape, cell) if system.rgb else None,
        _network(system.flow, system.shape, cell) if system.flow else None,
    )


def _network(arm: str, shape: Shape, cell: TrainedCell | None) -> Network:
    if arm == SHIPPED:
        if cell is None:
            raise MissingNetwork("without an experiment the student is the one that ships")
        return _shipped()
    if shape == SMALL and cell is not None:
        return _trained(arm, cell)
    if shape == SMALL and arm == STUDENT:
        return _shipped()
    if arm in ONLY_TRAINED:
        raise MissingNetwork(f"{arm} was not trained: give the folder of an experiment")
    return made_network(shape, flow=arm == FLOW_STREAM)


def _trained(arm: str, cell: TrainedCell) -> Network:
    if arm not in cell.networks:
        raise MissingNetwork(
            f"{arm} is not trained in {cell.name}: run  motionfit-bench experiment RUNS "
            f"--data DATASET --only '{cell.name}/{arm}'"
        )
    key = f"trained-{cell.networks[arm][:16]}"
    return Network(key=key, checkpoint=load_checkpoint(cell.checkpoint(arm)))


def _shipped() -> Network:
    """The student inside the package."""
    bundle = Bundle.open()
    return Network(key=f"shipped-{bundle.version}", checkpoint=load_student(bundle.file(WEIGHTS)))


def made_network(shape: Shape, *, flow: bool) -> Network:
    """A network with random weights."""
    spec = ClipSpec(
        num_frames=shape.num_frames,
        frame_rate=shape.frame_rate,
        short_side=shape.short_side,
        crop=shape.crop,
    )
    torch.manual_seed(0)
    channels = FLOW if flow else RGB
    checkpoint = Checkpoint(
        model=R2Plus1D(CLASSES, width=shape.width, channels=channels).eval(),
        spec=spec,
        labels=tuple(f"class {number}" for number in range(CLASSES)),
        width=shape.width,
        training={},
        flow=_flow_spec(spec) if flow else None,
    )
    return Network(key=f"made-{shape.name}-{'flow' if flow else 'rgb'}", checkpoint=checkpoint)


def _flow_spec(spec: ClipSpec) -> FlowSpec:
    return FlowSpec.of(
        spec,
        method="dis",
        compute_side=max(COMPUTE_SIDE, spec.short_side),
        gap_seconds=GAP_SECONDS,
        grid_clips=spec.num_clips,
    )
