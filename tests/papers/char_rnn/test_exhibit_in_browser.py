"""The cell explorer: any unit colours the text, units are sorted by score, everything works from the keyboard."""

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Visit

pytestmark = pytest.mark.pipeline

COLOURS = "[...document.querySelectorAll('#text span')].map((one) => getComputedStyle(one).backgroundColor).join()"
LINES = "[...document.querySelectorAll('#text span')].map((one) => getComputedStyle(one).borderBottomColor).join()"


@pytest.fixture
def explorer(visit: Visit) -> Page:
    return visit("exhibits/char_rnn.cell_explorer.html")


def test_units_are_sorted_by_score_and_one_is_chosen(explorer: Page) -> None:
    scores = [float(text) for text in explorer.locator("#units li span:nth-child(2)").all_inner_texts()]
    assert len(scores) > 10
    assert scores == sorted(scores, reverse=True)
    expect(explorer.locator("#units li[aria-selected=true]")).to_have_count(1)


def test_another_unit_colours_the_text_anew_and_leaves_the_truth(explorer: Page) -> None:
    colours, lines = explorer.evaluate(COLOURS), explorer.evaluate(LINES)
    assert len(set(lines.split("),"))) > 1, "somewhere the truth holds, elsewhere not"
    explorer.locator("#units li").nth(5).click()
    assert explorer.evaluate(COLOURS) != colours
    assert explorer.evaluate(LINES) == lines
    explorer.get_by_role("button", name="Go to the selected unit").click()
    assert explorer.evaluate(COLOURS) == colours


def test_keys_walk_the_units(explorer: Page) -> None:
    explorer.get_by_role("listbox").focus()
    for key, position in (("Home", 0), ("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1)):
        explorer.keyboard.press(key)
        expect(explorer.locator("#units li").nth(position)).to_have_attribute("aria-selected", "true")
        expect(explorer.get_by_role("listbox")).to_have_attribute("aria-activedescendant", f"unit-{position}")


def test_keys_read_the_text_character_by_character(explorer: Page) -> None:
    explorer.locator("#text").focus()
    explorer.keyboard.press("ArrowRight")
    expect(explorer.get_by_role("status")).to_contain_text("activation")
    expect(explorer.locator("#text span").nth(0)).to_have_class("at")
    explorer.keyboard.press("ArrowRight")
    expect(explorer.locator("#text span").nth(1)).to_have_class("at")


def test_another_ground_truth_sorts_the_units_anew(explorer: Page) -> None:
    labels = explorer.get_by_role("combobox", name="Ground truth").locator("option").count()
    if labels < 2:
        pytest.skip("only one label was frequent enough to be scored.")
    lines = explorer.evaluate(LINES)
    explorer.keyboard.press("2")
    expect(explorer.get_by_role("combobox", name="Ground truth")).to_have_value("1")
    assert explorer.evaluate(LINES) != lines


def test_pointing_at_a_character_shows_its_numbers(explorer: Page) -> None:
    explorer.locator("#text span").nth(3).hover()
    expect(explorer.get_by_role("status")).to_contain_text("truth")
