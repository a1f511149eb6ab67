"""What the doctor finds in ten classes of UCF101."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest
from rich.console import Console

from motionfit.training.duplicates import find_duplicates
from motionfit.training.examine import Readable, examine
from motionfit.training.giveaway_check import check_give_aways
from motionfit.training.giveaways import find_give_aways
from motionfit.training.manifest import read_manifest
from motionfit.training.video_checks import check_duplicates

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def ucf101(data_dir: Path) -> tuple[Readable, ...]:
    return examine(read_manifest(data_dir / "ucf101_10"), console=QUIET).readable


def test_clips_of_one_group_are_not_called_duplicates(ucf101: Sequence[Readable]) -> None:
    groups = {(one.row.label, one.row.columns["group"]) for one in ucf101}
    pairs = [
        (a, b)
        for a, b in combinations(ucf101, 2)
        if (a.row.label, a.row.columns["group"]) == (b.row.label, b.row.columns["group"])
    ]
    assert (len(groups), len(pairs)) == (180, 1186)
    # What is found is really one shot, twice in UCF101 under two group numbers.
    assert [[Path(row.name).stem for row in one.rows] for one in find_duplicates(ucf101)] == [
        ["v_JavelinThrow_g09_c03", "v_JavelinThrow_g13_c02"],
        ["v_TennisSwing_g08_c06", "v_TennisSwing_g20_c06"],
    ]


def test_the_shot_that_is_in_training_and_test_is_an_error(ucf101: Sequence[Readable]) -> None:
    errors = [one for one in check_duplicates(find_duplicates(ucf101)) if one.severity == "error"]
    assert [one.items for one in errors] == [
        (
            "TennisSwing/v_TennisSwing_g08_c06.mp4, TennisSwing/v_TennisSwing_g20_c06.mp4: "
            "look the same (split2, split3)",
        )
    ]


@pytest.mark.parametrize("folder", ["weizmann10", "tennis7"])
def test_clips_before_one_fixed_camera_are_not_called_duplicates(
    data_dir: Path, folder: str
) -> None:
    assert find_duplicates(examine(read_manifest(data_dir / folder), console=QUIET).readable) == ()


def test_the_frame_rate_is_what_gives_most_away(ucf101: Sequence[Readable]) -> None:
    found = find_give_aways(ucf101)
    assert found is not None
    assert [one.name for one in found.telling()] == ["frame rate", "duration", "bit rate"]
    # Four classes at one rate and six at the other are worth 0.97 bits.
    assert found.properties[0].bits == pytest.approx(0.97, abs=0.04)
    assert found.chance == 0.1
    assert found.accuracy > 0.35
    first = check_give_aways(found, readable=ucf101)[0]
    assert first.code == "give-away-frame-rate"
    assert first.items[0] == (
        "29.97 fps: Basketball (100%), Biking (100%), HorseRiding (100%), TennisSwing (100%)"
    )
    assert "--rate-jitter" in first.advice
