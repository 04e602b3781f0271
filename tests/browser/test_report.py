"""The finished report in a real browser: opened from disk, network off, by mouse, by keyboard, on a phone and on paper."""

import io
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from PIL import Image, ImageStat
from playwright.sync_api import Page, expect

from replications.paths import PAPERS
from replications.registry.papers import paper_names
from replications.source_code import public_functions
from tests.conftest import Visit

pytestmark = pytest.mark.pipeline

EXHIBITS = [(paper, name) for paper in paper_names() for name in public_functions(PAPERS / paper / "exhibits.py")]
PAPER_PAGES = [f"{paper}.html" for paper in paper_names()]
PAGES = ["index.html", "statements.html", *PAPER_PAGES, *(f"exhibits/{paper}.{name}.html" for paper, name in EXHIBITS)]
HEAVIEST = 15_000_000
WIDTHS = (360, 1280)
"""Of a phone and of a laptop, in pixels."""

KINDS_OF_PAGES = [*PAGES[:3], *PAGES[-len(EXHIBITS) :]]
"""The opening page, that of the lectures, one paper for all, since papers share one style, and every exhibit."""

SOME_PAPERS = PAPER_PAGES[:2]
"""For what the template and scripts do on every paper's page alike."""

every_page = pytest.mark.parametrize("path", PAGES)
every_kind_of_page = pytest.mark.parametrize("path", KINDS_OF_PAGES)


WITHOUT_REPETITIONS = Path(__file__).with_name("without_repetitions.js").read_text()


def scroll_through(page: Page) -> None:
    """Meet everything that loads late."""
    height = page.evaluate("document.body.scrollHeight")
    for top in range(0, height, 600):
        page.evaluate("top => scrollTo({ top, behavior: 'instant' })", top)
    page.wait_for_load_state("networkidle")


@every_page
def test_a_page_weighs_little_and_fits_a_phone(visit: Visit, path: str) -> None:
    loaded: set[str] = set()
    page = visit(path, width=360, requested=loaded)
    scroll_through(page)
    files = {Path(unquote(urlsplit(url).path)) for url in loaded if url.startswith("file:")}
    assert any(file.name == Path(path).name for file in files)
    assert sum(file.stat().st_size for file in files) < HEAVIEST
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def faults(page: Page, rules: dict[str, object]) -> list[tuple[str, str, str]]:
    """What axe finds on a page: rule, impact and the first element."""
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("rules => axe.run(document, rules)", {"resultTypes": ["violations"], "iframes": False, "preload": False, **rules})
    return [(fault["id"], fault["impact"], fault["nodes"][0]["html"]) for fault in found["violations"]]


def without_repetitions(page: Page) -> Page:
    """The page with two of each kind of row and entry: axe would examine hundreds one by one, for a minute."""
    made = page.evaluate(WITHOUT_REPETITIONS)
    assert made["repeated"] == [], "an id stands once on a page"
    assert made["left"] > 20
    return page


@every_page
def test_axe_finds_nothing(visit: Visit, path: str) -> None:
    page = without_repetitions(visit(path))
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert faults(page, {"rules": {"color-contrast": {"enabled": False}}}) == [], f"{width} pixels"


def test_a_fault_in_the_last_row_of_a_long_table_is_found(visit: Visit) -> None:
    page = visit("index.html")
    page.evaluate("""() => {
        document.querySelectorAll("details").forEach((part) => part.open = true);
        const visible = (parts) => [...document.querySelectorAll(parts)].filter((part) => part.checkVisibility() && part.textContent.trim());
        visible(".claims tbody a").at(-1).textContent = "";
        visible(".claims tbody tr:not(.more) .verdict > span").at(-1).style.color = "#aaa";
    }""")
    found = {rule for rule, *_ in faults(without_repetitions(page), {})}
    assert found == {"link-name", "color-contrast"}


@every_kind_of_page
def test_light_and_dark_follow_the_system_with_enough_contrast(visit: Visit, path: str) -> None:
    page = without_repetitions(visit(path))
    brightness = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert faults(page, {"runOnly": ["color-contrast"]}) == [], f"{scheme}, {width} pixels"
        brightness[scheme] = ImageStat.Stat(Image.open(io.BytesIO(page.screenshot())).convert("L")).mean[0]
    assert brightness["light"] - brightness["dark"] > 80


@every_kind_of_page
def test_nothing_moves_for_those_who_asked_for_rest(visit: Visit, path: str) -> None:
    page = visit(path, reduced_motion="reduce")
    moving = "[...document.querySelectorAll('*')].filter((one) => parseFloat(getComputedStyle(one).transitionDuration) > 0).length"
    assert page.evaluate(moving) == 0
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_the_answer_of_every_paper_fits_one_screen(visit: Visit) -> None:
    page = visit("index.html", width=1920, height=1080)
    bottom = page.evaluate("document.querySelector('.answers').getBoundingClientRect().bottom")
    assert bottom <= 1080


def test_claims_are_filtered_by_text_paper_verdict_and_rank(visit: Visit) -> None:
    page = visit("index.html")
    page.get_by_text("published values, ours and evidence").click()
    assert page.locator("tbody[data-verdict='not tested']:not([hidden])").count() == 0
    page.get_by_role("combobox", name="Verdict", exact=True).select_option("")
    claims = page.locator("tbody[data-paper]")
    shown = page.locator("tbody[data-paper]:not([hidden])")
    everything = claims.count()
    first = claims.first
    search = page.get_by_label("Search", exact=True)
    search.fill(first.locator(".anchor code").inner_text())
    expect(first).to_be_visible()
    assert shown.count() < everything
    search.fill("")
    for label, key in (("Paper", "paper"), ("Verdict", "verdict")):
        choice = first.get_attribute(f"data-{key}")
        page.get_by_role("combobox", name=label, exact=True).select_option(choice)
        wanted = page.locator(f"tbody[data-{key}='{choice}']").count()
        assert shown.count() == wanted
        expect(page.locator("form output")).to_have_text(f"{wanted} of {everything} claims")
        page.get_by_role("combobox", name=label, exact=True).select_option("")
    page.get_by_label("primary claims only").check()
    assert shown.count() == page.locator("tbody[data-primary=true]").count() < everything


