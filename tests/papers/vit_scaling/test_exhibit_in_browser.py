"""The attention viewer: rollout over images, similarity of position embeddings, patches chosen by mouse and by key."""

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Visit

pytestmark = pytest.mark.pipeline

ROLLOUT = "document.querySelector('#image').toDataURL()"
PLACES = "document.querySelector('#places').toDataURL()"


@pytest.fixture
def viewer(visit: Visit) -> Page:
    return visit("exhibits/vit_scaling.attention_viewer.html")


def test_arrow_keys_choose_a_patch_in_both_squares(viewer: Page) -> None:
    share = viewer.locator("#share")
    expect(share).to_contain_text("row 1, column 1")
    before = viewer.evaluate(PLACES)
    for square in ("#image", "#places"):
        viewer.locator(square).focus()
        viewer.keyboard.press("ArrowRight")
    viewer.keyboard.press("ArrowDown")
    expect(share).to_contain_text("row 2, column 3")
    assert viewer.evaluate(PLACES) != before


def test_a_click_chooses_the_patch_under_it(viewer: Page) -> None:
    box = viewer.locator("#image").bounding_box()
    assert box
    viewer.locator("#image").click(position={"x": box["width"] - 4, "y": 4})
    expect(viewer.locator("#share")).to_contain_text("row 1")
    expect(viewer.locator("#share")).not_to_contain_text("column 1:")


def test_images_seeds_and_runs_change_what_is_drawn(viewer: Page) -> None:
    rollouts = [viewer.evaluate(ROLLOUT)]
    viewer.get_by_role("button", name="Image 2", exact=True).click()
    rollouts.append(viewer.evaluate(ROLLOUT))
    viewer.locator("#image").focus()
    viewer.keyboard.press("PageDown")
    expect(viewer.get_by_role("button", name="Image 3", exact=True)).to_have_attribute("aria-pressed", "true")
    rollouts.append(viewer.evaluate(ROLLOUT))
    viewer.get_by_role("combobox", name="Seed").select_option("1")
    rollouts.append(viewer.evaluate(ROLLOUT))
    viewer.get_by_role("combobox", name="Run").select_option("0")
    rollouts.append(viewer.evaluate(ROLLOUT))
    assert len(set(rollouts)) == 5


def test_the_overlay_can_be_taken_off(viewer: Page) -> None:
    before = viewer.evaluate(ROLLOUT)
    viewer.get_by_label("Opacity of the overlay").focus()
    viewer.keyboard.press("Home")
    assert viewer.evaluate(ROLLOUT) != before
