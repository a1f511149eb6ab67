"""The page at ``/`` in Chromium, with a real server behind it."""

import base64
import json
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, Route, expect

from motionfit.serving.edge.key_file import add_key
from motionfit.serving.schemas import AnswerBody
from tests.conftest import wait_until
from tests.serving.conftest import LABELS, SPEC, ServerProcess, colour_graph, colour_video, serving
from tests.serving.page_browser import chromium, coloured_webm, opened
from tests.toy_bundles import write_bundle

RED, GREEN, BLUE, GREY = (250, 0, 0), (0, 250, 0), (0, 0, 250), (120, 120, 120)
THRESHOLD = 0.6
MAX_WINDOWS = 60
MAX_BYTES = 2 * 1024**2
PHONE = {"width": 360, "height": 740}
DROP = """([name, content, kind]) => {
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true })
    : new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def strict_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that says "none of these" of what has no colour."""
    spec = replace(SPEC, abstain_threshold=THRESHOLD)
    folder = tmp_path_factory.mktemp("page") / "bundle"
    return write_bundle(folder, colour_graph(), name="colours", spec=spec, labels=LABELS)


@pytest.fixture(scope="module")
def page_server(strict_bundle: Path) -> Iterator[ServerProcess]:
    settings = strict_bundle.parent / "settings.toml"
    settings.write_text(f"max_windows = {MAX_WINDOWS}\nmax_upload_bytes = {MAX_BYTES}\n")
    with serving("--bundle", strict_bundle, "--config", settings) as running:
        yield running.wait_ready()


@pytest.fixture
def open_page(browser: Browser, page_server: ServerProcess) -> Iterator[Open]:
    contexts = []

    def open_page(**options: Any) -> Page:
        context = opened(browser, options.pop("url", page_server.url), **options)
        contexts.append(context)
        return context.__enter__()

    yield open_page
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.fixture(scope="module")
def two_colours() -> dict[str, Any]:
    """Two seconds of red, then two of blue."""
    content = coloured_webm((RED, 2.0), (BLUE, 2.0))
    return {"name": "two.webm", "mimeType": "video/webm", "buffer": content}


def named(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "", "buffer": content}


def ask(page: Page, video: Any) -> AnswerBody:
    """Choose a video, wait for what the page shows, and give what the server said."""
    page.get_by_label("Choose a video").set_input_files(video)
    verdict(page).wait_for()
    return AnswerBody.model_validate_json(page.evaluate("window.received"))


def verdict(page: Page) -> Any:
    return page.locator("#verdict")


def position(page: Page) -> Any:
    return page.get_by_role("slider", name="Position in the video")


def assert_accessible(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def assert_fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_is_shown_is_what_the_server_said(open_page: Open, real_video: Path) -> None:
    page = open_page()
    answer = ask(page, real_video)
    assert answer.timeline is not None
    expect(verdict(page)).to_have_text(answer.label or "None of these")
    rows = page.get_by_role("list", name="Best classes").get_by_role("listitem")
    shown = [row.split() for row in rows.all_inner_texts()]
    assert [row[0] for row in shown] == [best.label for best in answer.top]
    for row, best in zip(shown, answer.top, strict=True):
        assert float(row[-2]) == pytest.approx(best.score * 100, abs=1.01)
    parts = page.locator("#segments .name").all_inner_texts()
    assert parts == [segment.label for segment in answer.timeline.segments]
    assert page.locator("#timeline rect").count() == len(answer.timeline.windows)
    times = page.get_by_role("table", name="Where the time went")
    total = times.get_by_role("row", name="Server in total").inner_text()
    assert f"{answer.timings_ms.total:.0f}" in total
    video = answer.video
    expect(page.locator("#read")).to_contain_text(f"{video.width}\u00a0×\u00a0{video.height}")
    page.get_by_text("The server's answer as JSON").click()
    expect(page.locator("#raw pre")).to_be_visible()
    expect(page.locator("#raw pre")).to_contain_text("}")
    raw = json.loads(page.locator("#raw pre").inner_text())
    assert AnswerBody.model_validate(raw) == answer


def test_the_timeline_and_the_player_move_together(
    open_page: Open, two_colours: dict[str, Any]
) -> None:
    page = open_page()
    answer = ask(page, two_colours)
    assert [s.label for s in answer.timeline.segments] == ["red", "blue"]  # type: ignore[union-attr]
    expect(page.locator("#player")).to_be_visible()
    expect(position(page)).to_have_attribute("aria-valuetext", re.compile("^0:00.0: red, "))

    page.locator("#player").evaluate("(player) => { player.currentTime = 3 }")
    expect(position(page)).to_have_attribute("aria-valuetext", re.compile("^0:03.0: blue, "))
    expect(page.get_by_role("button", name="blue")).to_have_attribute("aria-current", "true")

    page.get_by_role("button", name="red").click()
    expect(position(page)).to_have_attribute("aria-valuetext", re.compile("^0:00.0: red, "))
    assert page.locator("#player").evaluate("(player) => player.currentTime") == 0

    box = position(page).bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 5)
    expect(page.locator("#now")).to_contain_text("blue")
    seconds = page.locator("#player").evaluate("(player) => player.currentTime")
    assert seconds == pytest.approx(3.0, abs=0.1)

    page.locator("#player").evaluate("(player) => { player.muted = true; player.play() }")
    wait_until(lambda: page.evaluate("Number(document.getElementById('seek').value)") > 3.2)


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_video_can_be_dropped_or_pasted(
    open_page: Open, two_colours: dict[str, Any], kind: str
) -> None:
    page = open_page()
    content = base64.b64encode(two_colours["buffer"]).decode()
    page.evaluate(DROP, ["two.webm", content, kind])
    expect(verdict(page)).to_be_visible()
    assert page.locator("#segments .name").all_inner_texts() == ["red", "blue"]


