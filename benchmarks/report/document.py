"""A report as a document: sentences, tables and pictures; written as Markdown or as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass

from motionfit.training.markdown import markdown_table


@dataclass(frozen=True, kw_only=True)
class Table:
    """Lines under a head."""

    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    texts: int
    """How many columns, from the left, hold words; the others hold numbers."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A PNG file beside the document."""

    file: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Points:
    """Sentences, one below the other."""

    sentences: tuple[str, ...]


Block = str | Points | Table | Picture
"""A string is a paragraph."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the document; sections without blocks are left out."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True)
class Document:
    """A title, sentences that say it all, and the sections."""

    title: str
    summary: tuple[str, ...]
    sections: tuple[Section, ...]


def present(*blocks: Block | None) -> tuple[Block, ...]:
    """Blocks that have something in them."""
    return tuple(block for block in blocks if block is not None and not _empty(block))


def section(title: str, *blocks: Block | None) -> Section:
    """A section of the blocks that have something in them; a lone paragraph has not enough."""
    kept = present(*blocks)
    return Section(title=title, blocks=kept if any(not isinstance(b, str) for b in kept) else ())


def markdown(document: Document) -> str:
    """The document as Markdown."""
    parts = [f"# {document.title}", *(f"**{sentence}**" for sentence in document.summary)]
    for one in document.sections:
        if one.blocks:
            parts += [f"## {one.title}", *map(_markdown, one.blocks)]
    return "\n\n".join(parts) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Table():
            return markdown_table(block.lines, head=block.head, texts=block.texts)
        case Picture():
            return f"![{block.title}]({block.file})"
        case Points():
            return "\n".join(f"- {sentence}" for sentence in block.sentences)
        case _:
            return block


def _empty(block: Block) -> bool:
    match block:
        case Table():
            return not block.lines
        case Points():
            return not block.sentences
        case _:
            return not block


def table(head: Sequence[str], lines: Sequence[Sequence[str]], *, texts: int = 1) -> Table:
    """A table."""
    return Table(head=tuple(head), lines=tuple(map(tuple, lines)), texts=texts)
