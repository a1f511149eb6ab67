"""The base of everything that is written to a results file, and how that file is laid out."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """An immutable value that goes to JSON and back. Unknown and missing fields are errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    def document(self) -> str:
        """The whole as the text of a JSON file."""
        return laid_out(self.model_dump(mode="json")) + "\n"


class Estimate(Record):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def laid_out(value: Any, *, indent: str = "") -> str:
    """JSON, indented, but with each list or object of plain values on one line."""
    inner = indent + "  "
    if isinstance(value, dict) and any(isinstance(v, dict | list) for v in value.values()):
        items = [f"{json.dumps(k)}: {laid_out(v, indent=inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(inner + item for item in items) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        return "[\n" + ",\n".join(inner + laid_out(v, indent=inner) for v in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)
