"""Chromium for the tests of the page, and the videos that they show."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)
# What the page does is not changed by this: it is only told.
_WATCH = """
addEventListener("securitypolicyviolation", (event) => console.error("CSP: " + event.blockedURI));
const { send } = XMLHttpRequest.prototype;
XMLHttpRequest.prototype.send = function (body) {
  this.addEventListener("load", () => { window.received = this.responseText; });
  send.call(this, body);
};
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's browser, without a window. Skips where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser here: none of {', '.join(NAMES)} is installed")
    with sync_playwright() as playwright:
        # Root, as which CI runs, has no sandbox.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Seen:
    """What a page did that a person does not see."""

    requests: list[str] = field(default_factory=list)
    """URLs"""
    errors: list[str] = field(default_factory=list)
    """Of the console, of the page's code, and of its content security policy."""

    def watch(self, page: Page) -> None:
        page.add_init_script(_WATCH)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self._add(message.text))

    def _add(self, text: str) -> None:
        # The browser itself writes this one about every refusal.
        if not text.startswith("Failed to load resource"):
            self.errors.append(text)


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """A new page at ``url``. Fails when it asked another server, or wrote an error."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_MS)
    page, seen = context.new_page(), Seen()
    seen.watch(page)
    # From now on the tests are asked for a file: begun with the key that opens it, it may be late.
    page.on("filechooser", lambda _: None)
    page.goto(url)
    page.wait_for_load_state()
    yield page
    context.close()
    assert seen.errors == []
    assert [sent for sent in seen.requests if not sent.startswith((url, f"blob:{url}"))] == []


def coloured_webm(*parts: tuple[tuple[int, int, int], float]) -> bytes:
    """A WebM that Chromium plays: pictures of one colour (R, G, B), each for some seconds."""
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=10, options={"deadline": "realtime"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for colour, seconds in parts:
            picture = np.full((64, 64, 3), colour, np.uint8)
            for _ in range(round(seconds * 10)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()
