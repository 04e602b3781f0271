"""What figures say in words, for readers who do not see them."""

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from replications.presentation.theme import canvas, in_words, label_end, last_rows

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


@pytest.mark.parametrize("resolution", [72, 300])
def test_a_label_laid_out_at_one_resolution_fits_at_another(resolution: int) -> None:
    figure, axes = canvas()
    axes[0, 0].plot([1, 2], [1, 2])
    label_end(axes[0, 0], 2, 2, "the lady who tells milk from tea, exponent 0.18", "#000000")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    figure.set_dpi(resolution)
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    plt.close(figure)
    assert 0 < box.x0 < box.x1 < width
    assert 0 < box.y0 < box.y1 < height
