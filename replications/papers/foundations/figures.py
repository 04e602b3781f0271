"""Figures: one public function each; its name is the figure's id, its docstring the caption."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from replications.presentation.figure_writer import Figure
from replications.presentation.palette import PALETTE
from replications.presentation.theme import COLUMN, canvas, dots, in_words, label_end
from replications.results.reader import Results

_UNITS = ("present character", "previous character", "always one")
_KEYS = ("key (1, 0)", "key (0, 1)", "key (1, 1)")
_GRADIENTS = {
    "soft": "soft attention",
    "learned": "hard, learned baseline",
    "average": "hard, average baseline",
    "none": "hard, no baseline",
}
_LAYERS = {"residual": "skip connections", "cell": "LSTM", "plain": "plain"}


def detector_on_a_string(results: Results) -> Figure:
    """State and output of the hand-made detector of repeated ones while it reads a string. The first unit holds the present character,
    the second the one before, the third is always one; the output is the sum of the first two less the third, where that is positive.
    """
    results.need("statements")
    arrays = results.artifacts("statements")
    string, states, outputs = arrays["string"], arrays["states"], arrays["outputs"]
    rows = np.vstack([string, states.T, outputs])
    names = ["input", *_UNITS, "output"]
    figure, axes = canvas(2 * COLUMN, 2.2)
    ax = axes[0, 0]
    for y, (values, colour) in enumerate(zip(rows, (PALETTE[6], PALETTE[0], PALETTE[0], PALETTE[0], PALETTE[1]), strict=True)):
        for t, value in enumerate(values):
            on = value > 0
            ax.add_patch(_cell(t, y, colour if on else "none", colour))
            ax.text(t, y, f"{value:g}", ha="center", va="center", color="white" if on else "#333333", fontsize=9)
    ax.set(xlim=(-0.6, len(string) - 0.4), ylim=(len(rows) - 0.4, -0.6), xlabel="step")
    ax.set_yticks(range(len(rows)), names)
    ax.set_xticks(range(len(string)), [str(t + 1) for t in range(len(string))])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    data = pd.DataFrame(rows.T, columns=names).assign(step=range(1, len(string) + 1))
    found = [str(t + 1) for t, value in enumerate(outputs) if value > 0.5]
    alt = f"For the input {' '.join(f'{value:g}' for value in string)} the output is one at steps {', '.join(found)} and zero elsewhere."
    return Figure(figure, data, alt=alt, title="A hand-made detector of repeated ones")


def _cell(t: float, y: float, face: str, edge: str) -> Rectangle:
    """Return a rectangle around one value."""
    return Rectangle((t - 0.42, y - 0.4), 0.84, 0.8, facecolor=face, edgecolor=edge, linewidth=0.8)


def softmax_over_query(results: Results) -> Figure:
    """Attention weights of three keys while the query turns around the origin, for a short and a long query. At zero degrees the short
    query is that of the worked example. A longer query makes the same order of scores nearly a choice, which is what the scaling of
    scores prevents in high dimensions.
    """
    results.need("statements")
    arrays = results.artifacts("statements")
    figure, axes = canvas(2 * COLUMN, 2.5, columns=2, sharey=True)
    tables = []
    for ax, length in zip(axes[0], (1, 5), strict=True):
        for k, key in enumerate(_KEYS):
            weights = arrays[f"weights_{length}"][:, k]
            ax.plot(arrays["angles"], weights, color=PALETTE[k], linestyle=("-", "--", "-.")[k], label=key)
            tables.append(pd.DataFrame({"query_length": length, "angle": arrays["angles"], "key": key, "weight": weights}))
        ax.set(
            xlabel="direction of the query (degrees)", title=f"query of length {length}", xticks=range(-180, 181, 90), ylim=(-0.02, 1.02)
        )
    axes[0, 0].set_ylabel("weight")
    axes[0, 0].legend(frameon=False, fontsize=7)
    data = pd.concat(tables, ignore_index=True)
    largest = data.groupby(["query_length", "key"])["weight"].max().reset_index()
    alt = f"Largest weight of each key by length of the query: {in_words(largest, ['query_length', 'key'], 'weight')}."
    return Figure(figure, data, alt=alt, title="Softmax weights against the direction of the query")


def gradient_variance(results: Results) -> Figure:
    """Variance of one-sample gradients of hard attention, by baseline, one dot per random problem; squares are geometric means. The
    gradient of soft attention is the same in every pass, so that its variance is zero and stands at the left edge.
    """
    results.need("estimators")
    rows = results.select(run="estimators", metric="gradient_variance")
    figure, axes = canvas(2 * COLUMN, 2.2)
    ax = axes[0, 0]
    floor = 10 ** np.floor(np.log10(rows.loc[rows["value"] > 0, "value"].min()) - 0.7)
    for y, model in enumerate(_GRADIENTS):
        values = rows.loc[rows["model"] == model, "value"]
        dots(ax, np.where(values > 0, values, floor), np.full(len(values), y), colour=PALETTE[y])
        if (values > 0).all():
            mean = float(np.exp(np.log(values).mean()))
            ax.plot(mean, y, marker="s", markerfacecolor="white", markeredgecolor=PALETTE[y], linestyle="none", zorder=4)
            label_end(ax, float(values.max()), y, f"{mean:.3f}", PALETTE[y], dx=6)
        else:
            label_end(ax, floor, y, "0", PALETTE[y], dx=6)
    ax.set(xscale="log", xlabel="variance of the gradient, summed over its components")
    ax.set_yticks(range(len(_GRADIENTS)), list(_GRADIENTS.values()))
    ax.set_ylim(len(_GRADIENTS) - 0.5, -0.5)
    ax.margins(x=0.12)
    data = rows[["model", "seed", "value"]]
    return Figure(
        figure, data, alt=f"Mean variances: {in_words(data, 'model', 'value', '.3f')}.", title="Variance of the gradients of attention"
    )


def rounding_errors(results: Results) -> Figure:
    """Largest difference between the two sides of every exact statement over all random cases and seeds. Equal ones lie within rounding
    of float64 (dotted: rounding of 1); zeros stand at the left edge. Orange dots: sides that must differ, since position embeddings and the
    causal mask break equivariance; of hard attention the largest variance of a gradient is shown.
    """
    results.need("statements")
    rows = results.select(run="statements", metric="difference")
    data = rows.groupby("model", sort=False)["value"].max().reset_index().sort_values("value", kind="stable").reset_index(drop=True)
    figure, axes = canvas(2 * COLUMN, 0.17 * len(data) + 0.7)
    ax = axes[0, 0]
    floor = 1e-18
    for y, value in enumerate(data["value"]):
        colour = PALETTE[1] if value > 1e-3 else PALETTE[0]
        ax.plot([floor, max(value, floor)], [y, y], color=colour, linewidth=0.8, alpha=0.5)
        ax.plot(max(value, floor), y, marker="o", color=colour, markersize=4, linestyle="none")
        if value == 0:
            label_end(ax, floor, y, "0", colour, dx=5)
    ax.axvline(np.finfo(float).eps, color="#777777", linewidth=0.8, linestyle=":")
    ax.text(np.finfo(float).eps, len(data) - 0.3, " rounding of 1", fontsize=7, va="bottom", color="#555555")
    ax.set(xscale="log", xlabel="largest difference of the two sides", ylim=(-0.7, len(data) + 0.5))
    ax.set_yticks(range(len(data)), [str(name).replace("-", " ") for name in data["model"]])
    ax.tick_params(axis="y", labelsize=7, length=0)
    equal = data.loc[data["value"] <= 1e-3, "value"]
    apart = data.loc[data["value"] > 1e-3, "value"]
    alt = f"The sides of {len(equal)} statements differ by at most {equal.max():.1g}; of {len(apart)} that must differ, by up to {apart.max():.2g}."
    return Figure(figure, data, alt=alt, title="How exact the exact statements are")


def gradient_through_layers(results: Results) -> Figure:
    """Gradient that returns through many layers or steps, over that at the output. Lines are geometric means over random networks, dots
    single ones. Plain layers lose a constant factor each; a skip connection and the cell of an LSTM with open forget gates carry it on.
    """
    results.need("statements-further")
    rows = results.select(run="statements-further", metric="gradient_share")
    figure, axes = canvas(1.5 * COLUMN, 2.4)
    ax = axes[0, 0]
    for k, (model, name) in enumerate(_LAYERS.items()):
        part = rows[rows["model"] == model]
        means = np.exp(np.log(part["value"]).groupby(part["at"]).mean())
        dots(ax, part["at"], part["value"], colour=PALETTE[k])
        ax.plot(means.index, means, color=PALETTE[k])
        label_end(ax, float(means.index.max()), float(means.iloc[-1]), name, PALETTE[k], dx=6, dy=(4, -4, 0)[k])  # the first two are close
    ax.set(yscale="log", xlabel="layers or steps before the output", ylabel="share of the gradient")
    ax.margins(x=0.02)
    data = rows[["model", "at", "seed", "value"]].rename(columns={"at": "depth"})
    deepest = data[data["depth"] == data["depth"].max()]
    alt = f"Mean share of the gradient after {deepest['depth'].max():g} layers: {in_words(deepest, 'model', 'value', '.2g')}."
    return Figure(figure, data, alt=alt, title="Gradient through many layers")


def same_or_different(results: Results) -> Figure:
    """Share of right answers to the question whether two objects of an image are the same, by their distance. Dots are seeds, lines means;
    the dotted line is chance. Two convolutions of 3x3 reach two cells; one layer of attention reaches every cell.
    """
    results.need("same-or-different")
    rows = results.select(run="same-or-different", metric="accuracy")
    figure, axes = canvas(1.5 * COLUMN, 2.4)
    ax = axes[0, 0]
    for k, model in enumerate(("attention", "convolution")):
        part = rows[rows["model"] == model]
        means = part.groupby("at")["value"].mean()
        dots(ax, part["at"], part["value"], colour=PALETTE[k])
        ax.plot(means.index, means, color=PALETTE[k])
        label_end(ax, float(means.index.max()), float(means.iloc[-1]), model, PALETTE[k], dx=6)
    ax.axhline(50, color="#777777", linewidth=0.8, linestyle=":")
    ax.set(xlabel="distance of the objects (cells)", ylabel="right answers (%)", ylim=(35, 103))
    data = rows[["model", "at", "seed", "value"]].rename(columns={"at": "distance"})
    ends = data[data["distance"].isin([data["distance"].min(), data["distance"].max()])]
    alt = f"Mean share of right answers in per cent, nearest and furthest: {in_words(ends, ['model', 'distance'], 'value', '.0f')}."
    return Figure(figure, data, alt=alt, title="Same or different, by distance")


def captions_of_patches(results: Results) -> Figure:
    """Share of right words, by kind, in captions that one transformer over patches and words writes: with the image, and with a blank one.
    Dots are seeds, squares means; the dotted line is chance for a word, one in three.
    """
    results.need("patches-and-words")
    kinds = {"colours_right": "colour", "shapes_right": "shape", "rows_right": "row", "captions_right": "whole caption"}
    rows = results.select(run="patches-and-words")
    data = rows.loc[rows["metric"].isin(kinds), ["metric", "model", "seed", "value"]]
    data = data.assign(words=data["metric"].map(kinds))
    figure, axes = canvas(1.5 * COLUMN, 2.2)
    ax = axes[0, 0]
    for k, (model, name) in enumerate({"images": "with the image", "blank": "blank image"}.items()):
        for y, kind in enumerate(kinds.values()):
            values = data.loc[(data["model"] == model) & (data["words"] == kind), "value"]
            dots(ax, values, np.full(len(values), y), colour=PALETTE[k])
            ax.plot(
                values.mean(),
                y,
                marker="s",
                markerfacecolor="white",
                markeredgecolor=PALETTE[k],
                linestyle="none",
                zorder=4,
                label=name if y == 0 else None,
            )
    ax.axvline(100 / 3, color="#777777", linewidth=0.8, linestyle=":")
    ax.set(xlabel="right (%)", xlim=(-3, 103), ylim=(len(kinds) - 0.5, -0.5))
    ax.set_yticks(range(len(kinds)), list(kinds.values()))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    alt = f"Mean share of right words in per cent: {in_words(data, ['model', 'words'], 'value', '.0f')}."
    return Figure(figure, data, alt=alt, title="Captions by one transformer over patches and words")
