"""The cost explorer: values under the pointer, sliders for length and width, everything works from the keyboard."""

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Visit

pytestmark = pytest.mark.pipeline


@pytest.fixture
def explorer(visit: Visit) -> Page:
    return visit("exhibits/rnn_vs_transformer.cost_explorer.html")


def test_pointing_at_the_chart_reads_the_nearest_place(explorer: Page) -> None:
    box = explorer.locator("#chart").bounding_box()
    assert box
    place = explorer.locator("#place-value")
    explorer.mouse.move(box["x"] + 70, box["y"] + 100)
    left = int(place.inner_text().replace(",", ""))
    explorer.mouse.move(box["x"] + box["width"] - 20, box["y"] + 100)
    assert int(place.inner_text().replace(",", "")) > left


def test_the_slider_reads_every_place_from_the_keyboard(explorer: Page) -> None:
    slider = explorer.locator("#place")
    slider.focus()
    explorer.keyboard.press("Home")
    first = explorer.locator("#values").inner_text()
    explorer.keyboard.press("ArrowRight")
    assert explorer.locator("#values").inner_text() != first
    assert explorer.locator("#place-value").inner_text() in (slider.get_attribute("aria-valuetext") or "").replace(":", " ").split()


def test_values_are_sorted_and_carry_units(explorer: Page) -> None:
    sizes = {"s": 1, "ms": 1e-3, "µs": 1e-6}
    texts = [text for text in explorer.locator("#values td:nth-child(2)").all_inner_texts() if text != "\u2013"]
    values = [float(text.split()[0]) * sizes[text.split()[1]] for text in texts]
    assert len(values) >= 2
    assert values == sorted(values)


def test_every_quantity_and_axis_is_drawn(explorer: Page) -> None:
    for quantity in explorer.locator("#what option").all_inner_texts():
        explorer.locator("#what").select_option(quantity)
        for axis in explorer.locator("#axis option").all_inner_texts():
            explorer.locator("#axis").select_option(axis)
            assert explorer.locator("#chart .curve").count() >= 2
            assert "NaN" not in explorer.locator("#chart").inner_html()


def test_counted_work_grows_with_length_and_width(explorer: Page) -> None:
    sizes = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}

    def work() -> float:
        number, *unit = explorer.locator("#counted td:nth-child(3)").last.inner_text().split()
        return float(number) * sizes["".join(unit)]

    for slider in ("#n", "#d"):
        before = work()
        explorer.locator(slider).focus()
        explorer.keyboard.press("ArrowRight")
        assert work() > before


def test_a_row_singles_out_its_curve(explorer: Page) -> None:
    explorer.locator("#values tr").first.hover()
    expect(explorer.locator("#chart g.marked")).to_have_count(1)
