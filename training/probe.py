"""A linear classifier on frozen embeddings: what a network knows before it is fine-tuned.

Features are standardised with the training videos' mean and deviation, then multinomial logistic
regression with an L2 penalty. How strong the penalty is, is decided on the training videos alone:
their groups are split into folds, and the strength under which most of the held-out videos are
right is taken, the stronger one where two are level. Those details are our choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.model_selection import (  # type: ignore[import-untyped]
    GridSearchCV,
    StratifiedGroupKFold,
)
from sklearn.pipeline import Pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

from motionfit.inference.errors import DatasetError
from motionfit.training.embeddings import Embedded
from motionfit.training.manifest import Row, labels_of
from motionfit.training.row_clusters import clusters_of

CS = tuple(float(c) for c in np.logspace(-5, 2, 15))
"""Inverse strengths of the penalty that are tried, ascending: 0.00001 to 100."""
MOST_FOLDS = 5
MOST_ITERATIONS = 10_000


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A fitted linear classifier."""

    labels: tuple[str, ...]
    """(C,) classes, sorted."""
    c: float
    """The chosen inverse strength of the penalty."""
    folds: int
    """Folds of the training videos on which it was chosen."""
    held_out_top1: float
    """Mean over the folds of the share right, at that strength."""
    classifier: Pipeline

    def scores(self, videos: Embedded) -> NDArray[np.float64]:
        """Class scores (V, C) of videos; each line adds up to 1."""
        return np.asarray(self.classifier.predict_proba(_features(videos)))


def fit_probe(training: Embedded, *, seed: int) -> Probe:
    """Fit a probe; ``seed`` decides the folds.

    Raises DatasetError when there are fewer than two classes, or a class is too small for folds.
    """
    folds = folds_of(training.rows)
    labels = labels_of(training.rows)
    search = GridSearchCV(
        Pipeline(
            [
                ("standardise", StandardScaler()),
                ("classify", LogisticRegression(max_iter=MOST_ITERATIONS)),
            ]
        ),
        {"classify__C": CS},
        cv=StratifiedGroupKFold(folds, shuffle=True, random_state=seed),
        error_score="raise",
    )
    true = np.array([labels.index(row.label) for row in training.rows])
    search.fit(_features(training), true, groups=clusters_of(training.rows))
    return Probe(
        labels=labels,
        c=float(search.best_params_["classify__C"]),
        folds=folds,
        held_out_top1=float(search.best_score_),
        classifier=search.best_estimator_,
    )


def folds_of(rows: Sequence[Row]) -> int:
    """How many folds leave every class groups to train on: at most 5.

    Raises DatasetError when that is not even two, or there is only one class.
    """
    clusters = clusters_of(rows)
    counts = {
        label: len({int(c) for row, c in zip(rows, clusters, strict=True) if row.label == label})
        for label in labels_of(rows)
    }
    if len(counts) < 2:
        raise DatasetError(f"a probe tells classes apart, got only {', '.join(counts)}")
    if small := [label for label, count in counts.items() if count < 2]:
        raise DatasetError(
            f"{', '.join(small)} has one group of training videos: a probe needs two of each "
            "class, one to learn from and one to choose the strength of its penalty on"
        )
    return min(MOST_FOLDS, *counts.values())


def _features(videos: Embedded) -> NDArray[np.float64]:
    return videos.embeddings.astype(np.float64)
