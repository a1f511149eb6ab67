"""What browsers are told not to do with this server's answers."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_PAGE = (
    f"{_NOTHING}; connect-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "script-src 'self'; style-src 'self'"
)
# Swagger UI and ReDoc come from a CDN and start by a script in the document.
_CDN = "https://cdn.jsdelivr.net"
_DOCS = (
    f"{_NOTHING}; connect-src 'self'; img-src 'self' data: https://fastapi.tiangolo.com; "
    f"script-src 'unsafe-inline' {_CDN}; style-src 'unsafe-inline' {_CDN}; worker-src blob:"
)
_DOCUMENTS = frozenset({"/docs", "/docs/oauth2-redirect", "/redoc"})


class SecurityHeaders:
    """ASGI middleware: adds the headers to every response that does not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        added = headers_for(scope["path"])

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def headers_for(path: str | None) -> dict[str, str]:
    """The headers of an answer; ``path`` is None where none was asked for."""
    return _ALWAYS | {"Content-Security-Policy": _NOTHING if path is None else _policy(path)}


def _policy(path: str) -> str:
    if path in _DOCUMENTS:
        return _DOCS
    return _PAGE if path == "/" or path.startswith("/page/") else _NOTHING
