"""Predictions become labels: cases small enough to compute by hand."""

from dataclasses import replace
from math import log
from typing import Any

import numpy as np
import pytest

from motionfit.inference.errors import DatasetError
from motionfit.training.config import ConfigError
from motionfit.training.labelling import LabelOptions, chosen, make_labels
from motionfit.training.predictions import Predictions
from tests.training.made_predictions import A, B, predictions_of

SHARES = [[0.5, 0.5], [0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]


def predictions(**changed: Any) -> Predictions:
    """Four clips of the video a, whose softmax is SHARES."""
    made = predictions_of(starts={"a": [100, 300, 500, 700]})
    return replace(made, logits=np.log(np.array(SHARES, np.float32)), **changed)


def test_soft_labels_of_clips_are_the_softmax() -> None:
    labels = make_labels(predictions(), options=LabelOptions())
    np.testing.assert_allclose(labels.targets, SHARES, rtol=1e-5)
    np.testing.assert_allclose(labels.confidence, [0.5, 0.9, 0.8, 0.6], rtol=1e-5)
    np.testing.assert_allclose(labels.entropy[0], log(2), rtol=1e-5)
    np.testing.assert_allclose(labels.entropy[1], -0.9 * log(0.9) - 0.1 * log(0.1), rtol=1e-5)
    assert labels.labels == ("jump", "wave")
    assert labels.starts_us.tolist() == [100_000, 300_000, 500_000, 700_000]


def test_a_temperature_of_two_halves_the_logits() -> None:
    labels = make_labels(predictions(), options=LabelOptions(temperature=2))
    np.testing.assert_allclose(labels.targets[1], [0.75, 0.25], rtol=1e-5)  # roots of 9 and 1


def test_hard_labels_are_one_hot_and_as_confident_as_the_soft_ones() -> None:
    soft = make_labels(predictions(), options=LabelOptions())
    hard = make_labels(predictions(), options=LabelOptions(kind="hard"))
    assert hard.targets.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    np.testing.assert_array_equal(hard.confidence, soft.confidence)
    np.testing.assert_array_equal(hard.entropy, soft.entropy)


def test_a_piece_has_the_mean_probability_of_its_clips() -> None:
    video = make_labels(predictions(), options=LabelOptions(granularity="video"))
    np.testing.assert_allclose(video.targets, [[0.5, 0.5]], rtol=1e-5)
    halves = make_labels(predictions(), options=LabelOptions(granularity="tsn", segments=2))
    np.testing.assert_allclose(halves.targets, [[0.7, 0.3], [0.3, 0.7]], rtol=1e-5)
    assert halves.ends_us.tolist() == [500_000, 1_000_000]


def test_clusters_put_like_clips_together() -> None:
    made = predictions(embeddings=np.array([A, A, B, B], np.float32))
    labels = make_labels(made, options=LabelOptions(kind="clusters", seed=3))
    assert labels.labels == ("cluster-000", "cluster-001")  # as many as the teacher has classes
    assert labels.best[0] == labels.best[1] != labels.best[2] == labels.best[3]
    np.testing.assert_allclose(labels.confidence, 1, rtol=1e-6)
    assert labels.entropy.tolist() == [0] * 4
    more = make_labels(made, options=LabelOptions(kind="clusters", clusters=3))
    assert len(more.labels) == 3


def test_the_threshold_keeps_what_is_as_confident() -> None:
    labels = make_labels(predictions(), options=LabelOptions(threshold=0.6))
    assert labels.starts_us.tolist() == [300_000, 500_000, 700_000]
    assert labels.record["pieces"] == 4
    with pytest.raises(DatasetError, match=r"threshold 0.95; the most confident one has 0.900"):
        make_labels(predictions(), options=LabelOptions(threshold=0.95))


def test_the_cap_keeps_the_most_confident_of_each_class_and_of_equal_ones_the_first() -> None:
    classes = np.array([0, 0, 1, 0, 1, 1])
    confidence = np.array([0.5, 0.7, 0.6, 0.7, 0.6, 0.6], np.float32)

    def kept(threshold: float, per_class: int | None) -> list[int]:
        return chosen(classes, confidence, threshold=threshold, per_class=per_class).tolist()

    assert kept(0, None) == [0, 1, 2, 3, 4, 5]
    assert kept(0, 1) == [1, 2]
    assert kept(0, 2) == [1, 2, 3, 4]
    assert kept(0.65, 2) == [1, 3]
    assert kept(0.9, 2) == []


def test_what_decided_the_labels_is_on_record() -> None:
    record = make_labels(predictions(), options=LabelOptions(threshold=0.6, seed=4)).record
    assert record["kind"] == "soft"
    assert (record["threshold"], record["seed"], record["clusters"]) == (0.6, 4, None)
    assert (record["teacher"], record["teacher_labels"]) == ("0" * 64, ["jump", "wave"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "sharp"}, "kind is one of soft, hard, clusters, got 'sharp'"),
        ({"granularity": "frame"}, "granularity is one of clip, video, tsn, actionbytes"),
        ({"temperature": 0.0}, "temperature must be from 0.01 to 100, got 0.0"),
        ({"clusters": 1}, "clusters must be from 2"),
        ({"threshold": 1.5}, "threshold must be from 0 to 1"),
        ({"per_class": 0}, "per_class must be from 1"),
    ],
)
def test_values_out_of_range_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LabelOptions(**wrong)
