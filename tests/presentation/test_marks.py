"""What a caption says of marks is drawn, what is drawn is said, and nothing is cut off."""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from replications.presentation.marks import MARKS, faults_of, show_whole_points
from replications.presentation.palette import FAR_APART
from replications.presentation.theme import canvas, dots, label_end, published

DRAW: dict[str, Callable[[Axes], object]] = {
    "dots": lambda axes: dots(axes, [1, 2], [1, 2], colour="#0072B2"),
    "open markers": lambda axes: published(axes, [1, 2], [1, 2], colour="#000000", label="_"),
    "crosses": lambda axes: axes.scatter([1, 2], [1, 2], marker="x"),
    "dashed lines": lambda axes: axes.plot([1, 2], [1, 2], linestyle=(0, (3, 1.5))),
    "dotted lines": lambda axes: axes.axvline(1, linestyle=":"),
    "shaded areas": lambda axes: axes.axvspan(1, 2, alpha=0.3),
}
NAMED = {"dots": "Dots are seeds.", "open markers": "Open diamonds are published values.", "crosses": "Crosses: shifted labels."}
NAMED |= {"dashed lines": "Dashed: loops.", "dotted lines": "Dotted line: n = d.", "shaded areas": "Shaded: the margin."}


@pytest.mark.parametrize("kind", MARKS)
def test_a_mark_needs_its_word_and_a_word_its_mark(kind: str) -> None:
    figure, grid = canvas()
    assert faults_of(figure, NAMED[kind]) == [f"The caption names {kind}, of which none is drawn."]
    DRAW[kind](grid[0, 0])
    figure.draw_without_rendering()
    assert faults_of(figure, NAMED[kind]) == []
    assert faults_of(figure, "Accuracy by length.") == [f"Neither caption nor legend says what {kind} are."]


def test_marks_without_points_are_not_drawn() -> None:
    figure, grid = canvas()
    published(grid[0, 0], [], [], colour="#000000", label="published")
    dots(grid[0, 0], [np.nan], [1.0], colour="#000000")
    figure.draw_without_rendering()
    assert len(faults_of(figure, "Open markers: published. Dots: seeds.")) == 2


def test_a_legend_or_a_name_at_the_end_of_a_line_says_enough() -> None:
    figure, grid = canvas(columns=2)
    grid[0, 0].plot([1, 2], [1, 2], linestyle="--", label="loop")
    grid[0, 0].legend()
    grid[0, 1].plot([1, 2], [1, 2], linestyle=":", color="#D55E00")
    label_end(grid[0, 1], 2, 2, "guessing", "#D55E00")
    figure.draw_without_rendering()
    assert faults_of(figure, "Accuracy by length.") == []


def test_points_outside_the_axes_are_found_and_those_at_the_edge_drawn_whole() -> None:
    figure, grid = canvas(columns=2)
    for axes, top in zip(grid[0], (2, 1.5), strict=True):
        dots(axes, [1, 2], [1, 2], colour="#0072B2")
        axes.set_ylim(1, top)
    figure.draw_without_rendering()
    assert faults_of(figure, "Dots are seeds.") == ["1 point lies outside the axes."]
    show_whole_points(figure)
    assert [axes.collections[0].get_clip_on() for axes in grid[0]] == [False, True]


def test_a_text_that_leaves_the_sheet_is_found() -> None:
    figure, grid = canvas(height=1.2)
    grid[0, 0].set_ylabel("share of the characters at which the selected cell is on")
    figure.draw_without_rendering()
    assert [fault.split("'")[0] for fault in faults_of(figure, "")] == ["The text "]
    plt.close(figure)


def test_colours_that_alone_tell_series_apart_differ_clearly_also_to_the_colour_blind() -> None:
    """Least distance of two colours in sRGB, of 1.73 at most, seen with all cones and (Vienot et al. 1999) without the red or the green ones."""
    linear = np.array([mpl.colors.to_rgb(colour) for colour in FAR_APART]) ** 2.2
    no_red = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
    no_green = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
    for cones in (np.eye(3), no_red, no_green):
        seen = np.clip(linear @ cones.T, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 9 * np.eye(len(seen))
        assert apart.min() > 0.1
