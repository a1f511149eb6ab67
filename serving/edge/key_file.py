"""The file of API keys: their hashes, with what each key may do."""

import fcntl
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from limits import RateLimitItem, parse_many
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from motionfit.inference.errors import MotionfitError
from motionfit.serving.edge.logs import KEY_PREFIX

_KEY_BYTES = 32


class KeyFileError(MotionfitError):
    """The file of API keys cannot be read, is damaged, or cannot take what is to be added."""

    code = "bad-key-file"


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Key(_Form):
    """What the server knows of an API key: not the key, but its hash."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    rate: str | None = None
    """Most requests in a time, such as ``60/minute``; None: as many as come."""
    concurrency: int | None = Field(default=None, ge=1)
    """Most requests at the same time; None: as many as come."""
    admin: bool = False
    """Whether it may also reload the model."""

    @field_validator("rate")
    @classmethod
    def _is_a_rate(cls, value: str | None) -> str | None:
        if value is not None:
            rate_of(value)
        return value


class KeyFile(_Form):
    """All keys, as they lie on the disk."""

    format: int = Field(default=1, ge=1, le=1)
    keys: tuple[Key, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """The keys of a file. Raises KeyFileError."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise KeyFileError(
                f"the key file {path} cannot be read: {error.strerror}. "
                "Make it with  motionfit-serve key NAME --keys FILE"
            ) from error
        except ValidationError as error:
            raise KeyFileError(f"the key file {path} is damaged: {_first(error)}") from error

    def write(self, path: Path) -> None:
        """Replace the file as a whole; only its owner may read it. Raises OSError."""
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".keys-", delete=False) as f:
            try:
                f.write(self.model_dump_json(indent=2) + "\n")
                f.flush()
                os.fsync(f.fileno())
                Path(f.name).replace(path)
            except BaseException:
                Path(f.name).unlink()
                raise

    def find(self, key: str) -> Key | None:
        """Whose key it is. All hashes are compared, so that time says nothing about any."""
        digest, found = _hash(key), None
        for known in self.keys:
            if hmac.compare_digest(known.sha256, digest):
                found = known
        return found


def add_key(
    path: Path, *, name: str, rate: str | None, concurrency: int | None, admin: bool
) -> str:
    """Make a key and write its hash into the file, which is made where there is none. The key.

    Raises KeyFileError, also where the name is taken.
    """
    key = KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    try:
        made = Key(name=name, sha256=_hash(key), rate=rate, concurrency=concurrency, admin=admin)
    except ValidationError as error:
        raise KeyFileError(f"no key was made: {_first(error)}") from error
    with _locked(path.parent):
        file = KeyFile.read(path) if path.exists() else KeyFile()
        if any(known.name == name for known in file.keys):
            raise KeyFileError(
                f"{path} has a key {name!r} already: choose another name, or --remove it first"
            )
        KeyFile(keys=(*file.keys, made)).write(path)
    return key


def remove_key(path: Path, *, name: str) -> None:
    """Take a key out of the file. Raises KeyFileError where it holds none of that name."""
    with _locked(path.parent):
        file = KeyFile.read(path)
        kept = tuple(key for key in file.keys if key.name != name)
        if len(kept) == len(file.keys):
            names = ", ".join(key.name for key in file.keys) or "none"
            raise KeyFileError(f"{path} has no key {name!r}; it has {names}")
        KeyFile(keys=kept).write(path)


def rate_of(text: str) -> RateLimitItem:
    """``60/minute`` or ``5 per 10 seconds``, parsed. Raises ValueError."""
    rates = parse_many(text)
    if len(rates) != 1 or rates[0].amount < 1:
        raise ValueError(f"{text!r} is not one rate of at least 1; write it as 60/minute")
    return rates[0]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone with a folder among those who ask for it, so that no key gets lost."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _hash(key: str) -> str:
    # A key is 32 random bytes. Slow hashes are for what people make up.
    return hashlib.sha256(key.encode()).hexdigest()


def _first(error: ValidationError) -> str:
    wrong = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, wrong['loc'])) or 'the file'}: {wrong['msg']}"
