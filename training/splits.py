"""Which videos to keep from training when nobody says which."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from motionfit.inference.errors import DatasetError
from motionfit.training.manifest import Row

GROUP = "group"

Counts = Counter[str]  # videos of each class
Group = tuple[str, str]


def held_out_share(rows: Sequence[Row], *, share: float, seed: int) -> tuple[Row, ...]:
    """About ``share`` (0 up to 1) of each class, in the order of ``rows``, decided by ``seed``.

    Groups (the videos of one value of the column ``group``, of all classes) are kept whole; where
    there is none, each video is its own. At least one video of each class stays in training. Of a
    class with two groups or more at least one is held out, unless groups that it shares with other
    classes leave no way. A share of 0 holds nothing out.
    """
    if not 0 <= share < 1:
        raise DatasetError(f"the share held out must be from 0 to below 1, got {share:g}")
    if share == 0:
        return ()
    groups = _groups(rows)
    videos = Counter(row.label for row in rows)
    order = _shuffled(groups, seed=seed)
    chosen = _about(share, groups, videos=videos, order=order)
    _at_least_one(chosen, groups, videos=videos, order=order)
    return tuple(row for row in rows if group_of(row) in chosen)


def group_of(row: Row) -> Group:
    """What names the group of a video among all groups and lone videos of a data set."""
    group = row.columns.get(GROUP)
    return ("group", group) if group else ("video", row.name)


def _groups(rows: Sequence[Row]) -> dict[Group, Counts]:
    groups: dict[Group, Counts] = defaultdict(Counter)
    for row in rows:
        groups[group_of(row)][row.label] += 1
    return dict(groups)


def _shuffled(groups: Mapping[Group, Counts], *, seed: int) -> list[Group]:
    names = sorted(groups)
    return [names[i] for i in np.random.default_rng(seed).permutation(len(names))]


def _about(
    share: float, groups: Mapping[Group, Counts], *, videos: Counts, order: Sequence[Group]
) -> set[Group]:
    """Groups in ``order``, each taken if that brings the shares of its classes nearer."""
    chosen: set[Group] = set()
    held: Counts = Counter()
    for name in order:
        counts = groups[name]
        now, then = (
            sum(((held[c] + more * n) / videos[c] - share) ** 2 for c, n in counts.items())
            for more in (0, 1)
        )
        if then < now and _leaves_some(counts, held=held, videos=videos):
            chosen.add(name)
            held += counts
    return chosen


def _at_least_one(
    chosen: set[Group], groups: Mapping[Group, Counts], *, videos: Counts, order: Sequence[Group]
) -> None:
    """Add the smallest possible group to ``chosen`` for each class of which nothing is held out."""
    held: Counts = Counter()
    for name in chosen:
        held += groups[name]
    for label in sorted(videos):
        if held[label]:
            continue
        possible = [
            name
            for name in order
            if label in groups[name] and _leaves_some(groups[name], held=held, videos=videos)
        ]
        if possible:
            smallest = min(possible, key=lambda name: groups[name].total())
            chosen.add(smallest)
            held += groups[smallest]


def _leaves_some(counts: Counts, *, held: Counts, videos: Counts) -> bool:
    return all(held[label] + number < videos[label] for label, number in counts.items())
