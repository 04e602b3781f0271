"""Figures: one public function each; its name is the figure's id, its docstring the caption."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from replications.errors import InputError
from replications.presentation.figure_writer import Figure
from replications.presentation.palette import PALETTE
from replications.presentation.theme import COLUMN, canvas, dots, in_words, published
from replications.results.reader import NotMeasured, Results

HEADS = {"average": "average", "lstm": "LSTM", "convolution": "convolution", "transformer": "transformer"}
INPUTS = {"rgb": "RGB", "flow": "motion", "half": "1/2 + 1/2", "third": "1/3 + 2/3"}
ORDERS = {"accuracy": "as recorded", "shuffled_accuracy": "shuffled", "reversed_accuracy": "backwards"}


def _runs(results: Results, data: str) -> dict[str, str]:
    """Return the finished classification runs on a data set, by head."""
    found = {}
    for run in results.runs():
        labels = run.labels
        if labels.get("data") == data and labels.get("official_split", 1) == 1 and "head" in labels and results.finished(run.name):
            found[str(labels["head"])] = run.name
    return {head: found[head] for head in HEADS if head in found}


def _colour(head: str) -> str:
    """Return the colour of a head, the same in every figure and whichever heads are finished."""
    return PALETTE[list(HEADS).index(head)]


def _by_stream(results: Results, data: str, title: str, *, appearance: str = "RGB", table: str = "") -> Figure:
    """Return accuracy against the input, one colour a head, one dot a seed, bars for means; published values as open diamonds."""
    runs = _runs(results, data)
    if not runs:
        raise NotMeasured(f"needs runs on {data}")
    figure, axes = canvas(2 * COLUMN, 2.6)
    ax: Axes = axes[0, 0]
    rows = []
    inputs = INPUTS | {"rgb": appearance}
    for i, (head, run) in enumerate(runs.items()):
        for x, model in enumerate(inputs):
            values = results.select(run=run, metric="accuracy", model=model)["value"].to_numpy()
            place = x + (i - (len(runs) - 1) / 2) * 0.18
            dots(ax, np.full(len(values), place), values, colour=_colour(head))
            label = HEADS[head] if x == 0 else None
            ax.plot([place - 0.07, place + 0.07], [values.mean()] * 2, color=_colour(head), linewidth=2, label=label)
            rows += [{"head": HEADS[head], "input": inputs[model], "value": value} for value in values]
    if table:
        for i, row in enumerate(results.table(table).rows[:2]):
            printed = [row.value("v4", model) for model in INPUTS]
            published(
                ax, list(range(4)), [value for value in printed if value is not None], colour=PALETTE[i], label=f"{row.label}, published"
            )
    ax.set_xticks(range(len(inputs)), list(inputs.values()))
    ax.set(ylabel="accuracy (%)", xlabel=f"input, and weights of {appearance} + motion in late fusion")
    ax.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    data_frame = pd.DataFrame(rows)
    alt = f"Mean accuracy by head and input: {in_words(data_frame, ['head', 'input'], 'value', '.1f')}."
    return Figure(figure, data_frame, alt=alt, title=title)


def ucf101_by_input(results: Results) -> Figure:
    """Accuracy on UCF-101, split 1, by head and input, one dot per seed, bars for means; diamonds are the published values of arXiv v4,
    which are means over three splits.
    """
    return _by_stream(results, "ucf101", "UCF-101, by head and input", table="table-1")


def subset_by_input(results: Results) -> Figure:
    """Accuracy on ten classes of UCF-101 by head and input, one dot per seed, bars for means. No recording is among both the training and the test
    videos.
    """
    return _by_stream(results, "ucf101-subset", "Ten classes of UCF-101, by head and input")


def skeletons_by_input(results: Results) -> Figure:
    """Accuracy on MSR Action3D for subjects that were not trained on, by head and input, one dot per seed, bars for means. Positions of joints
    stand for RGB, their differences between frames for flow.
    """
    return _by_stream(results, "skeletons", "MSR Action3D, by head and input", appearance="positions")


def digits_by_input(results: Results) -> Figure:
    """Accuracy on moving digits by head and input, one dot per seed, bars for means. Each class is another one played backwards, so that
    on RGB an average over frames has one chance in four once it knows the digit; a difference of two frames shows the direction by itself.
    """
    return _by_stream(results, "digits", "Moving digits, by head and input")


def effect_of_order(results: Results) -> Figure:
    """Accuracy of each head for frames as recorded, shuffled and backwards, one dot per seed, lines between means. Panels are of moving digits,
    RGB, and of MSR Action3D, motion, where they were trained. An average over frames cannot change when frames are shuffled. Backwards, a
    clip of moving digits belongs to another class, so that a network that reads order must be wrong by its label.
    """
    panels = {"digits": ("moving digits, RGB", "rgb"), "skeletons": ("MSR Action3D, motion", "flow")}
    available = {data: _runs(results, data) for data in panels}
    shown = {data: runs for data, runs in available.items() if runs}
    if not shown:
        raise NotMeasured("needs runs on digits or skeletons")
    figure, axes = canvas(2 * COLUMN, 2.6, columns=len(shown), sharey=True)
    rows = []
    for ax, (data, runs) in zip(axes[0], shown.items(), strict=True):
        title, model = panels[data]
        for i, (head, run) in enumerate(runs.items()):
            means, shift = [], 0.08 * (i - (len(runs) - 1) / 2)
            for x, metric in enumerate(ORDERS):
                values = results.select(run=run, metric=metric, model=model)["value"].to_numpy()
                dots(ax, np.full(len(values), x + shift), values, colour=_colour(head))
                means.append(values.mean())
                rows += [{"data": title, "head": HEADS[head], "frames": ORDERS[metric], "value": value} for value in values]
            ax.plot(np.arange(3) + shift, means, color=_colour(head), linewidth=1, label=HEADS[head])
        ax.set_xticks(range(3), list(ORDERS.values()))
        ax.set_title(title)
    axes[0, 0].set(ylabel="accuracy (%)", ylim=(-3, 103))
    axes[0, -1].legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    table = pd.DataFrame(rows)
    alt = f"Mean accuracy: {in_words(table, ['data', 'head', 'frames'], 'value', '.1f')}."
    return Figure(figure, table, alt=alt, title="What shuffling and reversing frames does")


def accuracy_by_frame(results: Results) -> Figure:
    """Accuracy of per-frame labels at each frame of clips in which the digit turns back, one dot per seed and lines for means. The first
    frame of a clip does not show a direction to anybody.
    """
    runs = _runs(results, "turning-digits")
    if not runs:
        raise NotMeasured("needs runs on turning digits")
    figure, axes = canvas(2 * COLUMN, 2.3)
    ax = axes[0, 0]
    tables = []
    for head, run in runs.items():
        colour = _colour(head)
        rows = results.select(run=run, metric="frame_accuracy_at", axis="frame")
        dots(ax, rows["at"].to_numpy(), rows["value"].to_numpy(), colour=colour)
        means = rows.groupby("at")["value"].mean()
        ax.plot(means.index, means, color=colour, label="each frame alone" if head == "average" else HEADS[head])
        tables.append(rows.assign(head=HEADS[head])[["head", "at", "seed", "value"]])
    ax.set(xlabel="frame", ylabel="frames labelled right (%)", ylim=(0, 103))
    ax.legend(frameon=False, fontsize=7)
    table = pd.concat(tables, ignore_index=True)
    return Figure(
        figure,
        table,
        alt=f"Mean accuracy by head and frame: {in_words(table, ['head', 'at'], 'value', '.0f')}.",
        title="Labels of single frames",
    )


def confusions(results: Results) -> Figure:
    """Which class of moving digits is taken for which, on RGB, in percent of the clips of a class, over all seeds; left the average over
    frames, right the LSTM. The four classes of a digit stand together, and of these right and left, and down and up, are each other's reversals.
    """
    runs = _runs(results, "digits")
    if not {"average", "lstm"} <= set(runs):
        raise NotMeasured("needs digits-average, digits-lstm")
    figure, axes = canvas(2 * COLUMN, 3.1, columns=2, sharey=True)
    tables = []
    for ax, head in zip(axes[0], ("average", "lstm"), strict=True):
        arrays = results.by_seed(runs[head], "confusion_rgb")
        if not arrays:
            raise InputError(f"{runs[head]} stores no confusion of classes.")
        counts = np.sum([matrix for (matrix,) in arrays.values()], axis=0)
        shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        names = [str(name) for name in results.artifacts(runs[head])["class_names"]]
        ax.imshow(shares, cmap="Greys", vmin=0, vmax=100)
        ax.set_title(HEADS[head])
        ax.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
        ax.set_yticks(range(len(names)), names, fontsize=6)
        ax.set_xlabel("answer")
        ax.grid(visible=False)
        tables.append(
            pd.DataFrame(
                [
                    {"head": HEADS[head], "class": names[i], "answer": names[j], "percent": shares[i, j]}
                    for i in range(len(names))
                    for j in range(len(names))
                ]
            )
        )
    axes[0, 0].set_ylabel("class")
    table = pd.concat(tables, ignore_index=True)
    right = table[table["class"] == table["answer"]]
    alt = f"Mean share of clips answered with their class: {in_words(right, 'head', 'percent', '.0f')} percent."
    return Figure(figure, table, alt=alt, title="Classes of moving digits that are confused")
