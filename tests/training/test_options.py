import re
from collections.abc import Mapping
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from motionfit.training.config import Config, RunConfig, read_config
from motionfit.training.options import with_config_options
from motionfit.training.stage_config import StudentConfig

FLAGS = {
    name
    for section in Config.model_fields.values()
    for name in section.annotation.model_fields  # type: ignore[union-attr]
}


def overrides_of(
    *arguments: str, kind: type[RunConfig] = Config
) -> Mapping[str, Mapping[str, Any]]:
    """What a command with the flags gets for ``arguments``; an error of use raises."""
    app, got = typer.Typer(), []

    @app.command()
    @with_config_options(kind)
    def command(overrides: Mapping[str, Mapping[str, Any]], plain: int = 1) -> None:
        """A command."""
        got.append(overrides)

    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
    if done.exit_code == 2:
        raise typer.BadParameter(done.output)
    if done.exception:
        raise done.exception
    return got[0] if got else {"help": {"text": done.output}}


def test_every_value_of_the_configuration_has_a_flag_of_its_name_with_its_default() -> None:
    shown = " ".join(overrides_of("--help")["help"]["text"].split())
    found = {flag.replace("-", "_") for flag in re.findall(r"--([a-z-]+)", shown)}
    assert found >= FLAGS
    assert "Default: 100." in shown
    assert "Default: on." in shown


def test_only_what_was_given_overrides_and_lands_in_its_section() -> None:
    assert overrides_of() == {}
    given = overrides_of(
        "--epochs", "5", "--learning-rate", "0.5", "--no-flip", "--where", "a=b", "--where", "c=d",
        "--labelled", "videos", "--freeze", "stem", "--learning-rate-factors", "layer1=0.1",
        "--precision", "bf16", "--compile", "--hold-out-share", "0",
    )  # fmt: skip
    config = read_config(None, given, kind=Config)
    assert {section: set(values) for section, values in given.items()} == {
        "train": {"epochs", "learning_rate", "learning_rate_factors", "precision", "compile"},
        "augment": {"flip"},
        "data": {"where", "labelled", "hold_out_share"},
        "model": {"freeze"},
    }
    assert (config.train.epochs, config.train.learning_rate, config.train.compile) == (5, 0.5, True)
    assert config.train.learning_rate_factors == {"layer1": 0.1}
    assert config.data.where == ("a=b", "c=d")
    assert (config.augment.flip, config.data.hold_out_share) == (False, 0)


def test_a_value_of_two_words_is_switched_off_with_dashes() -> None:
    given = overrides_of("--no-cross-entropy", kind=StudentConfig)
    assert given == {"match": {"cross_entropy": False}}


@pytest.mark.parametrize(
    "arguments",
    [["--epochs", "0"], ["--epochs", "x"], ["--precision", "fp8"], ["--no-such", "1"]],
)
def test_a_flag_out_of_range_is_wrong_use(arguments: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        overrides_of(*arguments)


def test_a_factor_is_written_as_part_and_number() -> None:
    with pytest.raises(Exception, match="--learning-rate-factors is written name=value, got 'fc'"):
        overrides_of("--learning-rate-factors", "fc")
