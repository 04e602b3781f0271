"""The alignment explorer: words chosen by pointer and by key, sentences and runs by list and by key."""

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Visit

pytestmark = pytest.mark.pipeline


@pytest.fixture
def explorer(visit: Visit) -> Page:
    return visit("exhibits/align_and_translate.alignment_explorer.html")


def test_arrow_keys_move_between_the_words_of_the_translation(explorer: Page) -> None:
    words, status = explorer.locator("#target button"), explorer.locator("#status")
    expect(status).to_contain_text("Word 1 of")
    words.first.focus()
    explorer.keyboard.press("ArrowRight")
    expect(status).to_contain_text("Word 2 of")
    expect(words.nth(1)).to_be_focused()
    explorer.keyboard.press("End")
    expect(status).to_contain_text("<end>")


def test_pointing_at_a_word_shades_the_source(explorer: Page) -> None:
    word = explorer.locator("#target button").nth(2)
    word.hover()
    expect(word).to_have_attribute("aria-pressed", "true")
    shades = explorer.locator("#source > span").evaluate_all("spans => spans.map(s => Number(s.style.getPropertyValue('--weight')))")
    assert sum(shades) == pytest.approx(100, abs=1)


def test_page_down_changes_the_sentence(explorer: Page) -> None:
    before = explorer.locator("#reference").text_content()
    explorer.locator("#target button").first.focus()
    explorer.keyboard.press("PageDown")
    expect(explorer.locator("#reference")).not_to_have_text(before or "")
    expect(explorer.get_by_role("combobox", name="Sentence")).to_have_value("1")
