"""What figures say in words, for readers who do not see them."""

import pandas as pd

from replications.evidence.plots import in_words, last_rows

CUPS = pd.DataFrame(
    {
        "lady": ["first", "first", "first", "first", "second", "second"],
        "seed": [0, 1, 0, 1, 0, 1],
        "cup": [1, 1, 8, 8, 1, 1],
        "value": [0.1, 0.2, 0.5, 1.0, 0.25, 0.75],
    }
)


def test_means_are_said_group_by_group_in_the_order_given() -> None:
    assert in_words(CUPS.iloc[::-1], "lady") == "second: 0.50; first: 0.45"
    assert in_words(CUPS, ["lady", "cup"], form=".1f") == "first 1: 0.2; first 8: 0.8; second 1: 0.5"


def test_every_group_ends_at_its_own_place() -> None:
    assert in_words(last_rows(CUPS, "cup", "lady"), ["lady", "cup"]) == "first 8: 0.75; second 1: 0.50"
