"""Figures of the paper: one public function each; its name is the figure's id, its docstring the caption."""

from __future__ import annotations

import numpy as np
import pandas as pd

from replications.papers.align_and_translate.samples import known_positions, network_name
from replications.presentation.figure_writer import Figure
from replications.presentation.palette import PALETTE
from replications.presentation.theme import COLUMN, canvas, dots, in_words, label_end
from replications.results.reader import NotMeasured, Results

FAMILIES = {
    "WMT'14": ("wmt14-search-50", "wmt14-search-30", "wmt14-encdec-50", "wmt14-encdec-30"),
    "Bible": ("bible-search-50", "bible-search-30", "bible-encdec-50", "bible-encdec-30"),
    "made-up language": ("made-up-search-18", "made-up-search-8", "made-up-encdec-18", "made-up-encdec-8"),
}
"""Data -> runs of RNNsearch and RNNencdec, each trained on long and on short sentences."""

PUBLISHED = ("RNNsearch-50", "RNNsearch-30", "RNNencdec-50", "RNNencdec-30")
"""Columns of figure_2.csv, in the order of the runs."""

_STYLES = ("-", "--", "-", "--")
_COLOURS = (PALETTE[0], PALETTE[0], PALETTE[1], PALETTE[1])
_FEWEST = 20
"""Sentences that a bin of lengths needs to be drawn."""


_APART = {"RNNsearch-30": 4.5, "RNNencdec-50": -4.5}
"""Points by which the names of published curves that end side by side are moved apart."""


def _family(results: Results) -> tuple[str, tuple[str, ...]]:
    """Return the data of which all four networks are trained at this tier, and their runs."""
    for name, runs in FAMILIES.items():
        if all(results.finished(run) for run in runs):
            results.need(*runs)
            return name, runs
    raise NotMeasured("needs RNNsearch and RNNencdec, each trained on short and on long sentences")


def _label(results: Results, run: str) -> str:
    return network_name(results.labels(run))


def bleu_by_length(results: Results) -> Figure:
    """BLEU by length of the source sentence. Left: the paper's Figure 2, digitised from its vector path; its curves are smoothed. Right:
    ours, corpus BLEU of bins of lengths with twenty sentences or more, one dot a seed, lines through their means. Dotted lines mark the
    longest training sentences. The text of the paper says that RNNsearch-50 shows no deterioration with length; its figure also shows that
    RNNsearch-30 does, beyond the lengths that it was trained on.
    """
    name, runs = _family(results)
    figure, axes = canvas(2 * COLUMN, 2.9, columns=2)
    digitised = pd.read_csv(results.paper.folder / "figure_2.csv")
    for column, colour, style in zip(PUBLISHED, _COLOURS, _STYLES, strict=True):
        axes[0, 0].plot(digitised["words"], digitised[column], color=colour, linestyle=style)
        label_end(axes[0, 0], 59, float(digitised[column].iloc[-1]), column.removeprefix("RNN"), colour, dy=_APART.get(column, 0))
    axes[0, 0].set(title="published, WMT'14", xlabel="source words", ylabel="BLEU", xlim=(0, 72))
    tables = [digitised.melt("words", var_name="network", value_name="value").assign(source="published", seed=-1)]
    for run, colour, style in zip(runs, _COLOURS, _STYLES, strict=True):
        rows = results.select(run=run, metric="bleu", split="test", axis="source_words")
        sentences = results.select(run=run, metric="sentences", split="test", axis="source_words").groupby("at")["value"].min()
        rows = rows[rows["at"].isin(sentences.index[sentences >= _FEWEST])]
        mean = rows.groupby("at")["value"].mean()
        if mean.empty:
            raise NotMeasured(f"needs a test set with {_FEWEST} sentences of one range of lengths")
        axes[0, 1].plot(mean.index, mean, color=colour, linestyle=style)
        dots(axes[0, 1], rows["at"], rows["value"], colour=colour)
        label_end(axes[0, 1], float(mean.index[-1]), float(mean.iloc[-1]), _label(results, run).removeprefix("RNN"), colour)
        ours = pd.DataFrame({"words": rows["at"], "network": _label(results, run), "value": rows["value"], "seed": rows["seed"]})
        tables.append(ours.assign(source=name))
        axes[0, 1].axvline(results.labels(run)["longest"], color="#555555", linewidth=1.2, linestyle=":", zorder=0.9)
    for longest in (30, 50):
        axes[0, 0].axvline(longest, color="#555555", linewidth=1.2, linestyle=":", zorder=0.9)
    axes[0, 1].set(title=f"ours, {name}", xlabel="source words", ylim=(0, None))
    axes[0, 1].margins(x=0.15)
    axes[0, 0].set_ylim(0, None)
    data = pd.concat(tables, ignore_index=True)
    ours = data[data["source"] == name]
    ends = ours[ours["words"].isin([ours["words"].min(), ours["words"].max()])].astype({"words": int})
    alt = f"Our mean BLEU at the shortest and the longest lengths: {in_words(ends, ['network', 'words'], form='.1f')}."
    return Figure(figure, data, alt=alt, title="BLEU by length of the sentence")


