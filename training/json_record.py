"""The base of everything that is written to a results file."""

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


class Estimate(Record):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float
