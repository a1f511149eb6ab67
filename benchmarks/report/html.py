"""A document as one HTML file that needs nothing else: pictures are inside."""

import base64
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from motionfit.benchmarks.report.document import Document, Picture, Points, Table

TEMPLATE = "page.html.jinja"


def html(document: Document, *, folder: Path) -> str:
    """The document as HTML, with the pictures that lie in ``folder``."""
    environment = Environment(
        loader=PackageLoader("motionfit.benchmarks.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [
        (one.title, [_named(block, folder=folder) for block in one.blocks])
        for one in document.sections
        if one.blocks
    ]
    template = environment.get_template(TEMPLATE)
    return template.render(document=document, sections=sections)


def _named(block: object, *, folder: Path) -> tuple[str, object]:
    """What kind of block it is, and what the template shows of it."""
    match block:
        case Table():
            return "table", block
        case Picture():
            content = base64.b64encode((folder / block.file).read_bytes()).decode()
            return "picture", {"title": block.title, "data": content}
        case Points():
            return "points", block.sentences
        case _:
            return "paragraph", block
