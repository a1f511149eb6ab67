"""From the logits of clips to the answer for a video."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from motionfit.inference.clip import ClipSpec
from motionfit.inference.prediction import predict, video_scores

LABELS = ("walk", "run", "jump")
LOGITS = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 1.0, 0.5]], np.float32)


def spec(*, temperature: float = 1.0, abstain_threshold: float = 0.0) -> ClipSpec:
    return ClipSpec(
        num_frames=8,
        frame_rate=10.0,
        short_side=72,
        crop=64,
        temperature=temperature,
        abstain_threshold=abstain_threshold,
    )


def by_hand(logits: list[list[float]], temperature: float) -> list[float]:
    clips = []
    for row in logits:
        powers = [math.exp(value / temperature) for value in row]
        clips.append([power / sum(powers) for power in powers])
    return [sum(column) / len(clips) for column in zip(*clips, strict=True)]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_scores_are_the_mean_of_each_clips_softmax(temperature: float) -> None:
    expected = by_hand(LOGITS.tolist(), temperature)
    np.testing.assert_allclose(video_scores(LOGITS, temperature=temperature), expected, rtol=1e-12)
    answer = predict(LOGITS, spec=spec(temperature=temperature), labels=LABELS, top=3)
    assert {best.label: best.score for best in answer.top} == pytest.approx(
        dict(zip(LABELS, expected, strict=True))
    )


def test_probabilities_are_averaged_and_not_logits() -> None:
    # One sure clip against two unsure ones: the mean of the logits would say "walk".
    logits = np.array([[9.0, 0.0], [0.0, 2.0], [0.0, 2.0]], np.float32)
    assert logits.mean(axis=0).argmax() == 0
    assert predict(logits, spec=spec(), labels=("walk", "run"), top=1).label == "run"


@settings(derandomize=True, deadline=None)
@given(
    arrays(np.float32, (3, 4), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    st.floats(0.01, 100),
)
def test_scores_of_any_logits_are_probabilities(
    logits: np.ndarray[tuple[int, int], np.dtype[np.float32]], temperature: float
) -> None:
    scores = video_scores(logits, temperature=temperature)
    assert scores.min() >= 0
    assert scores.sum() == pytest.approx(1)


def test_the_best_come_first_and_equal_ones_in_the_order_of_the_labels() -> None:
    # So many that a sort which may swap equal ones does.
    labels = tuple(f"class {number:03}" for number in range(300))
    logits = np.array([[float(number % 3 == 1) for number in range(300)]], np.float32)
    answer = predict(logits, spec=spec(), labels=labels, top=300)
    expected = [*labels[1::3], *(label for i, label in enumerate(labels) if i % 3 != 1)]
    assert [best.label for best in answer.top] == expected


@pytest.mark.parametrize(("top", "named"), [(1, 1), (2, 2), (3, 3), (1000, 3)])
def test_top_names_as_many_classes_as_there_are(top: int, named: int) -> None:
    answer = predict(LOGITS, spec=spec(), labels=LABELS, top=top)
    assert len(answer.top) == named
    assert answer.label == answer.top[0].label == "run"


@pytest.mark.parametrize("top", [0, -1])
def test_top_under_one_is_refused(top: int) -> None:
    with pytest.raises(ValueError, match=f"top must be at least 1, got {top}"):
        predict(LOGITS, spec=spec(), labels=LABELS, top=top)


def test_a_best_score_under_the_threshold_is_none_of_these() -> None:
    best = max(by_hand(LOGITS.tolist(), 1.0))
    above = predict(LOGITS, spec=spec(abstain_threshold=best + 1e-6), labels=LABELS, top=2)
    assert above.label is None
    assert [score.label for score in above.top] == ["run", "walk"]
    below = predict(LOGITS, spec=spec(abstain_threshold=best - 1e-6), labels=LABELS, top=2)
    assert below.label == "run"
    assert below.top == above.top