def bleu_by_network(results: Results) -> Figure:
    """BLEU over all test sentences, and over those without an unknown word on either side, where none may be generated; one dot a seed.
    Open markers are Table 1 of the paper, of other data where ours are not WMT'14.
    """
    name, runs = _family(results)
    figure, axes = canvas(2 * COLUMN, 2.2, columns=2, sharey=True)
    table = results.table("table-1")
    rows_published = {row.label: row for row in table.rows}
    tables = []
    for ax, metric, measure, title in zip(
        axes[0], ("bleu", "bleu_without_unknown"), ("all", "known"), ("all sentences", "without unknown words"), strict=True
    ):
        for y, (run, colour, published_label) in enumerate(zip(runs, _COLOURS, PUBLISHED, strict=True)):
            rows = results.select(run=run, metric=metric, split="test", axis="")
            dots(ax, rows["value"], np.full(len(rows), y), colour=colour)
            value = rows_published[published_label].value("iclr", measure)
            ax.scatter([value], [y], facecolors="none", edgecolors=colour, marker="D", s=30, linewidths=1)
            tables.append(pd.DataFrame({"network": _label(results, run), "metric": metric, "seed": rows["seed"], "value": rows["value"]}))
        ax.set(title=title, xlabel="BLEU", xlim=(0, None))
    axes[0, 0].set_yticks(range(len(runs)), [_label(results, run) for run in runs])
    axes[0, 0].set_ylim(len(runs) - 0.5, -0.5)
    data = pd.concat(tables, ignore_index=True)
    return Figure(figure, data, alt=f"Mean BLEU, {name}: {in_words(data, ['metric', 'network'], form='.1f')}.", title="BLEU by network")


def learning_curves(results: Results) -> Figure:
    """Cross-entropy per target word on validation sentences of the training lengths, one line a seed. Networks of different training
    lengths are validated on different sentences.
    """
    name, runs = _family(results)
    figure, axes = canvas(2 * COLUMN, 2.4)
    tables, ends = [], []
    for run, colour, style in zip(runs, _COLOURS, _STYLES, strict=True):
        rows = results.select(run=run, metric="word_loss", split="validation")
        for _, curve in rows.groupby("seed"):
            axes[0, 0].plot(curve["step"], curve["value"], color=colour, linestyle=style, alpha=0.7)
        last = rows[rows["step"] == rows["step"].max()]
        ends.append((float(last["value"].mean()), float(last["step"].iloc[0]), _label(results, run), colour))
        tables.append(rows[["seed", "step", "value"]].assign(network=_label(results, run)))
    axes[0, 0].set(xlabel="update", ylabel="nats per target word", ylim=(0, None))
    axes[0, 0].margins(x=0.14)
    gap = 0.07 * axes[0, 0].get_ylim()[1]  # the height of a label
    lowest = gap / 2
    for value, step, label, colour in sorted(ends):
        y = max(value, lowest)
        label_end(axes[0, 0], step, y, label, colour)
        lowest = y + gap
    data = pd.concat(tables, ignore_index=True)
    final = data[data["step"] == data.groupby("network")["step"].transform("max")]
    return Figure(figure, data, alt=f"Final losses, {name}: {in_words(final, 'network')}.", title="Learning curves")


def alignments(results: Results) -> Figure:
    """Attention of RNNsearch while it translates: rows are its words, columns those of the source, dark is a large weight. The first four
    sentences of a random draw with a fixed seed, one network.
    """
    runs = [run for runs in FAMILIES.values() for run in runs[:2] if results.finished(run)]
    drawn = [run for run in runs if "sample_weights" in results.artifacts(run)]
    if not drawn:
        raise NotMeasured("needs a run of RNNsearch that stores samples")
    arrays = results.artifacts(drawn[0])
    figure, axes = canvas(2 * COLUMN, 2 * COLUMN, columns=2, rows=2)
    tables, notes = [], []
    for i, ax in zip(range(min(4, len(arrays["sample_source"]))), axes.flat, strict=False):
        source, target = ([*str(arrays[f"sample_{name}"][i]).split(), "<end>"] for name in ("source", "translation"))
        weights = arrays["sample_weights"][i, : len(target), : len(source)]
        ax.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="auto")
        ax.set_xticks(range(len(source)), source, rotation=90, fontsize=5)
        ax.set_yticks(range(len(target)), target, fontsize=5)
        ax.tick_params(length=0)
        ax.grid(visible=False)
        for row, column in known_positions(arrays, i):
            notes = ["Circles mark the word that the reference translates, where the network wrote the same word."]
            ax.plot(column, row, marker="o", markersize=3.5, markerfacecolor="none", markeredgecolor=PALETTE[1], linestyle="none")
        place = [(row, column) for row in range(len(target)) for column in range(len(source))]
        tables.append(
            pd.DataFrame(place, columns=["target_position", "source_position"]).assign(
                sentence=i,
                target=[target[row] for row, _ in place],
                source=[source[column] for _, column in place],
                weight=[float(weights[row, column]) for row, column in place],
            )
        )
    data = pd.concat(tables, ignore_index=True)
    largest = data.groupby(["sentence", "target_position"])["weight"].max().mean()
    alt = f"Four matrices of attention of {_label(results, drawn[0])}; the largest weight of a target word is {largest:.2f} on average."
    return Figure(figure, data, alt=alt, title="Alignments found by RNNsearch", runs=[drawn[0]], notes=notes)
