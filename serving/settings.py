"""What can be set about the server: by a flag, or by a variable such as ``MOTIONFIT_PORT``."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from motionfit.inference.backends import Backend, Device

ENV_PREFIX = "MOTIONFIT_"


class Settings(BaseSettings):
    """The server's settings. Arguments win over environment variables.

    Raises pydantic's ValidationError when a value is out of its range.
    """

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True)

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
    max_upload_bytes: int = Field(
        64 * 1024**2, ge=1, description="Largest request body in bytes, form parts included."
    )
    decode_timeout_seconds: float = Field(
        10.0, gt=0, le=3600, description="Seconds that decoding one video may take."
    )
    decoders: int = Field(
        2, ge=1, le=64, description="Decoding processes: videos decoded at the same time."
    )
    max_clips: int = Field(16, ge=1, le=64, description="Most clips that one request may ask for.")
