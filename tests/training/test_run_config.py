from pathlib import Path
from typing import Any, get_args

import pytest

from motionfit.training.config import ConfigError, Data, read_config
from motionfit.training.labelling import Kind, LabelOptions
from motionfit.training.run_config import Labels, MethodConfig
from motionfit.training.segments import Granularity

DATA = {"data": {"labelled": "few"}, "others": {"unlabelled": "many", "test": "new"}}


def config(**sections: dict[str, Any]) -> MethodConfig:
    """A configuration of three data sets, with these values: ``train={...}``."""
    values = {name: {**DATA.get(name, {}), **sections.get(name, {})} for name in {*DATA, *sections}}
    return read_config(None, values, kind=MethodConfig)


def test_each_training_gets_the_common_values_and_clips_of_its_own() -> None:
    whole = config(
        stages={
            **{"teacher_clips": 10, "student_clips": 20, "fine_tuning_clips": 30},
            **{"teacher_crop_area": 0.6, "fine_tuning_learning_rate": 0.1},
        },
        train={"learning_rate": 0.5, "seed": 7},
        network={"width": 0.5},
        augment={"flip": False, "crop_area": 0.3},
    )
    teacher = whole.placed_in(Path("run")).for_teacher()
    student = whole.for_student(labels=Path("labels.parquet"))
    fine_tuned, random = whole.for_fit(start=Path("student")), whole.for_fit(start=None)
    trainings = (teacher, student, fine_tuned, random)
    assert [one.train.clips_seen for one in trainings] == [10, 20, 30, 20 + 30]
    assert [one.train.learning_rate for one in trainings] == [0.5, 0.5, 0.1, 0.5]
    assert [one.augment.crop_area for one in trainings] == [0.6, 0.3, 0.3, 0.3]
    assert {one.train.seed for one in trainings} == {7}
    assert not any(one.augment.flip for one in trainings)
    assert teacher.network.width == student.model.width == random.model.width == 0.5
    assert (fine_tuned.model.start, random.model.start) == ("student", None)
    assert (teacher.data, fine_tuned.data) == (whole.data, whole.data)
    assert student.source.unlabelled == Path("many")


def test_each_training_has_its_own_length_and_the_limits_of_any_other() -> None:
    with pytest.raises(ConfigError, match="batch_size: input should be greater than or equal to 2"):
        config(train={"batch_size": 1})
    with pytest.raises(ConfigError, match="epochs is unknown"):
        config(train={"epochs": 1})


def test_labels_can_be_made_as_by_the_stage_itself() -> None:
    values = LabelOptions(**dict(Labels()), seed=0)
    assert values == LabelOptions()
    assert get_args(Labels.model_fields["kind"].annotation) == get_args(Kind)
    assert get_args(Labels.model_fields["granularity"].annotation) == get_args(Granularity)


def test_no_two_sections_share_a_name_so_each_value_has_a_flag() -> None:
    names = [
        name
        for section in MethodConfig.model_fields.values()
        for name in section.annotation.model_fields  # type: ignore[union-attr]
    ]
    assert len(set(names)) == len(names)


def test_there_must_be_videos_to_measure_on() -> None:
    nothing: tuple[dict[str, Any], ...] = ({"hold_out_share": 0}, {"calibration_from": "earlier"})
    for data in nothing:
        with pytest.raises(ConfigError, match="nothing to measure on"):
            config(data=data, others={"test": None})
        config(data=data)  # there are test videos
    config(others={"test": None})  # a share is held out
    config(data={"hold_out_share": 0, "hold_out": ["group=g1"]}, others={"test": None})
    with pytest.raises(ConfigError, match="test_where chooses among the videos of test"):
        config(others={"test": None, "test_where": ["group=g1"]})


def test_published_lists_are_those_of_the_labelled_folder_alone() -> None:
    listed = config(
        data={"labelled": "ucf", "lists": "splits"}, others={"unlabelled": "ucf", "test": "new"}
    )
    assert listed.lists_of(listed.others.unlabelled) == Path("splits")
    assert listed.for_student(labels=Path("l")).source.lists == Path("splits")
    assert listed.lists_of(Path("new")) is None


def test_flow_and_decoded_videos_are_kept_in_the_run_unless_there_is_a_place_for_them() -> None:
    placed = config().placed_in(Path("run"))
    assert (placed.flow.flow, placed.input.cache) == (Path("run/flow"), Path("run/cache"))
    given = config(flow={"flow": "f"}, input={"cache": "c"}).placed_in(Path("run"))
    assert (given.flow.flow, given.input.cache) == (Path("f"), Path("c"))


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    whole = config(labels={"per_class": 9, "kind": "hard"}, train={"ema": 0.5})
    (tmp_path / "config.toml").write_text(whole.to_toml())
    assert read_config(tmp_path / "config.toml", {}, kind=MethodConfig) == whole


def test_no_training_of_a_run_ends_early() -> None:
    """All that are compared see as many clips as the table says."""
    with pytest.raises(ConfigError, match="patience"):
        config(train={"patience": 3})


def test_a_teacher_copies_no_calibration() -> None:
    def data_of(**data: Any) -> Data:
        return config(data=data).placed_in(Path("run")).for_teacher().data

    copied = data_of(calibration_from="earlier")
    assert (copied.calibration_from, copied.holds_out) == (None, False)
    assert data_of(hold_out_share=0.3).hold_out_share == 0.3
