"""k-means of directions."""

import numpy as np
import pytest

from motionfit.inference.errors import DatasetError
from motionfit.training.clusters import clustered


def features(seed: int) -> np.ndarray:
    """Three directions of 20 features each, of any length."""
    numbers = np.random.default_rng(seed)
    directions = np.repeat(np.eye(8)[:3], 20, axis=0) + numbers.normal(0, 0.1, (60, 8))
    return directions * numbers.uniform(0.1, 10, (60, 1))


def test_directions_are_told_apart_whatever_their_length() -> None:
    found = clustered(features(0), clusters=3, seed=0)
    assert sorted(len(set(found.assigned[part : part + 20])) for part in (0, 20, 40)) == [1, 1, 1]
    assert len(set(found.assigned.tolist())) == 3
    assert found.cosine.min() > 0.8


def test_the_seed_decides_the_clusters() -> None:
    one, other = (clustered(features(1), clusters=5, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.assigned, other.assigned)
    np.testing.assert_array_equal(one.cosine, other.cosine)


def test_more_clusters_than_pieces_are_refused() -> None:
    with pytest.raises(DatasetError, match="3 pieces of video cannot be divided into 4 clusters"):
        clustered(features(0)[:3], clusters=4, seed=0)


def test_as_many_clusters_as_pieces_do() -> None:
    found = clustered(np.eye(4), clusters=4, seed=0)
    assert sorted(found.assigned.tolist()) == [0, 1, 2, 3]
