"""The caption explorer: attention of every word, hallucinated words marked, everything works from the keyboard."""

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Visit

pytestmark = pytest.mark.pipeline

IMAGE = "document.querySelector('#canvas').toDataURL()"


@pytest.fixture
def explorer(visit: Visit) -> Page:
    return visit("exhibits/show_and_tell.caption_explorer.html")


def test_a_word_shows_its_own_attention(explorer: Page) -> None:
    plain = explorer.evaluate(IMAGE)
    words = explorer.locator("button.word")
    seen = []
    for word in (words.nth(0), words.nth(1)):
        word.focus()
        explorer.keyboard.press("Enter")
        expect(word).to_have_attribute("aria-pressed", "true")
        expect(explorer.locator("button.word[aria-pressed=true]")).to_have_count(1)
        seen.append(explorer.evaluate(IMAGE))
    assert len({plain, *seen}) == 3
    assert f"before the word {words.nth(1).inner_text()}." in (explorer.locator("#canvas").get_attribute("aria-label") or "")
    explorer.keyboard.press("Enter")
    assert explorer.evaluate(IMAGE) == plain


def test_hallucinated_words_are_marked_by_more_than_colour(explorer: Page) -> None:
    absent = explorer.locator(".word.absent")
    for _ in range(100):
        if absent.count():
            break
        explorer.keyboard.press("ArrowRight")
    word = absent.first
    expect(word).to_have_attribute("title", "not in the image")
    assert "(not in the image)" in (word.text_content() or "")
    assert "underline" in word.evaluate("(one) => getComputedStyle(one).textDecorationLine")
    there = explorer.locator("#there").inner_text().removeprefix("In the image: ").rstrip(".").split(", ")
    assert (word.text_content() or "").split(" (")[0] not in there


def test_keys_and_buttons_change_the_image(explorer: Page) -> None:
    place = explorer.get_by_role("status")
    first = place.inner_text()
    explorer.keyboard.press("ArrowRight")
    second = place.inner_text()
    assert second != first
    explorer.get_by_role("button", name="Previous image").click()
    expect(place).to_have_text(first)
    explorer.keyboard.press("ArrowLeft")
    count = first.rsplit(" ", 1)[1]
    expect(place).to_have_text(f"{count} of {count}")


def test_every_model_and_every_group_can_be_chosen(explorer: Page) -> None:
    for name in ("Model", "Images"):
        menu = explorer.get_by_role("combobox", name=name)
        for value in range(menu.locator("option").count()):
            menu.select_option(str(value))
            expect(explorer.locator(".caption .word, .caption .note").first).to_be_visible()
