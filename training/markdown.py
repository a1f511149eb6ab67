"""Figures and sentences as Markdown."""

from collections.abc import Sequence

from motionfit.training.tables import COLUMNS


def markdown_table(
    lines: Sequence[Sequence[str]], *, head: Sequence[str] = COLUMNS, texts: int = 1
) -> str:
    """Lines under the headings ``head``; columns after the first ``texts`` stand to the right."""
    sides = ["---"] * texts + ["--:"] * (len(head) - texts)
    rows = [head, sides, *lines]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)


def sentences(notes: Sequence[str]) -> str:
    """Notes as a list of sentences."""
    return "\n".join(f"- {note[:1].upper()}{note[1:]}." for note in notes)


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|")
