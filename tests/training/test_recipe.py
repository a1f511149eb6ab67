from pathlib import Path

from motionfit.training.config import Config, Data
from motionfit.training.recipe import recipe_of
from motionfit.training.stage_config import (
    Flow,
    Source,
    StudentConfig,
    TeacherConfig,
)

FEW = Data(labelled=Path("few"))
MANY = Source(labels=Path("labels.parquet"), unlabelled=Path("many"))


def test_a_network_of_each_stage_has_a_recipe_without_its_videos() -> None:
    for config, sections in (
        (Config(data=FEW), {"clip", "augment", "model", "train"}),
        (
            TeacherConfig(data=FEW, flow=Flow(flow=Path("flow"))),
            {"clip", "augment", "teacher", "network", "train"},
        ),
        (StudentConfig(source=MANY), {"augment", "model", "train"}),
    ):
        recipe = recipe_of({"configuration": config.record()})
        assert recipe is not None
        assert set(recipe) == sections


def test_a_network_that_does_not_say_how_it_was_trained_has_none() -> None:
    assert recipe_of({}) is None
