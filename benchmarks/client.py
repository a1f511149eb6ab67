"""A plain client: one request after the other, on a connection that stays open."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from motionfit.benchmarks.wire import Address, form_body, form_type


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a server answered."""

    status: int
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        return json.loads(self.body)


class Client:
    """Asks a server. Use as a context manager; outside of it nothing stays open."""

    def __init__(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout_seconds: float = 60.0
    ) -> None:
        """Raises ValueError when ``url`` is no address of a server."""
        self.url = url
        self.address = Address.of(url)
        self.headers = dict(headers or {})
        kind = http.client.HTTPSConnection if self.address.secure else http.client.HTTPConnection
        self._connection = kind(self.address.host, self.address.port, timeout=timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, target: str) -> Reply:
        """Raises OSError when there is no answer."""
        return self._ask("GET", target, None, {})

    def post_video(self, target: str, video: bytes) -> Reply:
        """Post a form with a video. Raises OSError when there is no answer."""
        return self._ask("POST", target, form_body(video), {"Content-Type": form_type()})

    def _ask(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        for last_try in (False, True):
            try:
                self._connection.request(
                    method,
                    self.address.path + target,
                    body=body,
                    headers={**self.headers, **headers},
                )
                response = self._connection.getresponse()
                return Reply(status=response.status, body=response.read())
            except (http.client.HTTPException, OSError) as error:
                self._connection.close()
                # The server may have closed a connection that was idle.
                if last_try or not isinstance(error, ConnectionError):
                    raise OSError(f"{self.url}{target}: {error or type(error).__name__}") from error
        raise AssertionError("two tries end in an answer or an error")
