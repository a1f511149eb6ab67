"""The configuration of a training run: one TOML file of typed, checked values.

    [data]
    labelled = "videos"
    [train]
    epochs = 100

Every value can also be given on the command line, by a flag of its own name (``--epochs 100``),
which then counts. Unknown keys and values out of range are errors. Paths are relative to the folder
in which the command runs. Importing this file does not import torch.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import MotionfitError

PARTS = ("stem", "layer1", "layer2", "layer3", "layer4", "fc")
"""The parts of R(2+1)D that can be frozen or given a learning rate, from input to output."""

EMBEDDED, KINETICS = "embedded", "kinetics"
"""Words that name weights to start from, in the place of a path."""

Part = Literal["stem", "layer1", "layer2", "layer3", "layer4", "fc"]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=1000)]


class ConfigError(MotionfitError):
    """A configuration cannot be read, or does not say what it must."""

    code = "bad-config"


class Section(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def with_absolute_paths(self) -> Self:
        """The same, however the folder in which the command runs is called later."""
        return self.model_copy(
            update={name: value.absolute() for name, value in self if isinstance(value, Path)}
        )

    def record(self) -> dict[str, Any]:
        """All values that are given, as JSON values; each path cut down to its last part."""
        return {
            name: value.resolve().name if isinstance(value, Path) else value
            for name, value in self.model_dump(exclude_none=True).items()
        }


class Data(Section):
    """Which videos are trained on, and which are kept to measure on."""

    labelled: Path = Field(
        description="Data set: a folder with one sub-folder of videos per class, or a CSV with the "
        "columns path (relative to the CSV) and label, or a folder with such a metadata.csv."
    )
    lists: Path | None = Field(
        default=None,
        description="Published lists for the videos in that folder: UCF101's or HMDB51's folder of "
        "split files (columns group, split1, split2, split3), or a Kinetics CSV (column split).",
    )
    where: tuple[str, ...] = Field(
        default=(),
        description="Use only these videos, as column=value[,value]. Repeatable: all hold.",
    )
    hold_out: tuple[str, ...] = Field(
        default=(),
        description="Of those, keep these from training, to measure and calibrate on: "
        "column=value[,value]. Repeatable: all hold.",
    )
    hold_out_share: Annotated[float, Field(ge=0, le=0.9)] = Field(
        default=0.2,
        description="Without --hold-out: keep about this share of each class from training, groups "
        "(column group) whole; 0 trains on all.",
    )
    calibration_from: Path | None = Field(
        default=None,
        description="Train on all videos, and copy score temperature and abstain threshold from "
        "this earlier run, which held some out.",
    )

    @model_validator(mode="after")
    def _one_source_of_calibration(self) -> Self:
        if self.hold_out and self.calibration_from is not None:
            raise ValueError("give hold_out or calibration_from, not both")
        return self

    @property
    def holds_out(self) -> bool:
        """Whether videos are kept from training."""
        share = self.hold_out_share if self.calibration_from is None else 0
        return bool(self.hold_out or share)


class Clip(Section):
    """What the network sees as one clip."""

    frames: int = Field(default=8, ge=1, le=256, description="Frames of a clip.")
    frame_rate: float = Field(
        default=10.0, ge=0.01, le=240, description="Frames taken per second of video time."
    )
    short_side: int = Field(
        default=72, ge=8, le=2048, description="Short side, in pixels, that frames are scaled to."
    )
    crop: int = Field(
        default=64, ge=8, le=2048, description="Side, in pixels, of the square that is seen."
    )
    clips: int = Field(
        default=4, ge=1, le=64, description="Clips spread over a video when it is recognised."
    )

    def spec(self) -> ClipSpec:
        """The ClipSpec that the run makes its clips by. Raises SpecError."""
        return ClipSpec(
            num_frames=self.frames,
            frame_rate=self.frame_rate,
            short_side=self.short_side,
            crop=self.crop,
            num_clips=self.clips,
        )


class Augment(Section):
    """How a training clip is changed at random, all its frames alike."""

    rate_jitter: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.2, description="Largest change of the sampling rate, as a share of it."
    )
    crop_area: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.25, description="Smallest share of the picture that a random crop covers."
    )
    flip: bool = Field(
        default=True,
        description="Mirror half of the clips; turn it off where left and right mean different "
        "classes.",
    )
    brightness: Share = Field(default=0.4, description="Largest change of brightness.")
    contrast: Share = Field(default=0.4, description="Largest change of contrast.")
    saturation: Share = Field(default=0.4, description="Largest change of saturation.")
    grayscale: Share = Field(default=0.1, description="Share of the clips shown without colour.")


class Input(Section):
    """How videos reach the training loop."""

    cache: Path | None = Field(
        default=None,
        description="Keep decoded videos in this folder, for later runs too. Without it they are "
        "kept in memory for this run.",
    )
    cache_gb: Annotated[float, Field(ge=0)] = Field(
        default=8.0,
        description="At most so many gigabytes of decoded video; what does not fit is decoded "
        "anew each time.",
    )
    workers: int = Field(default=1, ge=0, le=64, description="Processes that make clips.")


class Model(Section):
    """The network and where its weights start."""

    width: Annotated[float, Field(ge=0.05, le=2)] = Field(
        default=0.25,
        description="Multiplies all channel counts of R(2+1)D-18. Starting weights decide it, if "
        "there are any.",
    )
    start: str | None = Field(
        default=None,
        description="Start from these weights: 'embedded' (the student that ships with motionfit), "
        "'kinetics' (torchvision's R(2+1)D-18), or the path of a run, a checkpoint or a bundle. "
        "The last layer is new when the classes differ.",
    )
    freeze: tuple[Part, ...] = Field(
        default=(),
        description="Leave this part of the network as it is, its batch norm statistics too: "
        f"{', '.join(PARTS[:-1])} or {PARTS[-1]}. Repeatable.",
    )

    def with_absolute_paths(self) -> Self:
        """As ``Section.with_absolute_paths``; a start may be a path or a word."""
        if self.start in (None, EMBEDDED, KINETICS) or not Path(self.start).exists():
            return self
        return self.model_copy(update={"start": str(Path(self.start).absolute())})

    def record(self) -> dict[str, Any]:
        """As ``Section.record``."""
        return super().record() | ({"start": Path(self.start).name} if self.start else {})


class Recipe(Section):
    """Optimisation, but for its length."""

    batch_size: int = Field(default=16, ge=2, description="Clips a forward pass, on each process.")
    accumulate: int = Field(
        default=1, ge=1, description="Forward passes whose gradients make one step."
    )
    optimizer: Literal["adamw", "sgd"] = Field(
        default="adamw", description="AdamW, or SGD with Nesterov momentum 0.9."
    )
    learning_rate: float = Field(
        default=1.5e-3, gt=0, description="At its highest, after the warm-up."
    )
    learning_rate_factors: dict[Part, Factor] = Field(
        default={},
        description="Multiplies the learning rate of a part, as part=factor, such as layer1=0.1. "
        "Repeatable.",
    )
    warmup: Share = Field(
        default=0.1, description="Share of the steps in which the learning rate rises."
    )
    weight_decay: float = Field(
        default=0.05, ge=0, description="Biases and batch norms are spared."
    )
    clip_norm: float = Field(
        default=0.0, ge=0, description="Gradients are scaled down to this norm; 0: never."
    )
    label_smoothing: Annotated[float, Field(ge=0, le=0.9)] = Field(
        default=0.1, description="Share of the target spread over all classes."
    )
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="Decay of the exponential moving average of the weights, which is then what is "
        "measured and saved; 0: none.",
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        default="fp32",
        description="Of the network's arithmetic while training; fp16 needs a GPU, and bf16 one or "
        "a processor with AVX-512 or newer instructions.",
    )
    compile: bool = Field(
        default=False, description="Train through torch.compile: faster, needs a C++ compiler."
    )
    evaluations: int = Field(
        default=10, ge=1, description="How often in a run the held-out videos are looked at."
    )
    save_minutes: Annotated[float, Field(gt=0)] = Field(
        default=10.0, description="Minutes between two savings of what --resume goes on from."
    )
    seed: int = Field(default=0, ge=0, description="Decides every random number.")


class Train(Recipe):
    """Optimisation."""

    epochs: int = Field(
        default=100, ge=1, description="Passes over the videos, one random clip of each a pass."
    )
    clips_seen: int = Field(
        default=0,
        ge=0,
        description="Stop after so many clips in place of --epochs; 0: --epochs decides.",
    )
    patience: int = Field(
        default=0,
        ge=0,
        description="Stop after so many looks at the held-out videos without a better accuracy, "
        "and keep the best weights seen; 0: train to the end and keep the last.",
    )


def check_patience(train: Train, *, holds_out: bool) -> None:
    """Raise ValueError when a training would wait for an accuracy that nothing measures."""
    if train.patience and not holds_out:
        raise ValueError(
            "patience looks at the accuracy on held-out videos, and none are held out here: leave "
            "it away"
        )


class RunConfig(Section):
    """All of a run: its fields are sections, no two of which share a name of a value."""

    def to_json(self) -> dict[str, Any]:
        """Sections and values as JSON values; what is None is left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_toml(self) -> str:
        """The whole configuration as a TOML file that ``read_config`` reads."""
        return tomli_w.dumps(self.to_json())

    def with_absolute_paths(self) -> Self:
        """As ``Section.with_absolute_paths``, of each section."""
        return self.model_copy(
            update={name: section.with_absolute_paths() for name, section in self}
        )

    def record(self) -> dict[str, Any]:
        """As ``Section.record``, of each section."""
        return {name: section.record() for name, section in self}


