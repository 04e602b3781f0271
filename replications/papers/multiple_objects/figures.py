"""Figures of this paper, from results. Free of torch."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

from replications.papers.multiple_objects.answers import MODELS, TASKS, answer_names, answered_until_end, runs_with_glimpses, task_name
from replications.papers.multiple_objects.settings import Settings
from replications.presentation.figure_writer import Figure
from replications.presentation.palette import PALETTE
from replications.presentation.theme import COLUMN, canvas, dots, in_words, published
from replications.registry.run_grid import Run
from replications.results.reader import NotMeasured, Results

COLOURS = dict(zip(MODELS, (PALETTE[1], PALETTE[5], PALETTE[0], PALETTE[2]), strict=True))
SHARES = {
    "first_on_digit": "first glimpse\non a digit",
    "glimpses_on_digits": "all glimpses\non digits",
    "all_digits_visited": "both digits\nlooked at",
    "returns": "returns to\na digit",
}


def _finished(results: Results) -> list[tuple[Run, Settings]]:
    """Return the finished runs with their settings, by task, then by model."""
    found = [(run, run.settings_as(Settings)) for run in results.runs() if results.finished(run.name)]
    if not found:
        raise NotMeasured("needs a finished run")
    return sorted(found, key=lambda pair: (list(TASKS).index(pair[1].task), list(MODELS).index(pair[1].model)))


def error_by_model(results: Results) -> Figure:
    """Test errors by task and network, one dot per seed, bars for means.

    One episode per image, locations at the policy's means. A canvas counts as wrong when any of its targets is answered wrongly.
    """
    printed = {
        row.run: row.value("iclr", "error") for name in ("table-1", "table-2") for row in results.table(name).rows if row.run is not None
    }
    runs = _finished(results)
    figure, grid = canvas(2 * COLUMN, 0.6 + 0.33 * len(runs))
    axes: Axes = grid[0, 0]
    rows = []
    for place, (run, settings) in enumerate(runs):
        values = results.final(run.name, "error")
        colour = COLOURS[settings.model]
        dots(axes, values.to_numpy(), [place] * len(values), colour=colour)
        axes.plot([values.mean()] * 2, [place - 0.25, place + 0.25], color=colour, linewidth=2)
        value = printed.get(run.name)
        if value is not None:
            published(axes, value, place, colour=colour, label="_")
        rows += [
            {"task": task_name(settings), "network": MODELS[settings.model], "seed": seed, "error": error} for seed, error in values.items()
        ]
    axes.set_yticks(range(len(runs)), [f"{task_name(s)}: {MODELS[s.model]}" for _, s in runs])
    axes.set(xlabel="test error (%)", ylim=(len(runs) - 0.5, -0.5))
    axes.set_xlim(left=0)
    data = pd.DataFrame(rows)
    alt = f"Mean test error in per cent: {in_words(data, ['task', 'network'], 'error', '.1f')}."
    notes = ["Open diamonds are the published values of the same row."] if any(printed.get(run.name) is not None for run, _ in runs) else []
    return Figure(figure, data, alt, "Errors by task and network", [run.name for run, _ in runs], notes)


def where_glimpses_go(results: Results) -> Figure:
    """How glimpses and digits meet, in percent of test canvases (of glimpses, second from left), one dot per seed, bars for means.

    A glimpse is on a digit when its centre lies in the digit's square. A return is a glimpse on a digit that was left for another one. The
    first glimpse of RAM is at a random place, that of DRAM without context at the same place on every canvas.
    """
    runs = [(run, settings) for run, settings in _finished(results) if settings.model != "cnn"]
    if not runs:
        raise NotMeasured("needs a run with glimpses")
    figure, grid = canvas(2 * COLUMN, 2.7)
    axes: Axes = grid[0, 0]
    rows = []
    for i, (run, settings) in enumerate(runs):
        # Tasks differ by the shape of the bar's line, networks by colour.
        dash = {"pairs": "solid", "sums": (0, (2, 0.8)), "sequence": (0, (1, 0.6))}[settings.task]
        name = f"{task_name(settings)}: {MODELS[settings.model]}"
        for x, metric in enumerate(SHARES):
            values = results.final(run.name, metric)
            place = x + (i - (len(runs) - 1) / 2) * 0.8 / len(runs)
            dots(axes, [place] * len(values), values.to_numpy(), colour=COLOURS[settings.model])
            width = 0.35 / len(runs)
            label = name if x == 0 else None
            axes.plot(
                [place - width, place + width],
                [values.mean()] * 2,
                color=COLOURS[settings.model],
                linewidth=2.2,
                linestyle=dash,
                label=label,
            )
            rows += [{"run": name, "share": metric, "seed": seed, "percent": value} for seed, value in values.items()]
    axes.set_xticks(range(len(SHARES)), list(SHARES.values()))
    axes.set(ylabel="share (%)", ylim=(-3, 103))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=7)
    data = pd.DataFrame(rows)
    alt = f"Mean shares in per cent: {in_words(data, ['run', 'share'], 'percent', '.0f')}."
    return Figure(figure, data, alt, "Where glimpses go", [run.name for run, _ in runs])


def glimpse_paths(results: Results) -> Figure:
    """Glimpses on the first test canvases, four for each network that stores them, at the policy's means.

    Squares are the finest patches, numbered in their order. Below each canvas stands the answer, in orange where it is wrong. Smallest seed.
    """
    runs = runs_with_glimpses(results)
    figure, grid = canvas(2 * COLUMN, 2.1 * len(runs), columns=4, rows=len(runs))
    rows = []
    for line, run in zip(grid, runs, strict=True):
        settings, arrays = run.settings_as(Settings), results.artifacts(run.name)
        names = answer_names(settings)
        name = f"{task_name(settings)}: {MODELS[settings.model]}"
        for i, axes in enumerate(line):
            places = (arrays["shown_locations"][0, :, i].astype(float) + 1) * settings.canvas / 2
            answers = [names[c] for c in arrays["shown_probabilities"][0, :, i].argmax(-1)]
            truth = answered_until_end([names[c] for c in arrays["shown_targets"][i]])
            right = answered_until_end(answers) == truth
            _draw_path(axes, arrays["shown_images"][i], places, settings.glimpse_side)
            text = ", ".join(answered_until_end(answers)) + ("" if right else f" (is {', '.join(truth)})")
            axes.set_xlabel(text, fontsize=7.5, color="black" if right else PALETTE[1], labelpad=2)
            rows += [{"run": name, "canvas": i, "glimpse": t + 1, "x": x, "y": y} for t, (x, y) in enumerate(places)]
        line[0].set_ylabel(name, fontsize=7)
    alt = f"Paths of glimpses over four test canvases each, for {'; '.join(dict.fromkeys(row['run'] for row in rows))}."
    return Figure(figure, pd.DataFrame(rows), alt, "Glimpse paths", [run.name for run in runs])


def _draw_path(axes: Axes, image: np.ndarray, places: np.ndarray, side: int) -> None:
    """Draw an image with the finest patch of each glimpse."""
    n = len(image)
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=330, extent=(0, n, n, 0), interpolation="nearest")
    axes.plot(places[:, 0], places[:, 1], color=PALETTE[0], linewidth=1, alpha=0.8)
    for t, (x, y) in enumerate(places):
        corner = np.floor(x) - side // 2, np.floor(y) - side // 2
        axes.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=PALETTE[0], linewidth=0.7, alpha=0.5))
        axes.text(x, y, str(t + 1), fontsize=6, ha="center", va="center", color="white", clip_on=True,
                  bbox={"boxstyle": "circle,pad=0.12", "facecolor": PALETTE[0], "linewidth": 0})  # fmt: skip
    axes.set(xlim=(0, n), ylim=(n, 0), xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=True, color="#bbbbbb", linewidth=0.6)


def cost_by_image_size(results: Results) -> Figure:
    """Counted operations of one image by its size, for DRAM and the convolutional network of this tier.

    Open diamonds are published, of larger networks for house numbers. The operations of DRAM do not depend on the size of the image, those of
    the convolutional networks grow with its pixels.
    """
    # One run of each network: on sums, of which the paper compares them, where there is one.
    by_model = {settings.model: (run, settings) for run, settings in _finished(results) if settings.task != "sequence"}
    runs = [by_model[model] for model in ("cnn", "dram") if model in by_model]
    if not runs:
        raise NotMeasured("needs a run of DRAM or the convolutional network")
    figure, grid = canvas(1.35 * COLUMN, 2.5)
    axes: Axes = grid[0, 0]
    parts = []
    for run, settings in runs:
        counted = results.select(run=run.name, metric="forward_flops", split="cost", axis="canvas")
        means = (counted["value"] / 1e6).groupby(counted["at"].astype(float) ** 2).mean()
        axes.plot(means.index, means, marker="o", color=COLOURS[settings.model], label=MODELS[settings.model])
        parts.append(pd.DataFrame({"network": MODELS[settings.model], "version": "ours", "pixels": means.index, "mflop": means.to_numpy()}))
    for row, model in zip(results.table("table-5").rows, ("cnn", "dram"), strict=False):
        values = [1e3 * value for value in (row.value("iclr", "small"), row.value("iclr", "large")) if value is not None]
        published(axes, [54**2, 110**2], values, colour=COLOURS[model], label=f"{row.label}, published")
        parts.append(pd.DataFrame({"network": row.label, "version": "published", "pixels": [54**2, 110**2], "mflop": values}))
    axes.set(xscale="log", yscale="log", xlabel="image (pixels)", ylabel="operations (MFLOP)")
    axes.set_xticks([side**2 for side in (54, 110, 220)], [f"{side}x{side}" for side in (54, 110, 220)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=7)
    data = pd.concat(parts, ignore_index=True)
    alt = f"Operations in millions: {in_words(data, ['network', 'pixels'], 'mflop', ',.1f')}."
    return Figure(figure, data, alt, "Operations by image size", [run.name for run, _ in runs])
