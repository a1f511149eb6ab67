"""Makes the README's pictures of the page:  python -m tests.serving.page_pictures

They show the embedded student's answer for the sample clip that  make clip  fetches.
"""

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from tests.serving.conftest import ROOT, serving
from tests.serving.page_browser import chromium, opened

CLIP = ROOT / "build" / "bikes.mp4"
MOMENT_SECONDS = 3.2


def main() -> None:
    with serving() as server, chromium() as browser:
        url = server.wait_ready().url
        wide, narrow = {"width": 1180, "height": 790}, {"width": 400, "height": 860}
        take(browser, url, ROOT / "docs" / "page.png", viewport=wide, color_scheme="light")
        take(browser, url, ROOT / "docs" / "page-dark.png", viewport=narrow, color_scheme="dark")


def take(browser: Browser, url: str, path: Path, **options: object) -> None:
    with opened(browser, url, **options) as page:
        page.locator("#file").set_input_files(CLIP)
        page.locator("#verdict").wait_for()
        player = page.locator("#player")
        player.wait_for()
        player.evaluate("(player, moment) => { player.currentTime = moment }", MOMENT_SECONDS)
        page.wait_for_timeout(1000)
        picture = Image.open(io.BytesIO(page.screenshot()))
    # 256 colours are enough for a page, and a quarter of the bytes.
    picture.convert("RGB").quantize(256).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
