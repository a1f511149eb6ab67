"""The videos that a run of MotionFit is about, read and checked before hours of work."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from motionfit.inference.errors import DatasetError
from motionfit.training.manifest import Row, labels_of, matching, parse_filter, read_dataset
from motionfit.training.run_config import MethodConfig
from motionfit.training.unlabelled import read_unlabelled
from motionfit.training.watching import check_labels


@dataclass(frozen=True, kw_only=True)
class Videos:
    """The three data sets of a run."""

    labelled: tuple[Row, ...]
    """Those held out are among them."""
    unlabelled: tuple[Row, ...]
    """With their true labels where they are known, for reports alone."""
    test: tuple[Row, ...] | None
    """None: those held out are measured on."""


def read_videos(config: MethodConfig) -> Videos:
    """The videos that the configuration names.

    Raises DatasetError when a test video is among the labelled ones, or shows a class of its own.
    """
    data, others = config.data, config.others
    labelled = matching(
        read_dataset(data.labelled, lists=data.lists).rows, map(parse_filter, data.where)
    )
    unlabelled = read_unlabelled(
        others.unlabelled,
        lists=config.lists_of(others.unlabelled),
        where=map(parse_filter, others.unlabelled_where),
    )
    test = None
    if others.test is not None:
        dataset = read_dataset(others.test, lists=config.lists_of(others.test))
        test = matching(dataset.rows, map(parse_filter, others.test_where))
        check_labels(test, labels=labels_of(labelled))
        if both := shared(test, labelled):
            raise DatasetError(
                f"{len(both)} of the {len(test)} test videos are among the labelled ones, such as "
                f"{both[0]}: choose test videos that nothing is trained on"
            )
    return Videos(labelled=labelled, unlabelled=unlabelled, test=test)


def shared(rows: Sequence[Row], others: Iterable[Row]) -> tuple[str, ...]:
    """The names of the ``rows`` whose file is also one of ``others``."""
    files = {row.path.resolve() for row in others}
    return tuple(row.name for row in rows if row.path.resolve() in files)
