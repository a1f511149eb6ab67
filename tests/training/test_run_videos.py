from pathlib import Path
from typing import Any

import pytest

from motionfit.inference.errors import DatasetError
from motionfit.training.config import read_config
from motionfit.training.run_config import MethodConfig
from motionfit.training.run_videos import read_videos, shared


def config(dataset: Path, **others: Any) -> MethodConfig:
    """A run that labels group g0 of the data set, with these other values of ``others``."""
    values = {
        "data": {"labelled": dataset, "where": ["group=g0"]},
        "others": {"unlabelled": dataset, **others},
    }
    return read_config(None, values, kind=MethodConfig)


def test_the_three_data_sets_may_be_parts_of_one(dataset: Path) -> None:
    videos = read_videos(
        config(dataset, unlabelled_where=["group=g0,g1"], test=dataset, test_where=["group=g2"])
    )
    assert videos.test is not None
    groups = [
        {row.columns["group"] for row in rows}
        for rows in (videos.labelled, videos.unlabelled, videos.test)
    ]
    assert groups == [{"g0"}, {"g0", "g1"}, {"g2"}]
    assert shared(videos.labelled, videos.unlabelled) == tuple(r.name for r in videos.labelled)
    assert shared(videos.test, videos.unlabelled) == ()
    assert read_videos(config(dataset)).test is None


def test_a_video_is_not_tested_on_that_was_learnt_from_with_its_label(dataset: Path) -> None:
    with pytest.raises(DatasetError, match="4 of the 12 test videos are among the labelled ones"):
        read_videos(config(dataset, test=dataset))


def test_a_class_that_nobody_teaches_is_not_tested(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "green.mp4").write_bytes(b"")
    with pytest.raises(DatasetError, match="knows no new; its classes are blue, red"):
        read_videos(config(dataset, test=tmp_path))
