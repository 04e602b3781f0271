"""The cells and the glimpses that they guide: by button and by key, canvases by list."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Visit

pytestmark = pytest.mark.pipeline

IMAGE = "document.querySelector('#view').toDataURL()"


@pytest.fixture
def cells(visit: Visit) -> Page:
    return visit("exhibits/unified_attention.guided_glimpses.html")


def test_glimpses_follow_each_other_until_the_answer(cells: Page) -> None:
    status, step = cells.get_by_role("status"), cells.get_by_role("button", name="Next")
    expect(status).to_have_text(re.compile(r"Glimpse 1 of \d+ at a random place\."))
    n = int(re.findall(r"of (\d+)", status.inner_text())[0])
    before = cells.evaluate(IMAGE)
    for i in range(2, n + 1):
        step.click()
        expect(status).to_have_text(re.compile(rf"Glimpse {i} of {n} in row \d+, column \d+, Q value -?\d+ %\."))
    assert cells.evaluate(IMAGE) != before
    expect(status).to_have_text(re.compile(r"Answer \d \(\d+ %\), (right|wrong: it is \d)\."))
    expect(step).to_be_disabled()


def test_keys_step_and_change_the_canvas(cells: Page) -> None:
    cells.keyboard.press("ArrowRight")
    expect(cells.get_by_role("status")).to_contain_text("Glimpse 2 of")
    cells.keyboard.press("PageDown")
    expect(cells.get_by_role("combobox", name="Canvas")).to_have_value("1")
    expect(cells.get_by_role("status")).to_contain_text("Glimpse 1 of")


def test_q_values_are_hidden_and_another_model_is_chosen(cells: Page) -> None:
    cells.get_by_role("button", name="Next").click()
    before = cells.evaluate(IMAGE)
    cells.get_by_label("Q values").uncheck()
    assert cells.evaluate(IMAGE) != before
    models = cells.get_by_role("combobox", name="Model")
    models.select_option("1")
    expect(models).to_have_value("1")
    expect(cells.get_by_role("status")).to_contain_text("Glimpse 1 of")
