"""What a run tells while it goes: a line on the console, log.jsonl, TensorBoard."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from motionfit.training.whole_files import written_whole

LOG = "log.jsonl"
TENSORBOARD = "tensorboard"

Figures = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Logbook:
    """Takes the figures of each epoch."""

    log: Path
    board: SummaryWriter
    console: Console

    def write(self, figures: Figures, *, epoch: int, epochs: int) -> None:
        """Note one epoch; it has a line on the console when held-out videos were looked at."""
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": epoch, **figures}) + "\n")
        for name, value in figures.items():
            self.board.add_scalar(name, value, epoch)
        self.board.flush()
        if "held_out_accuracy" in figures or epoch == epochs:
            self.console.print(_line(figures, epoch=epoch, epochs=epochs), highlight=False)


@contextmanager
def open_logbook(run: Path, *, epochs_done: int, console: Console) -> Iterator[Logbook]:
    """The logbook of the run folder ``run``, forgetting what was noted after ``epochs_done``."""
    log = run / LOG
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    with written_whole(log) as unfinished:
        unfinished.write_text("".join(f"{line}\n" for line in lines[:epochs_done]), "utf-8")
    board = SummaryWriter(str(run / TENSORBOARD), purge_step=epochs_done + 1)
    try:
        yield Logbook(log=log, board=board, console=console)
    finally:
        board.close()


def _line(figures: Figures, *, epoch: int, epochs: int) -> str:
    held_out = figures.get("held_out_accuracy")
    return (
        f"epoch {epoch} of {epochs}: loss {figures['loss']:.3f}, "
        f"training clips right {figures['training_accuracy']:.1%}"
        + ("" if held_out is None else f", held-out videos right {held_out:.1%}")
        + f", {figures['clips_per_second']:.1f} clips/s"
        + f", waiting for data {figures['waiting_share']:.0%} of the time"
    )