class Config(RunConfig):
    """All of a run of ``motionfit-train fit``."""

    data: Data
    clip: Clip = Clip()
    augment: Augment = Augment()
    input: Input = Input()
    model: Model = Model()
    train: Train = Train()

    @model_validator(mode="after")
    def _patience_has_an_accuracy(self) -> Self:
        check_patience(self.train, holds_out=self.data.holds_out)
        return self


C = TypeVar("C", bound=RunConfig)


def read_config(
    file: Path | None, overrides: Mapping[str, Mapping[str, Any]], *, kind: type[C]
) -> C:
    """The configuration of ``file`` (None: defaults), with ``overrides`` by section and name.

    Raises ConfigError, which names each wrong value, what was got and what is allowed.
    """
    values = {} if file is None else _tables(file)
    for section, changed in overrides.items():
        table = values.setdefault(section, {})
        if isinstance(table, dict):
            table.update(changed)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        where = "the configuration" if file is None else str(file)
        sentences = (_sentence(one, kind=kind) for one in error.errors())
        raise ConfigError(f"{where}: " + "; ".join(sentences)) from None


def _tables(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no configuration at {file}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{file} is not a TOML file: {error}") from error


def _sentence(error: Any, *, kind: type[RunConfig]) -> str:
    place = ".".join(map(str, error["loc"]))
    match error["type"]:
        case "missing":
            return f"{place} is missing: give it in the file or as --{place.rpartition('.')[2]}"
        case "extra_forbidden":
            return f"{place} is unknown; {_known(error['loc'][:-1], kind=kind)}"
        case "value_error":
            return f"{place}: {error['ctx']['error']}".removeprefix(": ")  # of the whole
    return f"{place}: {error['msg'][0].lower()}{error['msg'][1:]}, got {error['input']!r}"


def _known(section: tuple[str | int, ...], *, kind: type[RunConfig]) -> str:
    if not section:
        return f"the sections are {', '.join(kind.model_fields)}"
    fields = kind.model_fields[str(section[0])].annotation
    assert fields is not None
    return f"the values of {section[0]} are {', '.join(fields.model_fields)}"
