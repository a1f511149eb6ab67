"""How large a network is and what one clip costs it, part by part."""

from dataclasses import dataclass

import torch
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from motionfit.training.model import RGB, R2Plus1D


@dataclass(frozen=True, kw_only=True)
class Part:
    """One named part of a network."""

    name: str
    parameters: int
    flops: int
    """Floating-point operations for one clip; a multiplication with its addition counts as two."""


def parts_of(
    num_classes: int, *, width: float, num_frames: int, crop: int, channels: int = RGB
) -> tuple[Part, ...]:
    """The parts of a network in the order in which a clip passes them. Nothing is computed."""
    with torch.device("meta"):
        model = R2Plus1D(num_classes, width=width, channels=channels).eval()
        clip = torch.empty(1, channels, num_frames, crop, crop)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(clip)
    counts = counter.get_flop_counts()
    return tuple(
        Part(
            name=name,
            parameters=sum(parameter.numel() for parameter in part.parameters()),
            flops=sum(counts.get(f"{type(model).__name__}.{name}", {}).values()),
        )
        for name, part in model.named_children()
        if name != "avgpool"
    )


def table_of(parts: tuple[Part, ...], *, title: str) -> Table:
    """The parts and their sum as a table."""
    table = Table(title=title, title_justify="left")
    table.add_column("part")
    table.add_column("parameters", justify="right")
    table.add_column("MFLOP a clip", justify="right")
    for part in parts:
        table.add_row(part.name, f"{part.parameters:,}", f"{part.flops / 1e6:,.1f}")
    table.add_section()
    table.add_row(
        "all",
        f"{sum(part.parameters for part in parts):,}",
        f"{sum(part.flops for part in parts) / 1e6:,.1f}",
    )
    return table
