"""Figures of this paper, from results. Free of torch."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from replications.papers.unified_attention.settings import Settings
from replications.papers.unified_attention.trained_runs import MODELS, finished_runs, runs_with_cells
from replications.presentation.figure_writer import Figure
from replications.presentation.palette import PALETTE
from replications.presentation.theme import COLUMN, canvas, dots, in_words
from replications.results.reader import Results

COLOURS = dict(zip(MODELS, (PALETTE[1], PALETTE[0], PALETTE[2], PALETTE[5]), strict=True))


def error_by_canvas(results: Results) -> Figure:
    """Test errors by size of the canvas and model, one dot per seed, bars for means.

    One episode per image, cells taken by their Q value, locations at the policy's means. *RAM* has no cells; *random cell* moves
    within a cell drawn at random, also in the test; *Q alone* looks at the centre of the chosen cell.
    """
    runs = finished_runs(results)
    figure, grid = canvas(2 * COLUMN, 0.6 + 0.3 * len(runs))
    axes: Axes = grid[0, 0]
    rows = []
    for place, (run, settings) in enumerate(runs):
        values, colour = results.final(run.name, "error"), COLOURS[settings.model]
        dots(axes, values.to_numpy(), [place] * len(values), colour=colour)
        axes.plot([values.mean()] * 2, [place - 0.25, place + 0.25], color=colour, linewidth=2)
        rows += [
            {"canvas": settings.canvas, "model": MODELS[settings.model], "seed": seed, "error": error} for seed, error in values.items()
        ]
    axes.set_yticks(range(len(runs)), [f"{s.canvas}x{s.canvas}: {MODELS[s.model]}" for _, s in runs])
    axes.set(xlabel="test error (%)", ylim=(len(runs) - 0.5, -0.5))
    axes.set_xlim(left=0)
    data = pd.DataFrame(rows)
    alt = f"Mean test error in per cent: {in_words(data, ['canvas', 'model'], 'error', '.1f')}."
    return Figure(figure, data, alt, "Errors by canvas and model", [run.name for run, _ in runs])


def learning_curves(results: Results) -> Figure:
    """Validation error during training on the canvas on which all models are trained, a thin line per seed, a thick one for the mean.

    The dotted line is the level to which updates are counted.
    """
    runs = finished_runs(results)
    side = max((s.canvas for _, s in runs), key=lambda side: (sum(s.canvas == side for _, s in runs), side))
    figure, grid = canvas(1.5 * COLUMN, 2.6)
    axes: Axes = grid[0, 0]
    parts, drawn = [], []
    for run, settings in runs:
        if settings.canvas != side:
            continue
        curve = results.select(run=run.name, metric="error", split="validation")
        wide = curve.pivot_table(index="step", columns="seed", values="value")
        axes.plot(wide.index, wide, color=COLOURS[settings.model], linewidth=0.6, alpha=0.4)
        axes.plot(wide.index, wide.mean(axis=1), color=COLOURS[settings.model], linewidth=2, label=MODELS[settings.model])
        axes.axhline(settings.level, color="#777777", linestyle=":", linewidth=1)
        parts.append(curve[["step", "seed", "value"]].assign(model=MODELS[settings.model]))
        drawn.append(run.name)
    axes.set(xlabel="updates", ylabel="validation error (%)")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    data = pd.concat(parts, ignore_index=True).rename(columns={"value": "error"})
    last = data[data["step"] == data["step"].max()]
    alt = f"Mean validation error in per cent at the end, on {side}x{side} pixels: {in_words(last, ['model'], 'error', '.1f')}."
    return Figure(figure, data, alt, "Errors during training", drawn)


def cells_and_glimpses(results: Results) -> Figure:
    """Cells and glimpses on the first four test canvases of each run that stores Q values; smallest seed.

    Cells are shaded, the darker the higher their Q value at the last decision, relative to the others of the canvas. Squares are the finest
    patches, numbered in their order, the first at a random place. Below stands the answer, in orange where it is wrong.
    """
    runs = runs_with_cells(results)
    figure, grid = canvas(2 * COLUMN, 2.1 * len(runs), columns=4, rows=len(runs))
    rows = []
    for line, (run, settings) in zip(grid, runs, strict=True):
        arrays = results.artifacts(run.name)
        for i, axes in enumerate(line):
            places = (arrays["shown_locations"][0, :, i].astype(float) + 1) * settings.canvas / 2
            q = arrays["shown_q"][0, -1, i].astype(float)
            _draw(axes, arrays["shown_images"][i], q, places, settings)
            answer, truth = int(arrays["shown_probabilities"][0, i].argmax()), int(arrays["shown_labels"][i])
            right = answer == truth
            text = f"{answer}" if right else f"{answer} (is {truth})"
            axes.set_xlabel(text, fontsize=7.5, color="black" if right else PALETTE[1], labelpad=2)
            rows += [{"run": run.name, "canvas": i, "glimpse": t + 1, "x": x, "y": y} for t, (x, y) in enumerate(places)]
        line[0].set_ylabel(f"{MODELS[settings.model]}, {settings.canvas}x{settings.canvas}", fontsize=7)
    alt = f"Cells coloured by Q value and paths of glimpses over four test canvases each, for {', '.join(run.name for run, _ in runs)}."
    return Figure(figure, pd.DataFrame(rows), alt, "Cells and glimpses", [run.name for run, _ in runs])


def _draw(axes: Axes, image: np.ndarray, q: np.ndarray, places: np.ndarray, settings: Settings) -> None:
    """Draw an image with its cells, coloured by Q value, and the finest patch of each glimpse."""
    n, k, side = settings.canvas, settings.grid, settings.glimpse_side
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=330, extent=(0, n, n, 0), interpolation="nearest")
    shades = (q - q.min()) / max(float(np.ptp(q)), 1e-6)
    for cell, shade in enumerate(shades):
        corner = cell % k * n / k, cell // k * n / k
        axes.add_patch(Rectangle(corner, n / k, n / k, facecolor=PALETTE[0], alpha=0.45 * shade, edgecolor="none"))
        axes.add_patch(Rectangle(corner, n / k, n / k, fill=False, edgecolor="#bbbbbb", linewidth=0.4))
    axes.plot(places[:, 0], places[:, 1], color=PALETTE[1], linewidth=1, alpha=0.8)
    for t, (x, y) in enumerate(places):
        corner = np.floor(x) - side // 2, np.floor(y) - side // 2
        axes.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=PALETTE[1], linewidth=0.7, alpha=0.6))
        axes.text(x, y, str(t + 1), fontsize=6, ha="center", va="center", color="white", clip_on=True,
                  bbox={"boxstyle": "circle,pad=0.12", "facecolor": PALETTE[1], "linewidth": 0})  # fmt: skip
    axes.set(xlim=(0, n), ylim=(n, 0), xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=True, color="#bbbbbb", linewidth=0.6)
