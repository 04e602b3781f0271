"""The first lecture: a detector to step through and a query to move, both from the keyboard, with the numbers of the worked examples."""

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Visit

pytestmark = pytest.mark.pipeline


@pytest.fixture
def lecture(visit: Visit) -> Page:
    return visit("exhibits/foundations.first_lecture.html")


def test_stepping_reaches_the_first_repeated_one_at_step_five(lecture: Page) -> None:
    formula = lecture.locator("#formula")
    expect(formula).to_contain_text("Step 1 of 9")
    for _ in range(4):
        expect(formula).not_to_contain_text("a one after a one")
        lecture.get_by_role("button", name="Next step").click()
    expect(formula).to_contain_text("Step 5 of 9: output = relu(1 + 1 \u2212 1) = 1, a one after a one")


def test_a_flipped_character_changes_the_output_and_keeps_the_focus(lecture: Page) -> None:
    lecture.get_by_role("button", name="Character 1: 0, flip").focus()
    lecture.keyboard.press("Enter")
    expect(lecture.get_by_role("button", name="Character 1: 1, flip")).to_be_focused()
    lecture.get_by_role("button", name="Next step").click()
    expect(lecture.locator("#formula")).to_contain_text("a one after a one")
    lecture.get_by_role("button", name="Start again").click()
    expect(lecture.get_by_role("button", name="Character 1: 0, flip")).to_be_visible()


def test_the_query_of_the_worked_example_reads_its_output(lecture: Page) -> None:
    expect(lecture.locator("#result")).to_contain_text("reads (0.802, 0.599)")
    expect(lecture.locator("#weights tr").nth(1)).to_contain_text("0.401")


def test_arrow_keys_and_the_pointer_move_the_query(lecture: Page) -> None:
    result = lecture.locator("#result")
    lecture.locator("#plane").focus()
    lecture.keyboard.press("ArrowUp")
    expect(result).to_contain_text("Query (1.00, 0.10)")
    box = lecture.locator("#plane").bounding_box()
    assert box
    lecture.locator("#plane").click(
        position={"x": box["width"] / 2 + box["width"] * 60 / 320, "y": box["height"] / 2 - box["height"] * 60 / 320}
    )
    expect(result).to_contain_text("Query (1.00, 1.00)")
