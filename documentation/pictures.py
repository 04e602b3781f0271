"""The README's pictures, taken from a finished report in a browser: its opening page, and an exhibit that plays.

    python -m documentation.pictures results/from-reference/report PAPER.EXHIBIT

writes `docs/report.png` and `docs/exhibit.webp`. The exhibit is one that is stepped through: it has a strip of images, the buttons Back and
Next, and a sentence that begins with the place, such as `Glimpse 2 of 4:`. It needs Chromium, as the browser tests do.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from replications.errors import InputError, ReplicationError
from replications.paths import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPENING, ANIMATION = ROOT / "docs" / "report.png", ROOT / "docs" / "exhibit.webp"
WIDTH, HEIGHT = 1280, 900
"""Window of the opening page, in pixels."""

NARROW, LOW = 720, 600
"""Window of the exhibit: its picture, the probabilities and the sentence below them."""

IMAGES, STEP, END = 3, 650, 1800
"""Images that are played, and milliseconds for a step and for the last one of an image."""

PATIENCE = 240_000
"""Milliseconds within which a page is there, also on a machine that is busy with trainings."""

LARGEST = 1_000_000
"""Bytes of the animation, which a README loads at once."""


def main(arguments: list[str]) -> None:
    """Write both pictures.

    Args:
        arguments: of the command line: the folder of a report, and an exhibit.

    Raises:
        InputError: something else is given, or there is no such exhibit.
        ReplicationError: there is no browser, or the animation is too large.
    """
    if len(arguments) != 2:
        raise InputError("Give the folder of a report and an exhibit: results/from-reference/report PAPER.EXHIBIT")
    report, exhibit = Path(arguments[0]).resolve(), Path("exhibits") / f"{arguments[1]}.html"
    if not (report / exhibit).is_file():
        raise InputError(f"{report} has no {exhibit}: run `make report SOURCE=reference` first, or correct the name.")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise ReplicationError("No browser on this machine: `apt-get install chromium`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.set_default_timeout(PATIENCE)
        page.goto((report / "index.html").as_uri())
        page.wait_for_function("[...document.images].slice(0, 4).every((image) => image.complete)")
        small = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(255, dither=Image.Dither.NONE)
        small.save(OPENING, optimize=True)
        page.set_viewport_size({"width": NARROW, "height": LOW})
        page.goto((report / exhibit).as_uri())
        frames, times = play(page)
        browser.close()
    frames[0].save(ANIMATION, save_all=True, append_images=frames[1:], duration=times, loop=0, quality=70, method=6)
    if ANIMATION.stat().st_size > LARGEST:
        raise ReplicationError(f"{ANIMATION} has {ANIMATION.stat().st_size:,} bytes, more than {LARGEST:,}: play fewer images.")
    print(OPENING, ANIMATION, sep="\n")


def play(page: Page) -> tuple[list[Image.Image], list[int]]:
    """Return pictures of an exhibit, step by step over its first images.

    Args:
        page: showing the exhibit.

    Returns:
        Pictures, and for how many milliseconds each is shown.
    """
    page.evaluate("document.getElementById('way-back')?.remove()")
    frames, times = [], []
    for image in range(IMAGES):
        page.locator("#strip button").nth(image).evaluate("(button) => button.click()")
        count = int(page.get_by_role("status").inner_text().partition(" of ")[2].partition(":")[0])
        for _ in range(count - 1):
            page.locator("#back").evaluate("(button) => button.click()")
        for step in range(count):
            if step:
                page.locator("#next").evaluate("(button) => button.click()")
            frames.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
            times.append(END if step == count - 1 else STEP)
    return frames, times


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ReplicationError as error:
        sys.exit(f"error: {error}")
