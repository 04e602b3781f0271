"""The coin, drawn."""

from replications.presentation.figure_writer import Figure
from replications.presentation.palette import PALETTE
from replications.presentation.theme import canvas, dots
from replications.results.reader import Results


def heads_by_coin(results: Results) -> Figure:
    """Share of heads of each coin, one dot per seed."""
    results.need("fair")
    rows = results.select(metric="heads", split="test")
    figure, axes = canvas()
    dots(axes[0, 0], rows["seed"], rows["value"], colour=PALETTE[0])
    axes[0, 0].set(xlabel="seed", ylabel="share of heads")
    return Figure(figure, rows[["run", "seed", "value"]], alt=f"{len(rows)} estimates.")
