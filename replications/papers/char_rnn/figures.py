"""Figures: functions from results to drawings. Published values are open markers, every seed is a dot."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection

from replications.papers.char_rnn.figure_data import (
    BINARY,
    CELLS,
    CORPORA,
    KINDS,
    LABELS,
    array_of_all_seeds,
    corpus_of,
    cross_entropies,
    need_analysis,
    network_name,
    published_grid,
    published_orders,
)
from replications.papers.char_rnn.settings import Network, Settings
from replications.presentation.figure_writer import Figure
from replications.presentation.palette import ON_LIGHT, PALETTE
from replications.presentation.theme import COLUMN, canvas, dots, published
from replications.results.reader import NotMeasured, Results

GREY = "#767676"
MONOSPACE = 0.602
"""Width of a letter of DejaVu Sans Mono in em."""


def size_and_depth(results: Results) -> Figure:
    """Test cross-entropy by size, depth and kind of cell at equal parameters (Table 1). A row of the table is one position on
    the horizontal axis, named by the units of its one-layer LSTM. Dots are our seeds; open markers are published values as recalled.
    """
    ours = cross_entropies(results, "test")
    theirs = published_grid(results)
    corpora = list(dict.fromkeys(ours["corpus"]))
    cells = [cell for cell in CELLS if cell in set(ours["cell"]) | set(theirs["cell"])]
    figure, axes = canvas(height=2.7 * len(corpora), columns=len(cells), rows=len(corpora), sharey="row")
    for row, corpus in enumerate(corpora):
        mine, published_here = ours[ours["corpus"] == corpus], theirs[theirs["corpus"] == corpus]
        sizes = sorted({*mine["size"], *published_here["size"]})
        depths = sorted({*mine["layers"], *published_here["layers"]})
        for axis, cell in zip(axes[row], cells, strict=True):
            for layers in depths:
                colour, nudge = PALETTE[layers - 1], (layers - np.mean(depths)) * 0.16
                for frame, open_markers in ((mine, False), (published_here, True)):
                    chosen = frame[(frame["cell"] == cell) & (frame["layers"] == layers)]
                    x = [sizes.index(size) + nudge for size in chosen["size"]]
                    if open_markers:
                        published(axis, x, chosen["value"].tolist(), colour=colour, label="")
                    else:
                        dots(axis, x, chosen["value"], colour=colour)
                axes[row, 0].scatter(
                    [], [], s=14, color=colour, label=f"{layers} layer{'s' if layers > 1 else ''}" if cell == cells[0] else None
                )
            axis.set_xticks(range(len(sizes)), [str(size) for size in sizes])
            axis.set_xlim(-0.5, len(sizes) - 0.5)
            axis.set_title(CELLS[cell][0])
            axis.set_xlabel("row of Table 1 (units)")
        axes[row, 0].set_ylabel(f"{CORPORA[corpus]}\nnats a character")
    axes[0, 0].legend()
    means = ours.groupby(["corpus", "size", "cell", "layers"])["value"].mean().reset_index()
    described = zip(means["corpus"], means["size"], means["cell"], means["layers"], means["value"], strict=True)
    alt = "; ".join(
        f"{CORPORA[corpus]} {size}, {CELLS[cell][0]} with {layers}: {value:.3f}" for corpus, size, cell, layers, value in described
    )
    data = pd.concat([ours.assign(source="ours"), theirs.assign(source="published")], ignore_index=True)
    alt = f"Mean cross-entropy of our seeds. {alt}."
    return Figure(figure, data, alt=alt, title="Size, depth and kind of cell", runs=sorted(set(ours["run"])))


def learning_curves(results: Results) -> Figure:
    """Cross-entropy on validation text while training, one line a seed."""
    rows = cross_entropies(results, "validation").sort_values(["corpus", "size"], kind="stable")
    runs = list(dict.fromkeys(rows["run"]))
    columns = min(len(runs), 3)
    figure, axes = canvas(height=2.3 * -(-len(runs) // columns), columns=columns, rows=-(-len(runs) // columns), sharey=True)
    for axis in axes.flat[len(runs) :]:
        axis.axis("off")
    for axis, run in zip(axes.flat, runs, strict=False):
        chosen = rows[rows["run"] == run]
        named: set[str] = set()
        for (cell, layers, _), one in chosen.groupby(["cell", "layers", "seed"]):
            name, colour, _ = CELLS[str(cell)]
            style = {1: "-", 2: "--", 3: ":"}[int(layers)]
            axis.plot(one["step"], one["value"], style, color=colour, alpha=0.7, linewidth=1, label=name if name not in named else None)
            named.add(name)
        axis.set_title(f"{CORPORA[chosen['corpus'].iloc[0]]}, {chosen['size'].iloc[0]}")
        axis.set_xlabel("updates")
        axis.legend()
    for axis in axes[:, 0]:
        axis.set_ylabel("nats a character")
    first, last = rows[rows["step"] == 0]["value"], rows.sort_values("step").groupby(["run", "cell", "layers", "seed"]).tail(1)["value"]
    alt = f"Validation cross-entropy falls from {first.mean():.2f} to between {last.min():.2f} and {last.max():.2f} nats a character."
    return Figure(figure, rows, alt=alt, title="Learning curves", runs=runs)


def finite_horizon(results: Results) -> Figure:
    """Test cross-entropy of interpolated Kneser-Ney n-grams by order (Table 2), and of the recurrent network that validation text
    would choose (line: mean, dots: seeds). Open diamonds are the published n-grams as recalled.
    """
    rows = results.select(metric="cross_entropy", split="test", axis="order")
    if rows.empty:
        raise NotMeasured("needs a finished run with the analysis 'ngrams'")
    runs = {run.name: run for run in results.runs()}
    corpora = list(dict.fromkeys(corpus_of(runs[name]) for name in rows["run"]))
    figure, axes = canvas(height=2.6, columns=len(corpora))
    data, said, drawn = [], [], set(rows["run"])
    for axis, corpus in zip(axes[0], corpora, strict=True):
        chosen = rows[[corpus_of(runs[name]) == corpus for name in rows["run"]]]
        mine = pd.DataFrame({"order": chosen["at"].astype(int), "value": chosen["value"]}).groupby("order").mean().reset_index()
        axis.plot(mine["order"], mine["value"], "-", color=GREY)
        dots(axis, mine["order"], mine["value"], colour=GREY, label="n-gram, ours")
        data.append(mine.assign(corpus=corpus, source="ours"))
        theirs = published_orders(results, corpus, set(rows["run"]), runs)
        if len(theirs):
            published(axis, theirs["order"].tolist(), theirs["value"].tolist(), colour="#000000", label="n-gram, published")
            data.append(theirs)
        best = results.select(metric="best_cross_entropy", split="test", model="")
        best = best[[corpus_of(runs[name]) == corpus for name in best["run"]]]
        if len(best):
            size = max(runs[name].settings_as(Settings).size for name in best["run"])
            best = best[[runs[name].settings_as(Settings).size == size for name in best["run"]]]
            axis.axhline(best["value"].mean(), color=PALETTE[0], linewidth=1)
            dots(axis, np.full(len(best), mine["order"].max() + 0.8), best["value"], colour=PALETTE[0], label=f"network, row {size}")
            data.append(best.assign(corpus=corpus, source="network")[["corpus", "source", "seed", "value"]])
            drawn |= set(best["run"])
            said.append(f"{CORPORA[corpus]}: best n-gram {mine['value'].min():.3f}, network {best['value'].mean():.3f}")
        axis.set_title(CORPORA[corpus])
        axis.set_xticks([1, 5, 10, 15, 20])
        axis.set_xlabel("order n")
        axis.legend()
    axes[0, 0].set_ylabel("nats a character")
    alt = "; ".join(said) + "."
    return Figure(figure, pd.concat(data, ignore_index=True), alt=alt, title="Networks against n-grams", runs=sorted(drawn))


def closing_brackets(results: Results) -> Figure:
    """Probability that the network gives a closing bracket, less what the 20-gram gives it, by the distance to the opening one (Figure 5).
    Dots are seeds, lines their means; bins with fewer than five brackets are left out.
    """
    found = need_analysis(results, "brackets")
    figure, axes = canvas(width=1.5 * COLUMN, height=2.7)
    axis, data = axes[0, 0], []
    edges = np.array([0, 10, 20, 40, 60, 80, 100, 140, 200, 300, 500, 1000])
    for index, (run, name) in enumerate(found):
        distance = array_of_all_seeds(results, run, f"bracket_distance.{name}")
        gain = array_of_all_seeds(results, run, f"bracket_network.{name}") - array_of_all_seeds(results, run, f"bracket_ngram.{name}")
        rows = []
        for low, high in itertools.pairwise(edges):
            for seed, (far, gained) in enumerate(zip(distance, gain, strict=True)):
                chosen = (far > low) & (far <= high)
                if chosen.sum() >= 5:
                    rows.append((f"{low + 1}-{high}", np.sqrt(max(low, 5) * high), seed, gained[chosen].mean(), int(chosen.sum())))
        frame = pd.DataFrame(rows, columns=["distance", "middle", "seed", "gain", "brackets"]).assign(run=run.name, network=name)
        colour = PALETTE[index % len(PALETTE)]
        dots(axis, frame["middle"], frame["gain"], colour=colour, label=f"{CORPORA[corpus_of(run)]}, {network_name(name)}")
        means = frame.groupby("middle")["gain"].mean()
        axis.plot(means.index, means.to_numpy(), color=colour, linewidth=1)
        data.append(frame)
    axis.axhline(0, color=GREY, linewidth=0.8)
    axis.set_xscale("log")
    axis.set_xticks([10, 20, 60, 100, 300, 1000], ["10", "20", "60", "100", "300", "1,000"])
    axis.minorticks_off()
    axis.set_xlabel("characters back to the opening bracket")
    axis.set_ylabel("probability gained over the 20-gram")
    axis.legend()
    merged = pd.concat(data, ignore_index=True)
    alt = f"The gain lies between {merged['gain'].min():.2f} and {merged['gain'].max():.2f}."
    return Figure(figure, merged, alt=alt, title="Closing brackets by distance")


def gate_saturation(results: Results) -> Figure:
    """Share of time that each cell's gates are shut (below 0.1) and open (above 0.9); one dot a cell, first seed (Figure 3). Cells at the
    lower right of the forget gate integrate without loss; cells at the upper left would forget everything at each step.
    """
    found = [(run, name) for run, name in need_analysis(results, "gates") if Network.parse(name).cell == "lstm"]
    run, name = found[-1]
    shares = {gate: array_of_all_seeds(results, run, f"saturation.{gate}.{name}") for gate in ("input", "forget", "output")}
    figure, axes = canvas(height=2.6, columns=3, sharex=True, sharey=True)
    data = []
    for axis, (gate, values) in zip(axes[0], shares.items(), strict=True):
        axis.plot([0, 1], [1, 0], color="#cccccc", linewidth=0.8, zorder=1)
        for layer in range(values.shape[1]):
            shut, opened = values[0, layer, :, 0], values[0, layer, :, 1]
            axis.scatter(opened, shut, s=10, alpha=0.6, linewidths=0, color=PALETTE[layer], label=f"layer {layer + 1}", zorder=3)
            data.append(pd.DataFrame({"gate": gate, "layer": layer + 1, "unit": range(len(shut)), "shut": shut, "open": opened}))
        axis.set_title(f"{gate} gate")
        axis.set_xlabel("open, share of time")
    axes[0, 0].set_ylabel("shut, share of time")
    axes[0, 2].legend()
    merged = pd.concat(data, ignore_index=True).assign(run=run.name, network=name)
    means = merged.groupby(["gate", "layer"])["open"].mean().reset_index()
    shown = zip(means["gate"], means["layer"], means["open"], strict=True)
    alt = "Mean share of time open: " + ", ".join(f"{gate} gate of layer {layer} {value:.2f}" for gate, layer, value in shown) + "."
    return Figure(figure, merged, alt=alt, title=f"Gates of the {network_name(name)}")


def kinds_of_error(results: Results) -> Figure:
    """Characters that got less than half of the probability, by the first oracle that would have repaired them (Figure 7). One bar a
    network and seed, as a share of all characters scored.
    """
    found = need_analysis(results, "errors")
    found.sort(key=lambda pair: (corpus_of(pair[0]), pair[0].settings_as(Settings).size, pair[1]))
    rows, labels = [], []
    for run, name in found:
        for seed in run.seeds:
            wrong = results.final(run.name, "errors", model=name).get(seed)
            scored = results.final(run.name, "scored_characters", model=name).get(seed)
            if wrong is None or scored is None:
                continue
            labels.append(
                f"{CORPORA[corpus_of(run)]}, {run.settings_as(Settings).size}, {network_name(name)}" if seed == run.seeds[0] else ""
            )
            shares = {kind: results.final(run.name, f"errors_{kind}", model=name)[seed] / scored for kind in KINDS}
            rows += [(run.name, name, seed, len(labels) - 1, kind, share) for kind, share in shares.items()]
    if not rows:
        raise NotMeasured("needs a finished run with the analysis 'errors'")
    frame = pd.DataFrame(rows, columns=["run", "network", "seed", "bar", "kind", "share"])
    figure, axes = canvas(height=0.9 + 0.2 * len(labels))
    axis, left = axes[0, 0], np.zeros(len(labels))
    for index, (kind, text) in enumerate(KINDS.items()):
        share = frame[frame["kind"] == kind].sort_values("bar")["share"].to_numpy()
        axis.barh(range(len(labels)), share, left=left, height=0.8, color=[*PALETTE[:6], "#bbbbbb"][index], label=text)
        left += share
    axis.set_yticks(range(len(labels)), labels)
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    axis.set_xlabel("share of characters that are errors")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    totals = frame.groupby(["run", "network", "kind"], sort=False)["share"].mean().reset_index()
    alt = "; ".join(f"{one.run} {one.network} {one.kind}: {one.share:.3f}" for one in totals.itertuples()) + "."
    return Figure(figure, frame, alt=alt, title="Kinds of error")


def readable_cells(results: Results) -> Figure:
    """Every unit's score for every label, on text it was not chosen on. Left: balanced accuracy of one threshold. Right: correlation, in
    the direction of the selection text. Dots are units, all seeds; rings mark the unit that the selection text chose. Crosses: the same
    units where labels were moved along the text. Bars: the best unit of an untrained network, one a seed.
    """
    found = need_analysis(results, "cells")
    run, name = found[0]
    recorded = [key for key in LABELS if f"score.{key}.{name}" in results.artifacts(run.name, run.seeds[0])]
    keys = [
        key for key in recorded if bool((array_of_all_seeds(results, run, f"p.{key}.{name}") < 1).any())
    ]  # others were too rare to score
    rows = []
    for key in keys:
        arrays = {
            what: array_of_all_seeds(results, run, f"{what}.{key}.{name}") for what in ("score", "shuffled", "untrained", "chosen", "p")
        }
        for seed, scores in enumerate(arrays["score"]):
            for unit, score in enumerate(scores):
                chosen = unit == arrays["chosen"][seed]
                one = (arrays["shuffled"][seed][unit], arrays["untrained"][seed][unit], arrays["p"][seed][unit])
                rows.append((key, seed, unit, score, *one, chosen))
    frame = pd.DataFrame(rows, columns=["label", "seed", "unit", "score", "shuffled", "untrained", "p", "chosen"])
    kinds = [
        ("balanced accuracy", [key for key in keys if key in BINARY], 0.5),
        ("correlation r", [key for key in keys if key not in BINARY], 0.0),
    ]
    kinds = [kind for kind in kinds if kind[1]]
    figure, axes = canvas(height=2.9, columns=len(kinds), width_ratios=[max(len(kind[1]), 1.2) for kind in kinds])
    jitter = np.random.default_rng(0)
    for axis, (title, chosen_keys, chance) in zip(axes[0], kinds, strict=True):
        for position, key in enumerate(chosen_keys):
            part = frame[frame["label"] == key]
            x = position + jitter.uniform(-0.3, 0.05, len(part))
            axis.scatter(
                position + jitter.uniform(0.15, 0.35, len(part)), part["shuffled"], s=7, marker="x", color=GREY, alpha=0.5, linewidths=0.6
            )
            axis.scatter(x, part["score"], s=7, color=PALETTE[0], alpha=0.45, linewidths=0)
            best = part["chosen"].to_numpy()
            axis.scatter(x[best], part["score"][best], s=46, facecolors="none", edgecolors=PALETTE[1], linewidths=1.3, zorder=4)
            axis.hlines(part.groupby("seed")["untrained"].first(), position - 0.35, position + 0.1, color="#000000", linewidth=1)
        axis.axhline(chance, color=GREY, linewidth=0.8)
        axis.set_xticks(range(len(chosen_keys)), [LABELS[key].replace(" ", "\n", 1) for key in chosen_keys])
        axis.set_xlim(-0.5, len(chosen_keys) - 0.5)
        axis.set_ylabel(title)
        axis.grid(visible=False, axis="x")
    marks = [("unit, trained", "o", PALETTE[0]), ("labels moved", "x", GREY), ("untrained, best", "_", "#000000")]
    for text, marker, colour in marks:
        axes[0, 0].scatter([], [], s=14, marker=marker, color=colour, label=text)
    axes[0, 0].scatter([], [], s=40, facecolors="none", edgecolors=PALETTE[1], label="chosen beforehand")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    means = frame[frame["chosen"]].groupby("label", sort=False)[["score", "untrained"]].mean().reset_index()
    alt = "; ".join(f"{LABELS[str(one.label)]}: {one.score:.2f} (untrained {one.untrained:.2f})" for one in means.itertuples())
    title = f"Units of the {network_name(name)}, {CORPORA[corpus_of(run)]}"
    return Figure(figure, frame.assign(run=run.name, network=name), alt=f"Chosen units: {alt}.", title=title)


def a_cell_on_text(results: Results) -> Figure:
    """The cell that follows an open comment or quotation best, on text it was not chosen on (as Figure 2). Colour: tanh of its state, blue
    below and orange above zero. The line under the text is the parser's truth. First seed, where the labels change most often.
    """
    run, name = need_analysis(results, "cells")[0]
    arrays = results.artifacts(run.name, run.seeds[0])
    keys = [key for key in BINARY if f"score.{key}.{name}" in arrays]
    key = max(keys, key=lambda each: arrays[f"selection.{each}.{name}"][0].max())
    unit = int(arrays[f"chosen.{key}.{name}"][0])
    text = bytes(arrays[f"explorer_text.{name}"]).decode("latin-1")
    values = arrays[f"explorer_units.{name}"][unit] / 127 - 1
    truth = arrays[f"explorer_label.{key}.{name}"] > 0
    width, height = 88, 24
    colours = np.where(values[:, None] > 0, (0.90, 0.45, 0.05), (0.0, 0.45, 0.75))
    shades = 1 - 0.6 * np.abs(values)[:, None] * (1 - colours)  # pale enough to read black letters on
    lines = text.split("\n")[:height]
    starts = np.cumsum([0, *(len(line) + 1 for line in lines)])
    figure, axes = canvas(height=4.4)
    axis = axes[0, 0]
    axis.set_axis_off()
    picture = np.ones((len(lines), width, 3))
    held: list[list[tuple[int, float]]] = []
    for row, (line, start) in enumerate(zip(lines, starts[:-1], strict=True)):
        shown = line[:width]
        picture[row, : len(shown)] = shades[start : start + len(shown)]
        held += [
            [(column, row + 0.97), (column + 1, row + 0.97)] for column, inside in enumerate(truth[start : start + len(shown)]) if inside
        ]
        for word in re.finditer(r"\S+", shown):  # a font that is a little wider or narrower stays near its cells
            size = {"family": "DejaVu Sans Mono", "fontsize": 72 * 2 * COLUMN / width / MONOSPACE, "color": ON_LIGHT}
            axis.text(word.start(), row + 0.5, word.group(), ha="left", va="center", parse_math=False, **size)
    axis.imshow(picture, extent=(0, width, len(lines), 0), aspect="auto", interpolation="nearest")
    axis.add_collection(LineCollection(held, colors=ON_LIGHT, linewidths=1))
    axis.set_xlim(0, width)
    axis.set_ylim(len(lines), 0)
    drawn = min(int(starts[-1]), len(text))
    data = pd.DataFrame({"character": list(text[:drawn]), "activation": values[:drawn], "truth": truth[:drawn]})
    within, elsewhere = (float(np.mean(values[:drawn][mask])) for mask in (truth[:drawn], ~truth[:drawn]))
    alt = f"Unit {unit}: mean activation {within:.2f} where the label holds, {elsewhere:.2f} elsewhere."
    return Figure(figure, data, alt=alt, title=f"Unit {unit} of the {network_name(name)}: {LABELS[key]}")


def memory_beyond_the_window(results: Results) -> Figure:
    """Memory of the chosen cell: the share of open characters at which it is on, by the characters since the opening; dots are
    seeds. Left of the dashed line, back-propagation saw the opening; right of it the network was never trained to remember so far.
    """
    found = need_analysis(results, "cells")
    figure, axes = canvas(width=1.5 * COLUMN, height=2.6)
    axis, data = axes[0, 0], []
    for index, (run, name) in enumerate(found):
        edges = results.artifacts(run.name, run.seeds[0])[f"held_edges.{name}"]
        middles = np.sqrt(np.maximum(edges[:-1], 4) * edges[1:])
        keys = [key for key in BINARY if f"held.{key}.{name}" in results.artifacts(run.name, run.seeds[0])]
        key = max(keys, key=lambda each: array_of_all_seeds(results, run, f"selection.{each}.{name}").max())
        held, alarms = (
            array_of_all_seeds(results, run, f"held.{key}.{name}"),
            array_of_all_seeds(results, run, f"false_alarms.{key}.{name}"),
        )
        colour = PALETTE[index % len(PALETTE)]
        for seed, values in enumerate(held):
            text = f"{CORPORA[corpus_of(run)]}, {network_name(name)}: {LABELS[key]}" if seed == 0 else None
            dots(axis, middles, values, colour=colour, label=text)
            data.append(
                pd.DataFrame({"run": run.name, "label": key, "seed": seed, "since": edges[:-1], "on": values, "elsewhere": alarms[seed]})
            )
        with_data = ~np.isnan(held).all(axis=0)
        axis.plot(middles[with_data], np.nanmean(held[:, with_data], axis=0), color=colour, linewidth=1)
        axis.axhline(alarms.mean(), color=colour, linewidth=0.8, linestyle=":", label="where nothing is open")
        window = run.settings_as(Settings).seq_len
        axis.axvline(window, color=GREY, linewidth=0.8, linestyle="--")
        axis.annotate(f"{window} characters", (window, 1.02), xytext=(3, 0), textcoords="offset points", fontsize=7.5, color=GREY)
    axis.set_xscale("log")
    axis.set_xticks([6, 12, 25, 50, 100, 200, 400], ["6", "12", "25", "50", "100", "200", "400"])
    axis.minorticks_off()
    axis.set_ylim(0, 1.1)
    axis.set_xlabel("characters since the opening")
    axis.set_ylabel("share at which the cell is on")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2)  # no corner is free of curves
    frame = pd.concat(data, ignore_index=True)
    alt = "; ".join(f"from {since}: {value:.2f}" for since, value in frame.groupby("since")["on"].mean().dropna().items())
    return Figure(figure, frame, alt=f"Share on, by characters since the opening: {alt}.", title="Memory beyond the window of training")


def clamping_a_cell(results: Results) -> Figure:
    """Loss from clamping one cell to its mean outside while something is open, in nats per character: nothing clamped, the chosen cell,
    and eight other cells picked at random (mean). Dots are seeds.
    """
    parts = [
        results.select(metric=f"loss_{what}_{label}", split="test")[["run", "model", "seed", "value"]].assign(what=what, label=label)
        for label in BINARY
        for what in ("free", "clamped", "others")
    ]
    frame = pd.concat(parts, ignore_index=True).rename(columns={"model": "network"})
    if frame.empty:
        raise NotMeasured("needs an LSTM analysed with 'cells'")
    wide = frame.pivot_table(index=["run", "network", "label", "seed"], columns="what", values="value").reset_index()
    wide["chosen cell"], wide["other cells"] = wide["clamped"] - wide["free"], wide["others"] - wide["free"]
    groups = list(wide.groupby(["run", "network", "label"], sort=False))
    figure, axes = canvas(width=1.5 * COLUMN, height=2.4)
    axis = axes[0, 0]
    for index, (_, group) in enumerate(groups):
        for shift, column, colour in ((-0.15, "chosen cell", PALETTE[1]), (0.15, "other cells", GREY)):
            dots(axis, np.full(len(group), index + shift), group[column], colour=colour, label=column if index == 0 else None)
    runs = {run.name: run for run in results.runs()}
    names = [
        f"{CORPORA[corpus_of(runs[str(run)])]}\n{network_name(str(network))}\n{LABELS[str(label)]}" for (run, network, label), _ in groups
    ]
    axis.set_xticks(range(len(groups)), names)
    axis.set_xlim(-0.6, len(groups) - 0.4)
    axis.axhline(0, color=GREY, linewidth=0.8)
    axis.set_ylabel("nats a character lost\nwhile it is open")
    axis.legend(loc="center right")
    alt = "; ".join(
        f"{' '.join(map(str, key))}: {one['chosen cell'].mean():.3f} against {one['other cells'].mean():.3f}" for key, one in groups
    )
    alt = f"Loss added by the chosen cell against others: {alt}."
    return Figure(figure, wide, alt=alt, title="Holding one cell", runs=sorted(set(wide["run"])))


def samples_along_training(results: Results) -> Figure:
    """Samples after so many updates, first seed (compare the essay), and below each the share of
    its words of three letters or more that the training text has, all seeds.
    """
    run, name = need_analysis(results, "samples")[0]
    arrays = results.artifacts(run.name, run.seeds[0])
    steps, texts = arrays[f"sample_steps.{name}"].tolist(), arrays[f"samples.{name}"].tolist()
    known = results.select(run=run.name, metric="known_words", split="train", model=name)
    figure, axes = canvas(height=0.72 * len(steps))
    axis, rows = axes[0, 0], []
    axis.set_axis_off()
    axis.set_xlim(0, 1)
    axis.set_ylim(-len(steps), 0)
    for index, (step, text) in enumerate(zip(steps, texts, strict=True)):
        shares = known[known["step"] == step]["value"]
        shown = "".join(c if c.isprintable() or c == "\n" else "\u00b7" for c in text)
        lines = [line[:92] for line in shown.split("\n") if line.strip()][:5]
        axis.text(0, -index - 0.05, f"{step:,} updates", fontsize=8, weight="bold", va="top")
        axis.text(0, -index - 0.27, f"known words\n{', '.join(f'{share:.0%}' for share in shares)}", fontsize=7, va="top", color=GREY)
        axis.text(0.17, -index - 0.05, "\n".join(lines), fontsize=6.2, family="DejaVu Sans Mono", va="top", parse_math=False)
        rows.append((step, text, shares.mean()))
    data = pd.DataFrame(rows, columns=["step", "text", "known_words"])
    alt = "Known words: " + ", ".join(f"{share:.0%} after {step:,} updates" for step, _, share in rows) + "."
    return Figure(figure, data, alt=alt, title=f"Samples along training, {network_name(name)}")


def temperature(results: Results) -> Figure:
    """Greedy choice against sampling: known words and repetition of the text written, by temperature (0 takes the likeliest character).
    Repetition is the share of 20-character stretches that occurred before in the same sample of 1,000 characters. Dots are seeds.
    """
    run, name = need_analysis(results, "samples")[0]
    figure, axes = canvas(width=1.6 * COLUMN, height=2.2, columns=2)
    data = []
    for axis, metric, title in zip(axes[0], ("known_words", "repetition"), ("known words", "repetition"), strict=True):
        for index, value in enumerate((0.0, 0.5, 1.0)):
            seeds = results.final(run.name, metric, model=name, axis="temperature", at=value)
            dots(axis, np.full(len(seeds), index), seeds, colour=PALETTE[0])
            data.append(pd.DataFrame({"measure": metric, "temperature": value, "seed": seeds.index, "value": seeds.to_numpy()}))
        axis.set_xticks(range(3), ["0 (greedy)", "0.5", "1"])
        axis.set_xlim(-0.5, 2.5)
        axis.set_ylim(-0.05, 1.05)
        axis.set_xlabel("temperature")
        axis.set_ylabel(f"{title}, share")
    frame = pd.concat(data, ignore_index=True)
    means = frame.groupby(["measure", "temperature"])["value"].mean().reset_index()
    shown = zip(means["measure"], means["temperature"], means["value"], strict=True)
    alt = "; ".join(f"{what} at {at:g}: {value:.2f}" for what, at, value in shown)
    return Figure(figure, frame, alt=f"{alt}.", title="Greedy choice and temperature")
