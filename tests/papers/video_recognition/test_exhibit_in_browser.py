"""The clip player: every control from the keyboard, and the answer in words for each order of the frames."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Visit

pytestmark = pytest.mark.pipeline


@pytest.fixture
def player(visit: Visit) -> Page:
    return visit("exhibits/video_recognition.clip_player.html")


def test_the_frame_moves_with_the_arrow_keys(player: Page) -> None:
    result = player.locator("#result")
    expect(result).to_contain_text("Frame 1 of 8")
    player.get_by_label("Frame", exact=True).focus()
    player.keyboard.press("ArrowRight")
    expect(result).to_contain_text("Frame 2 of 8")


def test_backwards_the_clip_shows_the_reversed_class(player: Page) -> None:
    expect(player.locator("#result")).to_contain_text("the clip shows: 0 right.")
    player.get_by_label("Order").select_option("reversed")
    expect(player.locator("#result")).to_contain_text("the clip shows: 0 left.")
    expect(player.locator("#bars tr.label th")).to_have_text("0 left")


def test_the_average_over_frames_keeps_its_answer_when_frames_are_shuffled(player: Page) -> None:
    player.get_by_label("Head").select_option("average")

    def mean() -> str:
        found = re.search(r"Mean over all frames: (.*?) \d", player.locator("#result").inner_text())
        assert found
        return found[1]

    forward = mean()
    player.get_by_label("Order").select_option("shuffled")
    assert mean() == forward


def test_playing_ends_at_the_last_frame(player: Page) -> None:
    player.get_by_role("button", name="Play").click()
    expect(player.locator("#result")).to_contain_text("Frame 8 of 8", timeout=10_000)
    expect(player.get_by_role("button", name="Play")).to_be_visible()
