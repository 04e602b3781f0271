"""What the figures and the exhibit of Catch share: the finished runs of a tier, and the drawings. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

from replications.papers.recurrent_attention.catch_settings import CatchSettings
from replications.papers.recurrent_attention.settings import Settings
from replications.presentation.figure_writer import Figure
from replications.presentation.palette import PALETTE
from replications.presentation.theme import COLUMN, canvas, dots, in_words, last_rows, published
from replications.results.reader import NotMeasured, Results

BLUE, ORANGE, GREEN, PINK = PALETTE[:4]
SCRIPTED = {"still": "stands still", "chaser": "sees all, chases the ball"}
"""Model of the records of a scripted player -> its name."""

N_GAMES = 4


@dataclass(frozen=True)
class CatchRun:
    """One finished run of Catch.

    Attributes:
        name: of the run.
        settings: of the game.
        longer: whether it is trained at least twice as long as the first run of its tier.
    """

    name: str
    settings: CatchSettings
    longer: bool = False

    @property
    def agent(self) -> str:
        """Core and gaze, for example 'LSTM, learned gaze', and whether it is trained for longer."""
        core = "LSTM" if self.settings.core == "lstm" else "ReLU"
        return f"{core}, {self.settings.gaze} gaze" + (", longer training" if self.longer else "")

    @property
    def dash(self) -> str | tuple[float, tuple[float, float]]:
        """Style of its lines in figures."""
        return (0, (3, 1.5)) if self.longer else "solid"

    @property
    def colour(self) -> str:
        """Colour of the agent in figures."""
        return ORANGE if self.settings.gaze == "random" else GREEN if self.settings.core == "relu" else BLUE

    @property
    def screen(self) -> str:
        """Size of the screen, for example '24x24'."""
        return f"{self.settings.board}x{self.settings.board}"

    @property
    def frames_per_update(self) -> int:
        """Decisions, that is frames but the last of each game, per seed and update."""
        return self.settings.batch_size * self.settings.decisions


def catch_runs(results: Results) -> list[CatchRun]:
    """Find the finished runs of Catch.

    Args:
        results: of the tier.

    Returns:
        Runs in the order of runs.yaml.

    Raises:
        NotMeasured: there is none.
    """
    planned = [(run.name, run.settings_as(Settings)) for run in results.runs()]
    games = {name: settings.game for name, settings in planned if settings.experiment == "catch"}
    updates = [game.n_steps for game in games.values()]
    finished = [CatchRun(name, game, longer=game.n_steps >= 2 * updates[0]) for name, game in games.items() if results.finished(name)]
    if not finished:
        raise NotMeasured("needs a run of the game of Catch")
    return finished


def draw_learning(results: Results) -> Figure:
    """Draw the share of balls caught over frames played, one line per seed.

    Args:
        results: of the tier.

    Returns:
        The figure.

    Raises:
        NotMeasured: no run of Catch is finished.
    """
    runs = catch_runs(results)
    figure, grid = canvas(1.5 * COLUMN, 2.8)
    axes = grid[0, 0]
    drawn = []
    for run in runs:
        rows = results.select(run=run.name, metric="catches", split="validation")
        rows = rows.assign(series=run.agent, frames=rows["step"] * run.frames_per_update)
        drawn.append(rows)
        for seed, curve in drawn[-1].groupby("seed"):
            label = run.agent if seed == rows["seed"].min() else None
            axes.plot(curve["frames"] / 1e6, curve["value"], color=run.colour, linestyle=run.dash, linewidth=0.9, alpha=0.85, label=label)
    first = runs[0]
    for (model, name), dash in zip(SCRIPTED.items(), [":", "--"], strict=True):
        value = results.final(first.name, "catches", model=model).mean()
        axes.axhline(value, color="#555555", linewidth=1, linestyle=dash, label=name, zorder=1)
    if first.settings.board == 24:  # the published screen
        row = next(row for row in results.paper.tables["section-4-2"].rows if row.run == first.name)
        published(axes, [20], [float(row.value("v1", "catches") or 0)], colour=BLUE, label="arXiv v1, best agent")
    axes.set(title=f"{first.screen} pixels", xlabel="frames per agent (millions)", ylabel="balls caught (%)", ylim=(0, 100))
    millions = pd.concat(drawn)["frames"].max() / 1e6
    if millions > 100:  # the long training, of which the published budget is a small part
        axes.set_xscale("log")
        axes.set_xlim(left=1)
        axes.set_xticks([1, 2, 5, 10, 20, 50, 100, 200, 360], labels=["1", "2", "5", "10", "20", "50", "100", "200", "360"])
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.set_xlim(left=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), handlelength=2.2)
    data = pd.concat(drawn)[["run", "series", "seed", "step", "frames", "value"]]
    alt = f"Balls caught in per cent at the end, mean over seeds: {in_words(last_rows(data, 'step', 'run'), 'series', form='.1f')}."
    notes = ["The open diamond is the paper's best agent."] if first.settings.board == 24 else []
    return Figure(figure, data, alt, f"Catch: balls caught by frames played, {first.screen}", [run.name for run in runs], notes)


def draw_gaze(results: Results) -> Figure:
    """Draw how the gaze goes with the ball, frame by frame, and four games.

    Args:
        results: of the tier.

    Returns:
        The figure.

    Raises:
        NotMeasured: no run of Catch is finished.
    """
    runs = catch_runs(results)
    figure, grid = canvas(2 * COLUMN, 2.5, columns=1 + N_GAMES, width_ratios=[2, *[1] * N_GAMES])
    drawn = _draw_correlations(grid[0, 0], results, runs)
    shown = runs[0]
    arrays = results.artifacts(shown.name)
    for game, axes in enumerate(grid[0, 1:]):
        _draw_game(axes, arrays, game, shown.settings)
    data = pd.concat(drawn, ignore_index=True)
    late = data[data["frame"] == data["frame"].max()]
    alt = (
        f"Correlation of gaze and ball in the last frame seen, mean over seeds: {in_words(late, 'series', 'correlation', '.2f')}. "
        f"Beside it {N_GAMES} games of {shown.agent}: path of the ball, path of the gaze, and the paddle at the end."
    )
    return Figure(figure, data, alt, f"Catch: where the agent looks, {shown.screen}", [run.name for run in runs])


def _draw_correlations(axes: Axes, results: Results, runs: list[CatchRun]) -> list[pd.DataFrame]:
    drawn = []
    for run in runs:
        for index, (seed, (rows,)) in enumerate(sorted(results.by_seed(run.name, "gaze_by_frame").items())):
            frames = np.arange(1, len(rows) + 1)
            label = run.agent if not index else None
            axes.plot(frames, rows, color=run.colour, linestyle=run.dash, linewidth=0.9, alpha=0.85, label=label)
            drawn.append(pd.DataFrame({"run": run.name, "series": run.agent, "seed": seed, "frame": frames, "correlation": rows}))
    untrained = results.final(runs[0].name, "gaze_correlation", model="untrained")
    last = runs[0].settings.decisions + 0.7
    dots(axes, [last] * len(untrained), untrained, colour="#777777", label="before training")
    name = f"{runs[0].agent}, before training"
    drawn.append(pd.DataFrame({"run": runs[0].name, "series": name, "seed": untrained.index, "correlation": untrained.to_numpy()}))
    axes.axhline(0, color="#999999", linewidth=0.5)
    axes.set(xlabel="frame", ylabel="correlation of gaze and ball", ylim=(-1, 1))
    axes.legend(loc="lower left", fontsize=6.5)
    return drawn


def _draw_game(axes: Axes, arrays: dict[str, np.ndarray], game: int, settings: CatchSettings) -> None:
    """Draw the path of the ball, the gaze in each frame and the paddle at the end of one game."""
    board, ball = settings.board, arrays["balls"][game]
    gaze = (arrays["gazes"][0, game].astype(float) + 1) * board / 2
    paddle = int(arrays["paddles"][0, game, -1])
    axes.plot(ball + 0.5, np.arange(board) + 0.5, color="#777777", marker="s", markersize=2.5, linewidth=0.6)
    axes.plot(gaze[:, 0], gaze[:, 1], color=BLUE, marker="o", markersize=2, linewidth=0.7)
    style: dict[str, Any] = {"facecolor": "#777777", "edgecolor": "none"}
    axes.add_patch(Rectangle((paddle, board - 1), settings.paddle, 1, **style))
    won = paddle <= ball[-1] < paddle + settings.paddle
    axes.set_xlabel("caught" if won else "missed", fontsize=7.5, color="black" if won else ORANGE, labelpad=2)
    axes.set(xlim=(0, board), ylim=(board, 0), xticks=[], yticks=[], aspect="equal")
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=True, color="#bbbbbb", linewidth=0.6)
