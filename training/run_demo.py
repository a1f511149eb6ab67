"""The run that shows MotionFit at work on made videos: what it is given, and where it puts them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motionfit.training.demo_videos import LABELLED, TEST, UNLABELLED
from motionfit.training.run_config import MethodConfig

FOLDER = "demo"

_VALUES: Mapping[str, Mapping[str, Any]] = {
    "data": {"hold_out_share": 0.0},
    "stages": {
        "teacher_clips": 2_000,
        "teacher_crop_area": 0.7,
        "student_clips": 9_000,
        "fine_tuning_clips": 1_000,
        "fine_tuning_learning_rate": 3e-4,
    },
    "flow": {"compute_side": 72, "grid_clips": 4},
    "clip": {"frames": 6, "short_side": 36, "crop": 32, "clips": 2},
    "augment": {
        "flip": False,  # left and right are classes
        "crop_area": 0.7,
        "brightness": 0.0,
        "contrast": 0.0,
        "saturation": 0.0,
        "grayscale": 0.0,
    },
    "network": {"width": 0.125},
    "train": {"learning_rate": 3e-3},
}
"""What takes minutes on two cores."""


def demo_values(output: Path) -> Mapping[str, Mapping[str, Any]]:
    """The configuration of a demonstration in a run folder, by section and name."""
    videos = output / FOLDER
    return {
        **_VALUES,
        "data": {**_VALUES["data"], "labelled": videos / LABELLED},
        "others": {"unlabelled": videos / UNLABELLED, "test": videos / TEST},
    }


def is_demo(config: MethodConfig, output: Path) -> bool:
    """Whether a run in that folder makes its own videos."""
    return config.data.labelled == (output / FOLDER / LABELLED).absolute()
