"""A client of a running server: ``Client("http://127.0.0.1:8000").classify("clip.mp4")``."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from motionfit.inference.errors import MotionfitError
from motionfit.serving.problems import Problem
from motionfit.serving.schemas import AnswerBody, ModelBody

_CHUNK_BYTES = 256 * 1024
_CONNECT_SECONDS = 10.0
_LONGEST_WAIT_SECONDS = 120.0
_Body = TypeVar("_Body", bound=BaseModel)
_Value = str | int | float | None


class ClientError(MotionfitError):
    """Base of what goes wrong between a client and a server."""

    code = "client-error"


class Unreachable(ClientError):
    """There is no server at the address, or the connection broke."""

    code = "server-unreachable"


class UnexpectedAnswer(ClientError):
    """Something answered, but not as a motionfit server does."""

    code = "unexpected-answer"


class ProblemError(ClientError):
    """The server refused, and said why."""

    code = "problem"

    def __init__(self, problem: Problem, *, retry_after_seconds: float | None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds
        """When the server wants to be asked again; None where it does not say."""


class Client:
    """Asks one server. Use as a context manager, or close it. Not for concurrent calls."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_seconds: float = 630.0,
        retries: int = 3,
    ) -> None:
        """``timeout_seconds`` is the longest silence of the server; its default is over the
        server's own deadline for a long video. A refusal that says when to ask again
        (Retry-After) is followed ``retries`` times, 0 for never.
        """
        if retries < 0:
            raise ValueError(f"retries must be at least 0, got {retries}")
        self._retries = retries
        try:
            self._http = httpx.Client(
                base_url=url,
                headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
                timeout=httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS),
            )
        except httpx.InvalidURL as error:
            raise Unreachable(f"{url!r} is not an address: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def classify(
        self,
        video: Path | str | BinaryIO,
        *,
        clips: int | None = None,
        top: int = 5,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        embedding: bool = False,
        timeline: bool = False,
        stride_seconds: float | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> AnswerBody:
        """What is done in a video: a path, or a file open for reading bytes, sent from where it is.

        ``clips``, ``top``, the part of the video, ``embedding`` and ``timeline`` are those of
        ``POST /classify``. ``progress`` is told the bytes sent so far; it starts again at 0 when
        the server asked for another try. A file that cannot seek is sent only once.

        Raises ProblemError, Unreachable or UnexpectedAnswer, and OSError when the file cannot be
        read.
        """
        parameters: dict[str, _Value] = {
            "clips": clips,
            "top": top,
            "start": start_seconds,
            "end": end_seconds,
            "embedding": embedding,
            "timeline": timeline,
            "stride": stride_seconds,
        }
        with _opened(video) as file:
            upload = _Upload(file, progress=progress)
            return self._ask(AnswerBody, "POST", "classify", parameters=parameters, upload=upload)

    def model(self) -> ModelBody:
        """Which model is served. Raises ProblemError, Unreachable or UnexpectedAnswer."""
        return self._ask(ModelBody, "GET", "model")

    def ready(self) -> bool:
        """Whether the server would answer; False as well when there is none."""
        try:
            return self._send("GET", "readyz").status_code == httpx.codes.OK
        except Unreachable:
            return False

    def _ask(
        self,
        kind: type[_Body],
        method: str,
        path: str,
        *,
        parameters: Mapping[str, _Value] | None = None,
        upload: "_Upload | None" = None,
    ) -> _Body:
        retries = self._retries if upload is None or upload.repeatable else 0
        while True:
            response = self._send(method, path, parameters=parameters, upload=upload)
            try:
                return _read(response, kind)
            except ProblemError as error:
                wait_seconds = error.retry_after_seconds
                if retries == 0 or wait_seconds is None or wait_seconds > _LONGEST_WAIT_SECONDS:
                    raise
            retries -= 1
            time.sleep(wait_seconds)

    def _send(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, _Value] | None = None,
        upload: "_Upload | None" = None,
    ) -> httpx.Response:
        content, headers = (None, {}) if upload is None else (upload.chunks(), upload.headers)
        request = self._http.build_request(
            method, path, params=_given(parameters or {}), content=content, headers=headers
        )
        try:
            return self._http.send(request)
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"{self._http.base_url} cannot be reached: {reason}") from error


class _Upload:
    """A file on its way, from where it is, as often as it can be sent."""

    def __init__(self, file: BinaryIO, *, progress: Callable[[int], None] | None) -> None:
        self._file = file
        self._progress = progress
        self._start = file.tell() if file.seekable() else None

    @property
    def repeatable(self) -> bool:
        return self._start is not None

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/octet-stream"}
        if self._start is not None:
            headers["Content-Length"] = str(self._file.seek(0, os.SEEK_END) - self._start)
        return headers

    def chunks(self) -> Iterator[bytes]:
        if self._start is not None:
            self._file.seek(self._start)
        sent = 0
        while chunk := self._file.read(_CHUNK_BYTES):
            yield chunk
            sent += len(chunk)
            if self._progress is not None:
                self._progress(sent)


def _opened(video: Path | str | BinaryIO) -> AbstractContextManager[BinaryIO]:
    return Path(video).open("rb") if isinstance(video, Path | str) else nullcontext(video)


def _given(parameters: Mapping[str, _Value]) -> dict[str, str | int | float]:
    return {
        name: value
        for name, value in parameters.items()
        if value is not None and value is not False
    }


def _read(response: httpx.Response, kind: type[_Body]) -> _Body:
    # A newer server may say more than this client knows.
    try:
        if response.is_success:
            return kind.model_validate_json(response.content, extra="ignore")
        problem = Problem.model_validate_json(response.content, extra="ignore")
    except ValidationError as error:
        raise UnexpectedAnswer(
            f"{response.url} answered with status {response.status_code}, "
            "but not as a motionfit server does; is the address right?"
        ) from error
    raise ProblemError(problem, retry_after_seconds=_retry_after(response.headers))


def _retry_after(headers: httpx.Headers) -> float | None:
    """Retry-After in seconds, which a proxy may also write as a date."""
    text = headers.get("retry-after", "")
    if text.isdecimal():
        return float(text)
    try:
        seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return None
    return max(0.0, seconds)
