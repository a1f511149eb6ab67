from pathlib import Path

import pytest

from motionfit.inference.errors import SpecError
from motionfit.training.config import Config, ConfigError, Model, read_config

SECTIONS = ("data", "clip", "augment", "input", "model", "train")
LABELLED = {"data": {"labelled": "videos"}}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_file_gives_values_and_the_command_line_counts_before_it(tmp_path: Path) -> None:
    file = write(
        tmp_path / "run.toml",
        '[data]\nlabelled = "videos"\n[train]\nepochs = 5\nseed = 3\n'
        "[train.learning_rate_factors]\nstem = 0.1\n",
    )
    config = read_config(file, {"train": {"epochs": 9}, "clip": {"frames": 16}}, kind=Config)
    assert config.data.labelled == Path("videos")
    assert (config.train.epochs, config.train.seed, config.clip.frames) == (9, 3, 16)
    assert config.train.learning_rate_factors == {"stem": 0.1}
    assert config.train.batch_size == Config.model_validate(LABELLED).train.batch_size


def test_a_section_that_is_no_table_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "run.toml", "train = 3\n")
    for overrides in ({}, {"train": {"epochs": 2}}):
        with pytest.raises(ConfigError, match="train: .*got 3"):
            read_config(file, {**LABELLED, **overrides}, kind=Config)  # type: ignore[dict-item]


def test_what_is_written_reads_back_as_the_same(tmp_path: Path) -> None:
    config = read_config(
        None,
        {
            "data": {"labelled": "videos", "where": ["split=train"], "calibration_from": "run"},
            "train": {"learning_rate": 1 / 3, "learning_rate_factors": {"fc": 10}, "compile": True},
            "model": {"freeze": ["stem", "layer1"], "start": "embedded"},
        },
        kind=Config,
    ).with_absolute_paths()
    assert config.data.labelled == Path.cwd() / "videos"
    assert config.model.start == "embedded"
    assert read_config(write(tmp_path / "again.toml", config.to_toml()), {}, kind=Config) == config


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "data is missing"),
        ({"data": {}}, "data.labelled is missing: give it in the file or as --labelled"),
        ({"date": {}, **LABELLED}, f"date is unknown; the sections are {', '.join(SECTIONS)}"),
        ({**LABELLED, "train": {"epoch": 3}}, "epoch is unknown; the values of train .*epochs"),
        ({**LABELLED, "train": {"epochs": 0}}, "train.epochs: .*greater than or equal to 1, got 0"),
        ({**LABELLED, "train": {"epochs": "many"}}, "train.epochs: .*valid integer.*got 'many'"),
        ({**LABELLED, "train": {"precision": "fp8"}}, "'fp32', 'bf16' or 'fp16', got 'fp8'"),
        ({**LABELLED, "model": {"freeze": ["head"]}}, "model.freeze.0: .*'stem'.* got 'head'"),
        (
            {"data": {"labelled": "a", "hold_out": ["b=c"], "calibration_from": "d"}},
            "data: give hold_out or calibration_from, not both",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    tmp_path: Path, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(None, wrong, kind=Config)  # type: ignore[arg-type]


def test_every_wrong_value_is_named_at_once(tmp_path: Path) -> None:
    file = write(tmp_path / "run.toml", "[train]\nepochs = 0\nbatch = 3\n")
    with pytest.raises(ConfigError) as raised:
        read_config(file, {}, kind=Config)
    text = str(raised.value)
    assert text.startswith(f"{file}: ")
    assert all(part in text for part in ("data is missing", "train.epochs", "train.batch"))


def test_a_file_that_is_absent_or_no_toml_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no configuration at"):
        read_config(tmp_path / "absent.toml", {}, kind=Config)
    with pytest.raises(ConfigError, match=r"broken.toml is not a TOML file: .*line 1"):
        read_config(write(tmp_path / "broken.toml", "epochs: 3"), {}, kind=Config)
    with pytest.raises(ConfigError, match="is not a TOML file"):
        read_config(tmp_path, {}, kind=Config)


def test_a_clip_that_cannot_be_is_refused_by_the_clip_spec() -> None:
    config = read_config(None, {**LABELLED, "clip": {"short_side": 32, "crop": 64}}, kind=Config)
    with pytest.raises(SpecError, match="crop must be an integer from 8 to 32, got 64"):
        config.clip.spec()


def test_a_word_for_starting_weights_is_no_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kinetics", "embedded", "run"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    starts = [Model(start=name).with_absolute_paths().start for name in ("kinetics", "embedded")]
    assert starts == ["kinetics", "embedded"]
    assert Model(start="run").with_absolute_paths().start == str(tmp_path / "run")
