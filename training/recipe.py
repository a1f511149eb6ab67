"""What two students share that were trained alike on different videos."""

from collections.abc import Mapping
from typing import Any

SECTIONS = ("clip", "augment", "model", "train")
"""Of the configuration: all but the videos and how they reach the loop."""


def recipe_of(training: Mapping[str, Any]) -> dict[str, Any] | None:
    """The recipe in the training record of a checkpoint or a bundle; None if it tells none."""
    configuration = training.get("configuration")
    if configuration is None:
        return None
    return {section: configuration[section] for section in SECTIONS}
