"""Figures and sentences as Markdown."""

from collections.abc import Sequence

from motionfit.training.tables import COLUMNS


def markdown_table(lines: Sequence[Sequence[str]], *, head: Sequence[str] = COLUMNS) -> str:
    """Lines under the headings ``head``, of which all but the first stand to the right."""
    rows = [head, ("---", *("--:" for _ in head[1:])), *lines]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)


def sentences(notes: Sequence[str]) -> str:
    """Notes as a list of sentences."""
    return "\n".join(f"- {note[:1].upper()}{note[1:]}." for note in notes)


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|")
