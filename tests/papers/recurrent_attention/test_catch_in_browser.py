"""The Catch player: play, step and speed, over games, by button and by key."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Visit

pytestmark = pytest.mark.pipeline

ADDRESS = "exhibits/recurrent_attention.catch_player.html"
SCREEN = "document.querySelector('#view').toDataURL()"


@pytest.fixture
def player(visit: Visit) -> Page:
    return visit(ADDRESS)


def frame(player: Page) -> int:
    return int(re.match(r"Frame (\d+)", player.get_by_role("status").inner_text())[1])


def test_buttons_step_through_the_frames(player: Page) -> None:
    assert frame(player) == 1
    before = player.evaluate(SCREEN)
    player.get_by_role("button", name="One frame on").click()
    assert frame(player) == 2
    assert player.evaluate(SCREEN) != before
    player.get_by_role("button", name="One frame back").click()
    assert player.evaluate(SCREEN) == before


def test_keys_step_and_change_the_game_and_the_last_frame_says_how_it_ended(player: Page) -> None:
    for _ in range(40):
        player.keyboard.press("ArrowRight")
    ended = player.get_by_role("status").inner_text()
    said = player.get_by_role("combobox", name="Game").locator("option:checked").inner_text()
    assert ("Caught." in ended) == said.endswith("caught")
    assert ("Missed." in ended) == said.endswith("missed")
    player.keyboard.press("ArrowDown")
    assert frame(player) == 1
    expect(player.get_by_role("combobox", name="Game")).to_have_value("1")


def test_it_plays_and_pauses(player: Page) -> None:
    player.get_by_label("Speed").fill("12")
    player.get_by_role("button", name="Play").click()
    player.wait_for_function("document.querySelector('#status').textContent.startsWith('Frame 3')")
    player.get_by_role("button", name="Pause").click()
    paused = frame(player)
    player.wait_for_timeout(400)
    assert frame(player) == paused


def test_only_what_the_agent_sees_can_be_shown(player: Page) -> None:
    before = player.evaluate(SCREEN)
    player.get_by_label("show only what the agent sees").check()
    assert player.evaluate(SCREEN) != before


def test_who_asked_for_rest_sees_the_end_of_a_game_at_once(visit: Visit) -> None:
    player = visit(ADDRESS, reduced_motion="reduce")
    expect(player.get_by_role("status")).to_contain_text(re.compile(r"Caught\.|Missed\."))
