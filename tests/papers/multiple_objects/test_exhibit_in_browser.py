"""The reader of canvases: glimpses by button and by key, canvases and networks by list."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Visit

pytestmark = pytest.mark.pipeline

IMAGE = "document.querySelector('#view').toDataURL()"


@pytest.fixture
def reader(visit: Visit) -> Page:
    return visit("exhibits/multiple_objects.glimpse_reader.html")


def test_glimpses_follow_each_other_until_the_answer(reader: Page) -> None:
    status, step = reader.get_by_role("status"), reader.get_by_role("button", name="Next")
    expect(status).to_contain_text("Glimpse 1 of")
    expect(reader.locator("#answers li")).to_have_count(0)
    before = reader.evaluate(IMAGE)
    n = int(re.findall(r"of (\d+)", status.inner_text())[0])
    for _ in range(n - 1):
        step.click()
    assert reader.evaluate(IMAGE) != before
    expect(status).to_contain_text("Answered")
    expect(step).to_be_disabled()
    expect(reader.locator("#answers li").first).to_have_text(re.compile(r".+ \(\d+ %\)"))


def test_keys_step_and_change_the_canvas(reader: Page) -> None:
    reader.keyboard.press("ArrowRight")
    expect(reader.get_by_role("status")).to_contain_text("Glimpse 2 of")
    reader.keyboard.press("PageDown")
    expect(reader.get_by_role("combobox", name="Canvas")).to_have_value("1")
    expect(reader.get_by_role("status")).to_contain_text("Glimpse 1 of")


def test_another_network_is_chosen_and_the_whole_canvas_shown(reader: Page) -> None:
    before = reader.evaluate(IMAGE)
    reader.get_by_label("show the whole canvas").check()
    assert reader.evaluate(IMAGE) != before
    networks = reader.get_by_role("combobox", name="Network")
    networks.select_option("1")
    expect(networks).to_have_value("1")
    expect(reader.locator("#truth")).to_contain_text("On the canvas:")