def test_all_can_be_done_with_the_keyboard(open_page: Open, two_colours: dict[str, Any]) -> None:
    page = open_page()
    expect(page.locator("#known")).to_contain_text("red, green, blue")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="For programs")).to_be_focused()
    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(two_colours)
    expect(verdict(page)).to_be_focused()
    expect(page.get_by_role("status")).to_contain_text("Answered: ")
    expect(page.locator("#player")).to_be_visible()

    position(page).focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    stride = SPEC.clip_seconds / 2
    expect(position(page)).to_have_attribute("aria-valuetext", re.compile(f"^0:0{3 * stride:.1f}"))
    assert page.locator("#player").evaluate("(p) => p.currentTime") == pytest.approx(3 * stride)
    page.keyboard.press("End")
    expect(position(page)).to_have_attribute("aria-valuetext", re.compile("blue"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="red")).to_be_focused()
    page.keyboard.press("Enter")
    expect(position(page)).to_have_attribute("aria-valuetext", re.compile("^0:00.0: red"))


def test_a_file_that_is_no_video_is_explained(open_page: Open) -> None:
    page = open_page()
    page.get_by_label("Choose a video").set_input_files(named("notes.txt", b"only words " * 99))
    expect(page.get_by_role("alert")).to_contain_text("The upload is not a video")
    expect(page.get_by_role("alert")).to_contain_text("MP4")
    expect(page.get_by_role("button", name="Choose another video")).to_be_focused()
    expect(page.locator("#player")).to_be_hidden()
    assert_accessible(page)
    with page.expect_file_chooser():
        page.keyboard.press("Enter")


