"""Figures and sentences as Markdown."""

from collections.abc import Sequence

from motionfit.training.tables import Line


def markdown_table(lines: Sequence[Line], *, first: str, count: str) -> str:
    """Lines of figures under the headings ``first``, ``count``, value and interval."""
    rows = [(first, count, "value", "95 % interval"), ("---", "--:", "--:", "--:"), *lines]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)


def sentences(notes: Sequence[str]) -> str:
    """Notes as a list of sentences."""
    return "\n".join(f"- {note[:1].upper()}{note[1:]}." for note in notes)


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|")
