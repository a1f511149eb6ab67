"""What two networks share that were trained alike on different videos."""

from collections.abc import Mapping
from typing import Any

SECTIONS = ("clip", "augment", "teacher", "network", "model", "train")
"""Of the configurations of all stages: all but the videos and how they reach the loop."""


def recipe_of(training: Mapping[str, Any]) -> dict[str, Any] | None:
    """The recipe in the training record of a checkpoint or a bundle; None if it tells none."""
    configuration = training.get("configuration")
    if configuration is None:
        return None
    return {name: configuration[name] for name in SECTIONS if name in configuration}