def test_a_file_that_is_too_large_is_explained(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    film = tmp_path / "film.mp4"
    film.write_bytes(bytes(MAX_BYTES * 8))
    page.get_by_label("Choose a video").set_input_files(film)
    expect(page.get_by_role("alert")).to_contain_text("The upload is too large")
    expect(page.get_by_role("button", name="Choose another video")).to_be_focused()


def test_a_cut_file_is_explained(open_page: Open, real_video: Path) -> None:
    page = open_page()
    content = real_video.read_bytes()[:600]
    page.get_by_label("Choose a video").set_input_files(named("cut.mp4", content))
    expect(page.get_by_role("alert")).to_contain_text("The video cannot be read")
    expect(page.get_by_role("alert")).to_contain_text("damaged or cut off")


def test_a_server_that_is_gone_is_explained_and_asked_again(
    open_page: Open, strict_bundle: Path, two_colours: dict[str, Any]
) -> None:
    with serving("--bundle", strict_bundle) as server:
        url = server.wait_ready().url
        page = open_page(url=url)
        page.wait_for_load_state("networkidle")
        server.stop(signal.SIGKILL)
    page.get_by_label("Choose a video").set_input_files(two_colours)
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
    with serving("--bundle", strict_bundle, "--port", httpx.URL(url).port) as server:
        server.wait_ready()
        page.get_by_role("button", name="Try again").click()
        expect(verdict(page)).to_be_visible()


def test_a_busy_server_is_asked_again_when_it_says(
    open_page: Open, two_colours: dict[str, Any]
) -> None:
    page = open_page()
    page.clock.install()
    asked = []

    def refuse_twice(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > 2:
            route.continue_()
            return
        problem = {"code": "overloaded", "title": "The server is busy", "detail": "32 wait"}
        route.fulfill(status=503, headers={"Retry-After": "60"}, json=problem)

    page.route("**/classify*", refuse_twice)
    page.get_by_label("Choose a video").set_input_files(two_colours)
    expect(page.locator("#countdown")).to_have_text(re.compile(r"Trying again in \d+ s\."))
    expect(page.get_by_role("button", name="Try now")).to_be_focused()
    assert len(asked) == 2
    page.clock.fast_forward(60_000)
    expect(verdict(page)).to_be_visible()
    assert ["timeline" in url for url in asked] == [True, False, True]
    expect(page.locator("#timeline")).to_be_visible()


@pytest.mark.parametrize("status", [503, 504])
def test_a_server_too_busy_for_a_timeline_is_asked_for_a_plain_answer(
    open_page: Open, two_colours: dict[str, Any], status: int
) -> None:
    page = open_page()
    problem = {"code": "any", "title": "The server is busy", "detail": "32 timelines wait"}
    page.route(
        "**/classify?timeline=true", lambda route: route.fulfill(status=status, json=problem)
    )
    page.get_by_label("Choose a video").set_input_files(two_colours)
    expect(verdict(page)).to_be_visible()
    expect(page.locator("#why")).to_contain_text("Without a timeline: 32 timelines wait.")
    expect(page.locator("#timeline")).to_be_hidden()
    expect(page.locator("#problem")).to_be_hidden()


def test_a_key_is_asked_for_and_kept_in_the_tab_alone(
    open_page: Open, strict_bundle: Path, two_colours: dict[str, Any], tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    secret = add_key(keys, name="page", rate=None, concurrency=None, admin=False)
    with serving("--bundle", strict_bundle, "--keys", keys) as server:
        page = open_page(url=server.wait_ready().url)
        expect(page.get_by_role("alert")).to_contain_text("asks for an API key")
        expect(page.get_by_label("API key")).to_be_focused()
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("The key was not accepted")
        assert_accessible(page)
        page.keyboard.type(secret)
        page.keyboard.press("Enter")
        expect(page.locator("#served")).to_contain_text("colours")
        ask(page, two_colours)
        kept = page.evaluate("[Object.values(sessionStorage), localStorage.length]")
        assert kept == [[secret], 0]
        assert page.context.cookies() == []
        page.get_by_role("button", name="Forget it").click()
        assert page.evaluate("sessionStorage.length") == 0


def test_an_upload_can_be_cancelled(open_page: Open, slow_video: Path) -> None:
    page = open_page()
    page.get_by_label("Choose a video").set_input_files(slow_video)
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("Sen")
    with page.expect_event("requestfailed") as failed:
        page.get_by_role("button", name="Cancel").click()
    assert "/classify" in failed.value.url
    expect(page.get_by_role("progressbar")).to_be_hidden()
    expect(page.get_by_role("status")).to_have_text("Cancelled.")
    expect(page.get_by_label("Choose a video")).to_be_focused()


def test_none_of_these_is_explained(open_page: Open) -> None:
    page = open_page()
    answer = ask(page, named("grey.webm", coloured_webm((GREY, 1.0))))
    assert answer.label is None
    expect(verdict(page)).to_have_text("None of these")
    expect(page.locator("#why")).to_contain_text("a name is given from 60 % on")
    expect(page.locator("#segments")).to_contain_text("Nowhere is the model sure enough")
    assert_accessible(page)


def test_a_video_that_the_browser_cannot_play_gets_its_answer(open_page: Open) -> None:
    page = open_page()
    ask(page, named("film.mkv", colour_video(GREEN)))
    expect(page.get_by_text("This browser cannot play mpeg4 in")).to_be_visible()
    expect(page.locator("#player")).to_be_hidden()
    expect(verdict(page)).to_have_text("green")
    position(page).press("End")
    expect(position(page)).to_have_attribute("aria-valuetext", re.compile("^0:01.0: green"))


def test_a_refused_timeline_leaves_a_plain_answer(open_page: Open) -> None:
    page = open_page()
    long = named("long.webm", coloured_webm((RED, SPEC.clip_seconds / 2 * (MAX_WINDOWS + 5))))
    page.get_by_label("Choose a video").set_input_files(long)
    expect(verdict(page)).to_have_text("red")
    expect(page.locator("#why")).to_contain_text("Without a timeline: ")
    expect(page.locator("#timeline")).to_be_hidden()
    expect(page.locator("#player")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE])
def test_it_can_be_read_in_the_dark_and_on_a_phone(
    open_page: Open, two_colours: dict[str, Any], scheme: str, viewport: dict[str, int]
) -> None:
    page = open_page(color_scheme=scheme, viewport=viewport)
    assert_accessible(page)
    assert_fits(page)
    ask(page, two_colours)
    expect(page.locator("#player")).to_be_visible()
    assert_accessible(page)
    assert_fits(page)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
    assert (brightness < 60) == (scheme == "dark")


def test_nothing_moves_for_whom_motion_disturbs(
    open_page: Open, slow_video: Path, two_colours: dict[str, Any]
) -> None:
    page = open_page(reduced_motion="reduce")
    page.get_by_label("Choose a video").set_input_files(slow_video)
    expect(page.get_by_role("heading", name="The server looks at it")).to_be_visible()
    expect(page.locator("progress:not([value])")).to_have_css("appearance", "none")
    page.get_by_role("button", name="Cancel").click()


def test_files_are_asked_for_again_only_when_they_changed(page_server: ServerProcess) -> None:
    with httpx.Client(base_url=page_server.url) as client:
        for path, media_type in (("/", "text/html"), ("/page/page.js", "text/javascript")):
            first = client.get(path)
            assert first.status_code == 200
            assert first.headers["content-type"].startswith(media_type)
            assert first.headers["cache-control"] == "no-cache"
            again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            assert client.head(path).headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("path", ["/page/", "/page/../page.py", "/page/%2e%2e/page.py", "/page/x"])
def test_nothing_but_the_page_is_served(page_server: ServerProcess, path: str) -> None:
    with httpx.Client(base_url=page_server.url) as client:
        assert client.get(path).status_code == 404
