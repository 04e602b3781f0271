"""What figures say in words, for readers who do not see them, and what no machine changes about how they look."""

import inspect
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib import pyplot as plt

from replications.paths import ROOT
from replications.presentation.exhibits import embed
from replications.presentation.metadata import caption_of
from replications.presentation.theme import SEABORN, canvas, in_words, label_end, last_rows, linear_without_positive_values, theme

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


@pytest.mark.filterwarnings("ignore:Data has no positive values", "ignore:invalid value encountered", "ignore:posx and posy")
@pytest.mark.parametrize("values", [[np.nan, np.nan], [0.0, 0.0], [-1.0, -2.0], [np.inf, np.nan]])
@pytest.mark.parametrize("draw", ["plot", "scatter", "bar"])
def test_logarithmic_axes_without_a_positive_value_are_drawn_as_linear_ones(values: list[float], draw: str) -> None:
    figure, grid = canvas(columns=2)
    getattr(grid[0, 0], draw)([1, 2], values)
    grid[0, 1].plot([1, 2], [1, 10])
    for axes in grid[0]:
        axes.set(xscale="log", yscale="log")
    linear_without_positive_values(figure)
    figure.draw_without_rendering()
    plt.close(figure)
    assert [axes.get_yscale() for axes in grid[0]] == ["linear", "log"]


def test_what_a_user_set_for_other_drawings_does_not_count() -> None:
    with mpl.rc_context({"savefig.bbox": "tight", "savefig.transparent": True, "text.usetex": True, "axes.facecolor": "black"}):
        theme()
        assert {mpl.rcParams[name] for name in ("savefig.bbox", "savefig.transparent", "text.usetex")} == {None, False}
        assert mpl.rcParams["axes.facecolor"] == "white"


def test_the_style_sheet_is_the_theme_of_seaborn() -> None:
    ours = dict(mpl.rc_params_from_file(SEABORN, use_default_template=False))
    theirs = {**sns.plotting_context("paper"), **sns.axes_style("ticks")}
    assert theirs.pop("image.cmap") == "rocket"  # known only where seaborn has been imported
    assert ours == theirs


def test_a_pdf_does_not_say_when_its_figure_was_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys\nfrom replications.presentation.theme import canvas\nfigure, axes = canvas()\naxes[0, 0].set_title('tea')\n"
    code += "figure.savefig(sys.argv[1], metadata={'CreationDate': None})"
    drawn = []
    for seconds in ("0", "1000000000"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", seconds)
        subprocess.run([sys.executable, "-c", code, tmp_path / "cup.pdf"], cwd=ROOT, check=True, timeout=120)
        drawn.append((tmp_path / "cup.pdf").read_bytes())
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "TkAgg"])
def test_figures_are_drawn_whatever_backend_a_notebook_names(backend: str) -> None:
    program = (
        "from replications.startup import start; start()\n"
        "from replications.presentation.theme import canvas\n"
        "import matplotlib, os; canvas(); print(matplotlib.get_backend(), os.environ['MPLBACKEND'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={"MPLBACKEND": backend}, capture_output=True, text=True, check=False
    )
    assert done.stdout.lower().split() == ["agg", "agg"], done.stderr


def test_a_caption_is_the_docstring_also_where_python_drops_docstrings() -> None:
    program = "from replications.presentation import exhibits, metadata; print(exhibits.embed.__doc__, metadata.caption_of(exhibits.embed))"
    done = subprocess.run([sys.executable, "-OO", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    expected = " ".join(str(inspect.getdoc(embed)).split())
    assert caption_of(embed) == expected
    assert done.stdout == f"None {expected}\n"
