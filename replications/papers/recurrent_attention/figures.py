"""Figures of this paper, from results. Free of torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from replications.papers.recurrent_attention.catch_figures import draw_gaze, draw_learning
from replications.papers.recurrent_attention.settings import Settings
from replications.papers.recurrent_attention.trained_runs import TrainedRun, glimpse_runs, trained_runs
from replications.presentation.figure_writer import Figure
from replications.presentation.palette import FAR_APART, PALETTE
from replications.presentation.theme import COLUMN, canvas, dots, in_words, last_rows, published
from replications.presentation.tidy_table import published_and_ours
from replications.results.reader import NotMeasured, Results

BLUE, ORANGE, GREEN, PINK, AMBER, SKY, BLACK, OLIVE = PALETTE
VERSIONS = {"v1": ("D", "arXiv v1"), "nips": ("s", "NIPS")}
OPEN_MARKERS = {"v1": ("Open diamonds", "arXiv v1"), "nips": ("Open squares", "the NIPS version")}
POLICIES = {"learned": BLUE, "random": ORANGE, "fixed": GREEN}


def _published_by_run(results: Results) -> pd.DataFrame:
    """Return the published values of every table row that has a run, as columns run, version, value."""
    parts = [published_and_ours(results, name) for name in results.paper.tables]
    rows = pd.concat(parts, ignore_index=True)
    return rows[rows["version"] != "ours"][["run", "version", "value"]]


def _percent_axis(axes: Axes, values: pd.Series | np.ndarray) -> None:
    """Use a logarithmic axis with plain numbers where values differ by more than a factor of four."""
    values = np.asarray(values, dtype=float)
    if values.min() > 0 and values.max() / values.min() > 4:
        axes.set_yscale("log")
        ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100) if values.min() / 2.2 <= t <= values.max() * 2.2]
        axes.yaxis.set_major_locator(FixedLocator(ticks))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(bottom=0)


def error_by_glimpses(results: Results) -> Figure:
    """Test error by number of glimpses, beside networks that read the whole image.

    Dots are our seeds, lines their means. Blue: learned locations; orange: random locations; green: one path for all images. Horizontal
    lines are the means of our networks that read the whole image. One episode per image, locations at the policy's means.
    """
    runs = glimpse_runs(results)
    if not runs:
        raise NotMeasured("needs runs of the glimpse model")
    published_values = _published_by_run(results)
    tasks = list(dict.fromkeys(run.task for run in runs))
    width = 2 * COLUMN if len(tasks) > 1 else 1.35 * COLUMN
    rows = (len(tasks) + 1) // 2 if len(tasks) > 2 else 1
    figure, grid = canvas(width, 2.7 * rows, columns=-(-len(tasks) // rows), rows=rows)
    drawn: list[pd.DataFrame] = []
    for axes, task in zip(grid.ravel(), tasks, strict=False):
        drawn += _error_panel(axes, results, task, published_values)
    for axes in grid.ravel()[len(tasks) :]:
        axes.axis("off")
    data = pd.concat(drawn, ignore_index=True)
    ours = data[(data["version"] == "ours") & (data["glimpses"] > 0)]
    alt = f"Mean test error in per cent by policy and number of glimpses: {in_words(ours, ['task', 'series', 'glimpses'], 'error', '.1f')}."
    notes = [f"{word} are {source}." for key, (word, source) in OPEN_MARKERS.items() if (data["version"] == key).any()]
    return Figure(figure, data, alt, "Error by number of glimpses", [run.name for run in runs], notes)


def _error_panel(axes: Axes, results: Results, task: str, published_values: pd.DataFrame) -> list[pd.DataFrame]:
    """Draw the errors of one task and return what was drawn, one frame per run and version."""
    runs = [run for run in glimpse_runs(results) if run.task == task]
    drawn = []
    for policy, colour in POLICIES.items():
        means = []
        for run in (run for run in runs if run.settings.policy == policy):
            n_glimpses = run.settings.glimpses
            values = results.final(run.name, "error")
            dots(axes, [n_glimpses] * len(values), values, colour=colour)
            means.append((n_glimpses, values.mean()))
            frame = pd.DataFrame({"task": task, "series": policy, "glimpses": n_glimpses, "seed": values.index, "error": values})
            drawn.append(frame.assign(version="ours"))
            for version, (marker, _) in VERSIONS.items():
                of_run = published_values[(published_values["run"] == run.name) & (published_values["version"] == version)]
                value = of_run["value"]
                if len(value):
                    published(axes, [n_glimpses], list(value), colour=colour, label="_", marker=marker)
                    drawn.append(frame.head(1).assign(seed=-1, error=float(value.iloc[0]), version=version))
        if means:
            shape: dict[str, Any] = (
                {"linestyle": "none", "marker": "_", "markersize": 12, "markeredgewidth": 1.5} if len(means) == 1 else {}
            )
            axes.plot(*zip(*means, strict=True), color=colour, label=f"{policy} locations", **shape)
    dashes: dict[str, Any] = {"fc": (0, (4, 1.5)), "conv": (0, (6, 1, 1, 1)), "cnn": "solid", "soft": (0, (2, 2))}
    for run in trained_runs(results):
        if run.task == task and not run.swept and run.settings.model in dashes:
            values = results.final(run.name, "error")
            narrow = run.settings.model == "fc" and run.settings.fc_size < 256
            dash = ":" if narrow else dashes[run.settings.model]
            axes.axhline(values.mean(), color="#555555", linewidth=1, linestyle=dash, label=run.network, zorder=1)
            frame = pd.DataFrame({"task": task, "series": run.network, "glimpses": -1, "seed": values.index, "error": values})
            drawn.append(frame.assign(version="ours"))
    for version, (marker, label) in VERSIONS.items():
        if any((frame["version"] == version).any() for frame in drawn):
            published(axes, [], [], colour=BLUE, label=label, marker=marker)
    _percent_axis(axes, pd.concat(drawn)["error"])
    glimpses = sorted({run.settings.glimpses for run in runs})
    axes.set(title=task, xlabel="glimpses", ylabel="test error (%)", xticks=glimpses, xlim=(min(glimpses) - 0.6, max(glimpses) + 0.6))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), handlelength=2.2)
    return drawn


def glimpse_paths(results: Results) -> Figure:
    """Glimpses of a trained network: eight test images and the path of one episode on each.

    Squares are the finest patches, numbered; the first glimpse, dashed, is always at a random location. Below each image: the predicted
    class, and whether it is correct. Smallest seed, the last checkpoint, the task with the most clutter at this tier.
    """
    runs = [run for run in glimpse_runs(results) if run.settings.policy == "learned" and run.settings.glimpses > 1]
    if not runs:
        raise NotMeasured("needs a run with a learned policy")
    run = runs[-1]
    arrays, settings = results.artifacts(run.name), run.settings
    figure, grid = canvas(2 * COLUMN, 3.9, columns=4, rows=2)
    n_images = min(grid.size, len(arrays["images"]))
    rows = []
    for index, axes in enumerate(grid.ravel()[:n_images]):
        path = (arrays["paths"][0, index] + 1) * settings.canvas / 2
        answer = int(arrays["beliefs"][0, index, -1].argmax())
        correct = answer == arrays["labels"][index]
        _draw_path(axes, arrays["images"][index], path, settings.glimpse_side)
        text = f"predicted {answer}, correct" if correct else f"predicted {answer}, is {arrays['labels'][index]}"
        axes.set_xlabel(text, fontsize=7.5, color="black" if correct else ORANGE, labelpad=2)
        rows += [{"image": index, "glimpse": t + 1, "x": x, "y": y, "label": arrays["labels"][index]} for t, (x, y) in enumerate(path)]
    for axes in grid.ravel()[n_images:]:
        axes.axis("off")
    alt = f"Paths of {settings.glimpses} glimpses over {n_images} test images of {run.task}, smallest seed."
    return Figure(figure, pd.DataFrame(rows), alt, f"Glimpse paths, {run.task}", [run.name])


def _draw_path(axes: Axes, image: np.ndarray, path: np.ndarray, side: int) -> None:
    n = len(image)
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=330, extent=(0, n, n, 0), interpolation="nearest")
    axes.plot(path[:, 0], path[:, 1], color=BLUE, linewidth=1, alpha=0.8)
    for t, (x, y) in enumerate(path):
        left, top = np.floor(x) - side // 2, np.floor(y) - side // 2
        dash = (0, (2, 1.5)) if t == 0 else "solid"
        axes.add_patch(Rectangle((left, top), side, side, fill=False, edgecolor=BLUE, linewidth=0.7, linestyle=dash, alpha=0.45))
    for t, (x, y) in enumerate(path):
        # Later numbers cover earlier ones where a path stands still.
        axes.text(x, y, str(t + 1), fontsize=6, ha="center", va="center", color="white", clip_on=True,
                  bbox={"boxstyle": "circle,pad=0.12", "facecolor": BLUE if t else "#666666", "linewidth": 0})  # fmt: skip
    axes.set(xlim=(0, n), ylim=(n, 0), xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=True, color="#bbbbbb", linewidth=0.6)


def error_by_sigma(results: Results) -> Figure:
    """Test error by the standard deviation of the location policy.

    Dots are seeds, lines means. Blue: locations at the policy's means; green: locations sampled from the policy. With a small standard
    deviation the policy explores little; with a large one glimpses miss their target, most of all where locations are sampled at test time.
    """
    return _sweep(results, "sigma", "standard deviation of locations (half canvases)", "Error by exploration noise")


def error_by_baseline(results: Results) -> Figure:
    """Test error by the baseline that REINFORCE subtracts from the reward: none, a moving average, or a learned one.

    Dots are seeds, bars means. A baseline changes the variance of the gradient estimate, not its mean.
    """
    return _sweep(results, "baseline", "baseline of REINFORCE", "Error by baseline")


def _sweep(results: Results, setting: str, label: str, title: str) -> Figure:
    """Draw the final errors of one sweep, with any run outside it that differs from its runs in the swept setting only."""
    runs = {run.name: run for run in trained_runs(results)}
    members = {name: run for name, run in runs.items() if run.swept == setting}
    if not members:
        raise NotMeasured(f"needs a sweep over {setting}")

    def others(name: str) -> dict[str, object]:
        return {key: value for key, value in runs[name].settings.model_dump().items() if key != setting}

    reference = others(next(iter(members)))
    members |= {name: run for name, run in runs.items() if others(name) == reference}
    series = {"error": ("policy's means", BLUE), "error_sampled": ("sampled", GREEN)} if setting == "sigma" else {"error": ("", BLUE)}
    rows = [
        {"run": name, setting: getattr(run.settings, setting), "metric": metric, "seed": seed, "error": value}
        for name, run in members.items()
        for metric in series
        for seed, value in results.final(name, metric).items()
    ]
    data = pd.DataFrame(rows)
    baselines = ["none", "moving-average", "learned"]
    order = sorted(data[setting].unique(), key=baselines.index if setting == "baseline" else None)
    figure, grid = canvas(1.25 * COLUMN, 2.6)
    axes = grid[0, 0]
    for metric, (name, colour) in series.items():
        part = data[data["metric"] == metric]
        position = part[setting] if setting == "sigma" else part[setting].map(order.index)
        dots(axes, position, part["error"], colour=colour)
        means = part.groupby(setting)["error"].mean().reindex(order)
        if setting == "sigma":
            axes.plot(order, means, color=colour, label=name)
        else:
            axes.hlines(means, np.arange(len(order)) - 0.2, np.arange(len(order)) + 0.2, color=colour)
    if setting == "sigma":
        axes.legend(title="locations at test", loc="upper left", bbox_to_anchor=(1, 1), title_fontsize=7.5)
        axes.set_xlim(left=0)
    else:
        axes.set_xticks(range(len(order)), [name.replace("-", "\n") for name in order])
        axes.set_xlim(-0.5, len(order) - 0.5)
    task = next(iter(members.values())).task
    axes.set(xlabel=label, ylabel="test error (%)", title=task)
    _percent_axis(axes, data["error"])
    errors = in_words(
        data[data["metric"] == "error"].sort_values(setting, key=lambda column: column.map(order.index)), setting, "error", ".1f"
    )
    return Figure(figure, data, f"{title} on {task}, means in per cent: {errors}.", title, list(members))


_ESTIMATOR = ("sigma_end", "episodes", "reward", "combination", "batch_size")
"""Settings in which runs with the label estimator differ from the run of the published estimator."""


def _without(settings: Settings, *keys: str) -> dict[str, object]:
    """Return settings as a dictionary, without some keys."""
    return {key: value for key, value in settings.model_dump().items() if key not in keys}


def error_by_estimator(results: Results) -> Figure:
    """Test error by what differs in training the policy, at equal numbers of updates. Dots are seeds, squares means.

    The first row is the published estimator: the glimpse adds what and where, one episode per image, a constant standard deviation, and a
    reward of one for a right class. Rows with fewer images per update are to be compared with each other.
    """
    runs = [run for run in trained_runs(results) if run.swept == "estimator"]
    if not runs:
        raise NotMeasured("needs a run with the label estimator")
    reference = _without(runs[0].settings, *_ESTIMATOR)
    plain = next((run for run in trained_runs(results) if _without(run.settings, *_ESTIMATOR) == reference and run not in runs), None)
    rows = {"as published": plain.name} if plain else {}
    rows |= {str(run.labels["estimator"]): run.name for run in runs}
    parts = [
        pd.DataFrame({"row": row, "run": name, "seed": errors.index, "error": errors.to_numpy()})
        for row, name in rows.items()
        for errors in [results.final(name, "error")]
    ]
    data = pd.concat(parts, ignore_index=True)
    figure, grid = canvas(1.5 * COLUMN, 0.3 * len(rows) + 0.9)
    axes = grid[0, 0]
    for y, row in enumerate(rows):
        errors = data.loc[data["row"] == row, "error"]
        dots(axes, errors, np.full(len(errors), y), colour=BLUE)
        axes.plot(errors.mean(), y, marker="s", markerfacecolor="white", markeredgecolor=BLUE, linestyle="none", zorder=4)
    axes.set(xlabel="test error (%)", title=runs[0].task, ylim=(len(rows) - 0.5, -0.5))
    axes.set_yticks(range(len(rows)), list(rows))
    alt = f"Test error on {runs[0].task}, means in per cent: {in_words(data, 'row', 'error', '.1f')}."
    return Figure(figure, data, alt, "Error by estimator of the policy's gradient", list(rows.values()))


def cost_by_image_size(results: Results) -> Figure:
    """Cost of one image by its number of pixels: operations counted from the layers (left) and measured time (right); dots are seeds.

    The operations of the glimpse model do not depend on the number of pixels; those of networks that read the whole image grow with it.
    Counted are matrix products and convolutions; time includes the retina, whose integral image adds two numbers per pixel.
    """
    results.need("cost")
    names = {"ram": ("glimpses", BLUE), "conv": ("convolution", ORANGE), "fc": ("FC 256", GREEN), "cnn": ("CNN", PINK)}
    names |= {"soft": ("soft attention", AMBER)}
    figure, grid = canvas(2 * COLUMN, 2.7, columns=2)
    parts = []
    for axes, metric, scale, label in (
        (grid[0, 0], "forward_flops", 1e6, "operations per image (MFLOP)"),
        (grid[0, 1], "microseconds", 1.0, "time per image (µs)"),
    ):
        for model, (_, colour) in names.items():
            part = results.select(run="cost", metric=metric, model=model, axis="canvas")
            pixels = part["at"].astype(float) ** 2
            dots(axes, pixels, part["value"] / scale, colour=colour)
            means = (part["value"] / scale).groupby(pixels).mean()
            axes.plot(means.index, means, color=colour, label=names[model][0])
            parts.append(part.assign(pixels=pixels)[["model", "metric", "pixels", "seed", "value"]])
        sides = sorted(results.select(run="cost", metric="forward_flops", axis="canvas")["at"].astype(int).unique())
        axes.set(xscale="log", yscale="log", xlabel="image (pixels)", ylabel=label)
        axes.set_xticks([side**2 for side in sides], [f"{side}x{side}" for side in sides])
        axes.xaxis.set_minor_locator(NullLocator())
    handles = grid[0, 1].get_lines()
    order = np.argsort([-line.get_ydata()[-1] for line in handles])
    grid[0, 1].legend([handles[i] for i in order], [str(handles[i].get_label()) for i in order], loc="upper left", bbox_to_anchor=(1, 1))
    data = pd.concat(parts, ignore_index=True)
    ends = data[(data["metric"] == "forward_flops") & data["pixels"].isin([data["pixels"].min(), data["pixels"].max()])]
    ends = ends.assign(layer=ends["model"].map(lambda model: names[model][0]), at=ends["pixels"].map("at {:,.0f} pixels".format))
    alt = f"Operations per image, smallest and largest: {in_words(ends, ['layer', 'at'], form=',.0f')}."
    return Figure(figure, data, alt, "Cost by image size", ["cost"])


def learning_curves(results: Results) -> Figure:
    """Validation error during training, one line per seed; one panel per task.

    One episode per image, locations at the policy's means. Headline errors are of the last checkpoint; the one with the lowest validation
    error is tested as well.
    """
    panels: dict[str, list[TrainedRun]] = {}
    for run in trained_runs(results):
        if not run.swept:
            panels.setdefault(run.task, []).append(run)
    if not panels:
        raise NotMeasured("needs any trained run")
    columns = min(2, len(panels))
    n_rows = -(-len(panels) // columns)
    figure, grid = canvas(2 * COLUMN, 2.7 * n_rows, columns=columns, rows=n_rows)
    drawn = []
    for axes, (task, runs) in zip(grid.ravel(), panels.items(), strict=False):
        for index, run in enumerate(runs):
            colour, dash = FAR_APART[index % len(FAR_APART)], "solid" if index < len(FAR_APART) else (0, (3, 1.5))
            rows = results.select(run=run.name, metric="error", split="validation")
            drawn.append(rows)
            for seed, curve in rows.groupby("seed"):
                label = run.network if seed == rows["seed"].min() else None
                axes.plot(curve["step"], curve["value"], color=colour, linestyle=dash, linewidth=0.9, alpha=0.85, label=label)
        axes.set(title=task, xlabel="updates", ylabel="validation error (%)")
        _percent_axis(axes, pd.concat(drawn[-len(runs) :])["value"])
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), handlelength=1.4)
    for axes in grid.ravel()[len(panels) :]:
        axes.axis("off")
    data = pd.concat(drawn)[["run", "seed", "step", "value"]]
    alt = f"Validation error in per cent at the end: {in_words(last_rows(data, 'step', 'run'), 'run', form='.1f')}."
    return Figure(figure, data, alt, runs=sorted(set(data["run"])))


def policy_heat_map(results: Results) -> Figure:
    """Glimpse locations of the learned policy over the whole test set, averaged over seeds.

    Top: on the canvas. Bottom: relative to the centre of the digit, in the same units; a policy that finds the digit has a dark spot in the
    middle. The first glimpse is uniformly random. Darker means more frequent.
    """
    runs = [run for run in glimpse_runs(results) if run.settings.policy == "learned" and run.settings.glimpses > 1]
    if not runs:
        raise NotMeasured("needs a run with a learned policy")
    run = runs[-1]
    heat = {
        "on the canvas": _mean_heat_map(results, run.name, "heat"),
        "relative to the digit": _mean_heat_map(results, run.name, "heat_digit"),
    }
    last = run.settings.glimpses - 1
    glimpses = list(range(last + 1)) if last < 6 else sorted({0, 1, 2, run.settings.glimpses // 2, last - 1, last})
    figure, grid = canvas(2 * COLUMN, 3.0, columns=len(glimpses), rows=2)
    rows = []
    for line, (label, maps) in zip(grid, heat.items(), strict=True):
        for axes, step in zip(line, glimpses, strict=True):
            axes.imshow(maps[step] ** 0.5, cmap="Blues", extent=(-1, 1, 1, -1), vmin=0, interpolation="nearest")
            axes.axhline(0, color="#999999", linewidth=0.4)
            axes.axvline(0, color="#999999", linewidth=0.4)
            axes.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], xticklabels=[], yticklabels=[])
            axes.grid(visible=False)
            y, x = np.unravel_index(maps[step].argmax(), maps[step].shape)
            rows.append({"map": label, "glimpse": step + 1, "peak_share": maps[step].max(), "peak_row": y, "peak_column": x})
        line[0].set_ylabel(label, fontsize=7.5)
    for axes, step in zip(grid[0], glimpses, strict=True):
        axes.set_title(f"glimpse {step + 1}")
    alt = f"Heat maps of glimpse locations on {run.task}; glimpses {', '.join(str(step + 1) for step in glimpses)}."
    return Figure(figure, pd.DataFrame(rows), alt, f"Glimpse locations, {run.task}", [run.name])


def _mean_heat_map(results: Results, run: str, name: str) -> np.ndarray:
    """Return the share of glimpses by glimpse and bin, averaged over all seeds, (T, bins, bins)."""
    maps = [arrays[0] for arrays in results.by_seed(run, name).values()]
    mean: np.ndarray = np.stack(maps).astype(np.float64).mean(0)
    return mean


def where_it_looks(results: Results) -> Figure:
    """Statistics of glimpse locations: share of glimpses that overlap the digit, share of the variance of the digit's position that the mean
    location of an episode explains ("follow"), spread over images, and share of the canvas that the glimpses cover.

    Dots are seeds. A collapsed policy takes the same path over every image: its spread over images is near zero. A policy that has not
    learned where digits are may spread and overlap, but does not follow. Random locations (orange) and one path for all images (green) are
    the references. All but the last statistic leave out the first glimpse, which is random for all; a digit in the centre cannot be followed.
    """
    runs = [run for run in glimpse_runs(results) if run.settings.glimpses > 1]
    if not runs:
        raise NotMeasured("needs runs with more than one glimpse")
    panels = {
        "touch": "overlap the digit (%)",
        "followed": "follow the digit (%)",
        "spread_between": "spread (pixels)",
        "pixels_seen": "cover (% of canvas)",
    }
    if not any(run.settings.translated for run in runs):
        del panels["followed"]
    figure, grid = canvas(2 * COLUMN, 0.9 + 0.2 * len(runs), columns=len(panels), sharey=True)
    rows = []
    for axes, (metric, label) in zip(grid[0], panels.items(), strict=True):
        for row, run in enumerate(runs):
            if metric == "followed" and not run.settings.translated:
                continue
            values = results.final(run.name, metric)
            dots(axes, values, [row] * len(values), colour=POLICIES[run.settings.policy])
            rows += [{"run": run.name, "metric": metric, "seed": seed, "value": value} for seed, value in values.items()]
        axes.set(xlabel=label, ylim=(len(runs) - 0.5, -0.5))
        axes.set_xlim(0, 105 if metric in {"touch", "followed"} else None)
    several = len({run.task for run in runs}) > 1
    grid[0, 0].set_yticks(range(len(runs)), [f"{run.task}, {run.network}" if several else run.network for run in runs])
    data = pd.DataFrame(rows)
    alt = ". ".join(f"Mean of {label}: {in_words(data[data['metric'] == metric], 'run', form='.1f')}" for metric, label in panels.items())
    return Figure(figure, data, f"{alt}.", "Statistics of glimpse locations", [run.name for run in runs])


def catch_learning(results: Results) -> Figure:
    """Balls caught in the game of Catch by frames played, one line per seed, on validation games.

    Horizontal lines, dotted and dashed, are players without learning: a paddle that stands still, and one that sees the whole screen and
    moves to where the ball is now.
    """
    return draw_learning(results)


def catch_gaze(results: Results) -> Figure:
    """Where agents look in the game of Catch: correlation of the columns of gaze and ball in each frame, and four test games.

    Lines are seeds, in the colours of the figure above; grey dots are LSTM agents with a learned gaze before training, over the last third of
    the game. The first glimpse is at a random location. In the games, of the first seed, grey squares are the ball from top to bottom and the
    paddle at the end, blue dots the gaze in each frame.
    """
    return draw_gaze(results)
