from pathlib import Path

import numpy as np
import pytest

from motionfit.inference.errors import DatasetError
from motionfit.training.embeddings import Embedded
from motionfit.training.manifest import Row
from motionfit.training.probe import CS, fit_probe, folds_of


def row(name: str, *, label: str, group: str | None) -> Row:
    columns = {"label": label, **({"group": group} if group else {})}
    return Row(path=Path(name), name=name, label=label, columns=columns)


def made(
    *, groups: int, each: int = 3, signal: float, group_noise: float = 0.0, seed: int = 0
) -> Embedded:
    """Videos of three classes: 20 numbers of noise, one of them moved by ``signal`` in its class,
    and all of them alike within a group as far as ``group_noise`` goes.
    """
    rng = np.random.default_rng(seed)
    rows, points = [], []
    for number, label in enumerate("abc"):
        for group in range(groups):
            shared = group_noise * rng.normal(size=20)
            for video in range(each):
                point = rng.normal(size=20) + shared
                point[number] += signal
                points.append(point)
                rows.append(row(f"{label}{group}{video}", label=label, group=f"g{group}"))
    return Embedded(
        rows=tuple(rows),
        frame_rates=(25.0,) * len(rows),
        embeddings=np.array(points, np.float32),
        unreadable=(),
    )


def top1(videos: Embedded, scores: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> float:
    true = np.array(["abc".index(one.label) for one in videos.rows])
    return float((scores.argmax(axis=1) == true).mean())


def test_a_probe_finds_what_tells_the_classes_apart() -> None:
    probe = fit_probe(made(groups=5, signal=6), seed=0)
    test = made(groups=3, signal=6, seed=1)
    scores = probe.scores(test)
    assert (probe.labels, probe.folds) == (("a", "b", "c"), 5)
    assert scores.shape == (27, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert top1(test, scores) > 0.95
    assert probe.held_out_top1 > 0.9


def test_the_strength_is_chosen_on_groups_that_the_classifier_has_not_seen() -> None:
    """Videos of a group are alike and classes are not: within a group anything can be learnt, so
    only folds of whole groups show that it is worth nothing.
    """
    probe = fit_probe(made(groups=5, signal=0, group_noise=4), seed=0)
    assert probe.held_out_top1 < 0.65


def test_the_stronger_penalty_is_taken_where_two_are_level() -> None:
    rng = np.random.default_rng(0)
    videos = made(groups=4, signal=0)
    same = Embedded(
        rows=videos.rows,
        frame_rates=videos.frame_rates,
        embeddings=np.repeat(rng.normal(size=(1, 20)), 36, axis=0).astype(np.float32),
        unreadable=(),
    )
    assert fit_probe(same, seed=0).c == CS[0]


def test_the_same_seed_gives_the_same_probe_and_sizes_of_numbers_do_not_matter() -> None:
    training, test = made(groups=3, signal=1), made(groups=3, signal=1, seed=1)
    probe = fit_probe(training, seed=3)
    assert np.array_equal(probe.scores(test), fit_probe(training, seed=3).scores(test))
    scaled = fit_probe(larger(training), seed=3)
    np.testing.assert_allclose(scaled.scores(larger(test)), probe.scores(test), atol=1e-3)


def larger(videos: Embedded) -> Embedded:
    return Embedded(
        rows=videos.rows,
        frame_rates=videos.frame_rates,
        embeddings=videos.embeddings * 1000,
        unreadable=(),
    )


def test_folds_leave_every_class_something_to_learn_from() -> None:
    two = [row(f"{label}{g}", label=label, group=f"g{g}") for label in "ab" for g in range(2)]
    assert folds_of(two) == 2
    without_groups = [row(f"{label}{n}", label=label, group=None) for label in "ab" for n in "1234"]
    assert folds_of(without_groups) == 4
    with pytest.raises(DatasetError, match=r"^c has one group of training videos"):
        folds_of([*two, *(row(f"c{n}", label="c", group="g1") for n in range(5))])
    with pytest.raises(DatasetError, match="tells classes apart, got only a"):
        folds_of(two[:2])
