from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionfit.inference.decoding import VideoInfo
from motionfit.training.examine import Readable
from motionfit.training.giveaway_check import check_give_aways
from motionfit.training.giveaways import GiveAways, find_give_aways
from motionfit.training.manifest import Row


@pytest.fixture(autouse=True)
def _fewer_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionfit.training.giveaways.PERMUTATIONS", 99)


def made(
    *, videos: int = 120, classes: int = 3, group_size: int = 1, seed: int = 0
) -> list[Readable]:
    """Videos whose files tell nothing, with durations at random, alike within a group."""
    numbers = np.random.default_rng(seed)
    result = []
    for number in range(videos):
        group = number // group_size
        label = f"class{group % classes}"
        if number % group_size == 0:
            seconds, size = numbers.uniform(2, 9), numbers.integers(10_000, 90_000)
        result.append(
            Readable(
                row=Row(
                    path=Path(f"{number}.mp4"),
                    name=f"{number}.mp4",
                    label=label,
                    columns={"label": label, "group": f"g{group}"},
                ),
                size_bytes=int(size),
                info=VideoInfo(
                    container="mov",
                    codec="h264",
                    width=320,
                    height=240,
                    frame_rate=25.0,
                    duration_seconds=float(seconds),
                ),
                pictures=np.zeros((8, 16, 16), np.uint8),
            )
        )
    return result


def measured(videos: Sequence[Readable]) -> GiveAways:
    found = find_give_aways(videos)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(2))
def test_files_that_tell_nothing_are_not_accused(seed: int) -> None:
    videos = made(seed=seed)
    found = measured(videos)
    assert found.telling() == ()
    assert found.accuracy < 0.6
    assert check_give_aways(found, readable=videos) == ()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("frame rate", {"frame_rate": 30.0}),
        ("resolution", {"width": 426}),
        ("codec", {"codec": "mpeg4"}),
        ("container", {"container": "avi"}),
        ("duration", {"duration_seconds": 30.0}),
    ],
)
def test_a_property_that_one_class_has_alone_is_named_first(
    name: str, change: dict[str, object]
) -> None:
    videos = [
        replace(one, info=replace(one.info, **change)) if one.row.label == "class1" else one  # type: ignore[arg-type]
        for one in made()
    ]
    found = measured(videos)
    assert found.telling()[0].name == name
    # One class of three is known, the other two are not: log2(3) - 2/3 bits.
    assert 0.45 < found.telling()[0].bits < 0.95
    assert found.p_value <= 0.01
    assert found.accuracy > 0.5


def test_videos_of_one_group_do_not_count_as_evidence_each() -> None:
    # Twelve groups of twenty videos that share all properties: they tell the group, not the class.
    videos = made(videos=240, group_size=20)
    assert measured(videos).telling() == ()
    alone = [replace(one, row=replace(one.row, columns={"label": one.row.label})) for one in videos]
    assert measured(alone).telling() != ()


def test_too_few_videos_groups_or_classes_are_not_judged() -> None:
    assert find_give_aways(made(videos=19)) is None
    assert find_give_aways(made(videos=60, group_size=10)) is None
    assert find_give_aways(made(classes=1)) is None
    assert find_give_aways([]) is None
    assert check_give_aways(None, readable=[]) == ()


def test_many_videos_are_judged_by_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionfit.training.giveaways.MOST_VIDEOS", 50)
    assert measured(made()).videos == 50