@pytest.mark.parametrize("width", [1280, 360])
def test_claims_are_sorted_up_and_down(visit: Visit, width: int) -> None:
    page = visit("index.html", width=width)
    page.get_by_text("published values, ours and evidence").click()
    head = page.get_by_role("columnheader", name="Ours")
    for direction, order in (("ascending", 1), ("descending", -1)):
        head.get_by_role("button").press("Enter")
        expect(head).to_have_attribute("aria-sort", direction)
        texts = page.evaluate("[...document.querySelectorAll('tbody[data-ours]')].map((one) => one.dataset.ours)")
        values = [float(text) for text in texts if text]
        assert values == sorted(values, reverse=order < 0)
        assert not any(texts[len(values) :]), "claims without a value stand last"


@pytest.mark.parametrize("path", ["index.html", *SOME_PAPERS])
def test_bibtex_is_copied(visit: Visit, path: str) -> None:
    page = visit(path, permissions=["clipboard-read", "clipboard-write"])
    cite = page.locator("main > section details.cite").last
    cite.locator("summary").click()
    button = cite.get_by_role("button", name="Copy BibTeX")
    button.click()
    expect(page.get_by_role("status").last).to_have_text("Copied to the clipboard")
    assert page.evaluate("navigator.clipboard.readText()") == cite.locator("pre").inner_text()


@pytest.mark.parametrize("path", SOME_PAPERS)
def test_a_link_to_a_claim_opens_its_evidence(visit: Visit, path: str) -> None:
    anchor = visit(path).locator("tbody[data-paper]").last.get_attribute("id")
    page = visit(path, fragment=f"#{anchor}")
    claim = page.locator(f"[id='{anchor}']")
    expect(claim).to_be_in_viewport()
    for part in ("Why this verdict", "Margin", "Registered", "Transcription", "Deviations"):
        expect(claim.get_by_text(part, exact=True)).to_be_visible()


def test_a_linked_claim_stays_in_view_while_the_page_above_grows_until_the_reader_scrolls(visit: Visit) -> None:
    path = PAPER_PAGES[0]
    anchor = visit(path).locator("tbody[data-paper]").last.get_attribute("id")
    page = visit(path, fragment=f"#{anchor}")
    claim = page.locator(f"[id='{anchor}']")
    grow = "height => { const block = document.createElement('div'); block.style.height = height; document.querySelector('main').prepend(block); }"
    page.evaluate(grow, "4000px")
    expect(claim).to_be_in_viewport()
    page.keyboard.press("Home")
    page.evaluate(grow, "4000px")
    expect(claim).not_to_be_in_viewport()


def test_the_keyboard_reaches_the_content_first(visit: Visit) -> None:
    page = visit("index.html")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**#content")


def test_without_scripts_every_claim_can_be_read(visit: Visit) -> None:
    page = visit("index.html", java_script_enabled=False)
    page.get_by_text("published values, ours and evidence").click()
    for claim in page.locator("tbody[data-paper]").all()[:10]:
        expect(claim).to_be_visible()
    expect(page.get_by_label("Search", exact=True)).to_be_hidden()


@pytest.mark.parametrize(("paper", "name"), EXHIBITS)
def test_an_exhibit_fits_its_frame_and_takes_the_chosen_theme(visit: Visit, paper: str, name: str) -> None:
    page = visit(f"{paper}.html", fragment=f"#exhibit-{name}")
    element = page.locator(f"#exhibit-{name} iframe")
    inside = page.frame_locator(f"#exhibit-{name} iframe").locator("html")
    expect(inside).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Dark").click()
    expect(inside).to_have_attribute("data-theme", "dark")
    content = inside.evaluate("(root) => root.getBoundingClientRect().height")
    fits = "([frame, content]) => frame.offsetHeight >= content && frame.offsetHeight <= content + 8"
    page.wait_for_function(fits, arg=[element.element_handle(), content])


@pytest.mark.parametrize("path", SOME_PAPERS)
def test_a_page_at_rest_does_nothing(visit: Visit, path: str) -> None:
    page = visit(path)
    page.locator("iframe").first.scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    page.evaluate("window.heard = 0; addEventListener('message', () => { window.heard += 1; })")
    page.wait_for_timeout(500)
    assert page.evaluate("window.heard") < 10, "page and exhibit talk without end"


@pytest.mark.parametrize("path", ["index.html", *PAPER_PAGES])
def test_a_page_prints_light_and_whole(visit: Visit, path: str, tmp_path: Path) -> None:
    page = visit(path, color_scheme="dark")
    (tmp_path / "page.pdf").write_bytes(page.pdf(format="A4"))
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).color") == "rgb(28, 30, 33)"
    expect(page.get_by_role("button", name="Light")).to_be_hidden()
    if not (reader := shutil.which("pdftotext")):
        pytest.skip("pdftotext is missing, so the printed words are not read: `apt-get install poppler-utils`.")
    text = subprocess.run([reader, tmp_path / "page.pdf", "-"], capture_output=True, text=True, check=True).stdout
    evidence = text.count("Why this verdict")
    assert evidence == (0 if path == "index.html" else page.locator("tbody[data-paper]").count())
