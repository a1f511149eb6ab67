"""What can be set about the server: by a flag, a variable such as ``MOTIONFIT_PORT``, or a file."""

import difflib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from motionfit.inference.backends import Backend, Device
from motionfit.inference.errors import MotionfitError

ENV_PREFIX = "MOTIONFIT_"


class LogFormat(StrEnum):
    """The form of the server's log lines."""

    JSON = "json"
    TEXT = "text"


class SettingsError(MotionfitError, ValueError):
    """A setting is unknown or out of its range, or the settings file cannot be read."""

    code = "bad-settings"


class _SettingsFile(TomlConfigSettingsSource):
    """The TOML file, whose names must be settings."""

    def __init__(self, settings_cls: type[BaseSettings], *, path: Path) -> None:
        try:
            path.open("rb").close()  # the library takes a file that is not there for an empty one
            super().__init__(settings_cls, toml_file=path)
        except (OSError, ValueError) as error:
            raise SettingsError(f"the settings file {path} cannot be read: {error}") from error
        allowed = sorted(set(settings_cls.model_fields) - {"config"})
        for name in self.toml_data:
            if name not in allowed:
                close = difflib.get_close_matches(name, allowed, n=1)
                meant = f" (did you mean {close[0]}?)" if close else ""
                raise SettingsError(
                    f"{path}: there is no setting {name!r}{meant}. "
                    f"Settings are {', '.join(allowed)}"
                )


class Settings(BaseSettings):
    """The server's settings. Arguments win over variables, and these over the TOML file ``config``.

    Raises pydantic's ValidationError when a value is out of its range, SettingsError when the
    file cannot be read or names something else. ``read_settings`` makes one kind of both.
    """

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="forbid")

    config: Path | None = Field(
        None, description="TOML file of settings, named as `motionfit-serve settings` prints."
    )

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every one.")
    port: int = Field(8000, ge=0, le=65535, description="TCP port; 0 takes a free one.")

    bundle: Path | None = Field(
        None, description="Folder of the bundle to serve; the embedded student when left out."
    )
    backend: Backend = Field(Backend.AUTO, description="Runtime that runs the model.")
    device: Device = Field(Device.AUTO, description="Where the model runs.")
    threads: int | None = Field(
        None, ge=1, description="Threads of the model; the runtime decides when left out."
    )
    check_video: Path | None = Field(
        None,
        description="Video that a model must answer before it serves; a made one when left out.",
    )

    queue_size: int = Field(
        32, ge=1, le=10_000, description="Requests that may wait; one more is refused with 503."
    )
    deadline_seconds: float = Field(
        30.0, gt=0, le=3600, description="Seconds from a request's last byte to its answer."
    )
    timeline_deadline_seconds: float = Field(
        600.0, gt=0, le=86_400, description="The same for a request with timeline=true."
    )
    max_batch_clips: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Most clips that the model is given at once; 8 on a CPU and 32 on a GPU when "
        "left out.",
    )
    batch_wait_ms: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="Longest wait of a clip for others; 0 takes what waits when the model is free.",
    )

    decoders: int = Field(
        2,
        ge=1,
        le=64,
        description="Decoding processes: videos decoded at the same time. As many more, and at "
        "least 2, decode timelines.",
    )
    decoder_jobs: int = Field(
        500, ge=1, description="Videos after which a decoding process is replaced."
    )
    decode_timeout_seconds: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="Seconds that decoding one video may take, or 16 windows of a timeline.",
    )
    max_clips: int = Field(16, ge=1, le=64, description="Most clips that one request may ask for.")
    max_windows: int = Field(4096, ge=2, le=1_000_000, description="Most windows of a timeline.")
    max_duration_seconds: float = Field(
        7200.0, gt=0, description="Longest video that is looked at."
    )

    max_upload_bytes: int = Field(
        64 * 1024**2, ge=1, description="Largest request body in bytes, form parts included."
    )
    max_uploads: int = Field(
        64,
        ge=1,
        le=10_000,
        description="Uploads that may be received at the same time; the slowest makes room.",
    )
    max_connections: int = Field(
        2000,
        ge=1,
        le=100_000,
        description="Open connections; for one more the longest idle one is closed, or it is "
        "refused.",
    )
    header_timeout_seconds: float = Field(
        10.0, gt=0, le=3600, description="Seconds that a request's headers may take."
    )
    upload_idle_seconds: float = Field(
        10.0, gt=0, le=3600, description="Longest pause in an upload."
    )
    upload_seconds: float = Field(
        120.0, gt=0, le=86_400, description="Seconds that an upload may take in all."
    )
    response_seconds: float = Field(
        30.0, gt=0, le=3600, description="Seconds that a client may take to read its answer."
    )

    keys: Path | None = Field(
        None,
        description="File of API keys, made by  motionfit-serve key;  no keys when left out.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins whose pages may ask this server (commas between them); none: no CORS.",
    )
    log_format: LogFormat = Field(
        LogFormat.JSON, description="Log lines as JSON objects, or as text for a person."
    )

    _given: dict[str, Any] = PrivateAttr(default_factory=dict)

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._given = given

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then variables, then the file that one of them names."""
        path = (env_settings() | init_settings()).get("config")
        file = (_SettingsFile(settings_cls, path=Path(path)),) if path else ()
        return (init_settings, env_settings, *file)

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    def read_again(self) -> "Settings":
        """The settings as a start with the same arguments would read them now.

        Raises SettingsError.
        """
        return read_settings(**self._given)

    def shown(self) -> dict[str, Any]:
        """All values as JSON takes them. None is a secret: API keys are in a file of hashes."""
        return self.model_dump(mode="json")


def read_settings(**given: Any) -> Settings:
    """The settings; ``given`` wins over variables and the file. Raises SettingsError."""
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(_one_line(error)) from error


def _one_line(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in wrong['loc'])}: {wrong['msg']}, got {wrong['input']!r}"
        for wrong in error.errors()
    )
