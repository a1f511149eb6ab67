from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionfit.inference.errors import DatasetError
from motionfit.training.manifest import Row, labels_of, read_manifest
from motionfit.training.splits import held_out_share


def row(label: str, number: int, group: str | None = None) -> Row:
    columns = {"label": label} if group is None else {"label": label, "group": group}
    name = f"{label}/{group}_{number}.mp4"
    return Row(path=Path(name), name=name, label=label, columns=columns)


def test_without_groups_each_class_gives_its_share_of_videos() -> None:
    rows = [row(label, number) for label in ("a", "b") for number in range(50)]
    held = held_out_share(rows, share=0.2, seed=0)
    assert Counter(one.label for one in held) == {"a": 10, "b": 10}
    assert held == tuple(one for one in rows if one in held)


def test_the_choice_depends_on_the_seed_alone() -> None:
    rows = [row("a", number, f"g{number // 3}") for number in range(60)]
    first = held_out_share(rows, share=0.2, seed=1)
    assert {one.name for one in held_out_share(rows[::-1], share=0.2, seed=1)} == {
        one.name for one in first
    }
    assert held_out_share(rows, share=0.2, seed=2) != first


def test_a_share_of_nothing_holds_nothing_out_and_one_of_everything_is_refused() -> None:
    rows = [row("a", number) for number in range(4)]
    assert held_out_share(rows, share=0.0, seed=0) == ()
    for share in (1.0, -0.1):
        with pytest.raises(DatasetError, match="from 0 to below 1, got"):
            held_out_share(rows, share=share, seed=0)


def test_a_class_of_one_video_or_one_group_stays_in_training() -> None:
    rows = [row("alone", 0), *(row("one", n, "g1") for n in range(5)), row("two", 0), row("two", 1)]
    assert Counter(one.label for one in held_out_share(rows, share=0.2, seed=0)) == {"two": 1}


def test_groups_that_classes_share_are_not_cut_even_where_that_leaves_no_way() -> None:
    rows = [
        row(label, 0, group)
        for label, groups in (("a", "xy"), ("b", "yz"), ("c", "xz"))
        for group in groups
    ]
    held = held_out_share(rows, share=0.5, seed=0)
    groups = {one.columns["group"] for one in held}
    assert len(groups) == 1
    assert len(held) == 2


@settings(derandomize=True, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.lists(st.integers(1, 6), min_size=1, max_size=12),
        min_size=1,
    ),
    st.floats(0.01, 0.9),
    st.integers(0, 3),
)
def test_groups_are_whole_and_each_class_is_on_both_sides(
    sizes: dict[str, list[int]], share: float, seed: int
) -> None:
    rows = [
        row(label, number, f"{label}{group}")
        for label, groups in sizes.items()
        for group, size in enumerate(groups)
        for number in range(size)
    ]
    held = held_out_share(rows, share=share, seed=seed)
    kept = [one for one in rows if one not in held]
    assert not {one.columns["group"] for one in held} & {one.columns["group"] for one in kept}
    assert labels_of(kept) == labels_of(rows)
    assert set(labels_of(held)) == {label for label, groups in sizes.items() if len(groups) > 1}


def test_ucf101_gives_about_a_fifth_of_each_class_in_whole_groups(data_dir: Path) -> None:
    rows = read_manifest(data_dir / "ucf101_10")
    held = held_out_share(rows, share=0.2, seed=0)
    all_of, held_of = (Counter(one.label for one in part) for part in (rows, held))
    assert all(0.15 < held_of[label] / count < 0.3 for label, count in all_of.items())
    groups = {one.columns["group"] for one in held}
    assert held == tuple(one for one in rows if one.columns["group"] in groups)
