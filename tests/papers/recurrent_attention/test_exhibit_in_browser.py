"""The glimpse player: play, step and speed, over images, by button and by key."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Visit

pytestmark = pytest.mark.pipeline

PICTURE = "document.querySelector('#view').toDataURL()"


@pytest.fixture
def player(visit: Visit) -> Page:
    return visit("exhibits/recurrent_attention.glimpse_player.html")


def glimpse(player: Page) -> int:
    return int(re.match(r"Glimpse (\d+)", player.get_by_role("status").inner_text())[1])


def glimpses(player: Page) -> int:
    return int(re.search(r"of (\d+):", player.get_by_role("status").inner_text())[1])


def test_it_opens_with_a_finished_path(player: Page) -> None:
    assert glimpse(player) == glimpses(player) > 1
    expect(player.get_by_role("status")).to_contain_text("answer")


def test_buttons_step_through_the_glimpses(player: Page) -> None:
    before = player.evaluate(PICTURE)
    player.get_by_role("button", name="One glimpse back").click()
    assert glimpse(player) == glimpses(player) - 1
    assert player.evaluate(PICTURE) != before
    player.get_by_role("button", name="One glimpse on").click()
    assert player.evaluate(PICTURE) == before


def test_keys_step_and_change_the_image(player: Page) -> None:
    player.keyboard.press("ArrowLeft")
    assert glimpse(player) == glimpses(player) - 1
    player.keyboard.press("ArrowDown")
    assert glimpse(player) == glimpses(player)
    expect(player.locator("#strip button").nth(1)).to_have_attribute("aria-pressed", "true")


def test_it_plays_faster_at_higher_speed_and_pauses(player: Page) -> None:
    player.get_by_label("Speed").fill("6")
    expect(player.locator("#rate")).to_have_text("6")
    player.keyboard.press("Escape")
    player.get_by_role("button", name="Play").click()
    player.wait_for_function("document.querySelector('#status').textContent.startsWith('Glimpse 3')")
    player.get_by_role("button", name="Pause").click()
    paused = player.get_by_role("status").inner_text()
    player.wait_for_timeout(600)
    assert player.get_by_role("status").inner_text() == paused


def test_beliefs_add_up_and_the_truth_is_marked(player: Page) -> None:
    shares = [int(text.removesuffix(" %")) for text in player.locator("#beliefs .number").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=5)
    expect(player.locator("#beliefs tr.truth")).to_have_count(1)
    expect(player.locator("#beliefs tr.top")).to_have_count(1)


def test_the_whole_image_can_be_shown_and_another_run_chosen(player: Page) -> None:
    before = player.evaluate(PICTURE)
    player.get_by_label("show the whole image").check()
    assert player.evaluate(PICTURE) != before
    runs = player.get_by_role("combobox", name="Run")
    other = next(value for value in map(str, range(9)) if value != runs.input_value())
    runs.select_option(other)
    assert glimpse(player) == glimpses(player)
