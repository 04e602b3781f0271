"""Figures: every public function returns one figure; its docstring is the caption. Published values are open markers, seeds are dots."""

from __future__ import annotations

import numpy as np
import pandas as pd

from replications.papers.char_rnn.figure_data import (
    BINARY,
    CELLS,
    CORPORA,
    KINDS,
    LABELS,
    bracket_gains,
    corpus_of,
    cross_entropies,
    error_shares,
    need_analysis,
    network_name,
    outline_notes,
    published_grid,
    published_orders,
)
from replications.papers.char_rnn.settings import Network, Settings
from replications.papers.char_rnn.unit_drawing import GREY, draw_activation_text, draw_score_legend, draw_unit_scores
from replications.papers.char_rnn.unit_figure_data import (
    GATES,
    best_unit_on_text,
    clamping_losses,
    gate_shares,
    memory,
    scored_labels,
    unit_scores,
)
from replications.presentation.figure_writer import Figure
from replications.presentation.palette import FAR_APART, PALETTE
from replications.presentation.theme import COLUMN, canvas, dots, published
from replications.results.reader import NotMeasured, Results


def size_and_depth(results: Results) -> Figure:
    """Test cross-entropy by size, depth and cell type at equal numbers of parameters (Table 1). Each position on the horizontal axis
    is one row of the table, named after the hidden size of its one-layer LSTM. Dots are seeds.
    """
    ours = cross_entropies(results, "test")
    published_values = published_grid(results)
    corpora = list(dict.fromkeys(ours["corpus"]))
    cells = [cell for cell in CELLS if cell in set(ours["cell"]) | set(published_values["cell"])]
    figure, axes = canvas(height=2.7 * len(corpora), columns=len(cells), rows=len(corpora), sharey="row")
    for row, corpus in enumerate(corpora):
        our_rows, published_rows = ours[ours["corpus"] == corpus], published_values[published_values["corpus"] == corpus]
        sizes = sorted({*our_rows["size"], *published_rows["size"]})
        depths = sorted({*our_rows["layers"], *published_rows["layers"]})
        for axis, cell in zip(axes[row], cells, strict=True):
            for layers in depths:
                colour, offset = PALETTE[layers - 1], (layers - np.mean(depths)) * 0.16
                for frame, open_markers in ((our_rows, False), (published_rows, True)):
                    selected = frame[(frame["cell"] == cell) & (frame["layers"] == layers)]
                    x = [sizes.index(size) + offset for size in selected["size"]]
                    if open_markers:
                        published(axis, x, selected["value"].tolist(), colour=colour, label="")
                    else:
                        dots(axis, x, selected["value"], colour=colour)
                axes[row, 0].scatter(
                    [], [], s=14, color=colour, label=f"{layers} layer{'s' if layers > 1 else ''}" if cell == cells[0] else None
                )
            axis.set_xticks(range(len(sizes)), [str(size) for size in sizes])
            axis.set_xlim(-0.5, len(sizes) - 0.5)
            axis.set_title(CELLS[cell][0])
            axis.set_xlabel("row of Table 1 (units)")
        axes[row, 0].set_ylabel(f"{CORPORA[corpus]}\nnats per character")
    axes[0, 0].legend()
    means = ours.groupby(["corpus", "size", "cell", "layers"])["value"].mean().reset_index()
    described = zip(means["corpus"], means["size"], means["cell"], means["layers"], means["value"], strict=True)
    alt = "; ".join(
        f"{CORPORA[corpus]} {size}, {CELLS[cell][0]} with {layers}: {value:.3f}" for corpus, size, cell, layers, value in described
    )
    data = pd.concat([ours.assign(source="ours"), published_values.assign(source="published")], ignore_index=True)
    alt = f"Mean cross-entropy of our seeds. {alt}."
    return Figure(
        figure, data, alt=alt, title="Size, depth and cell type", runs=sorted(set(ours["run"])), notes=_recalled(published_values)
    )


def learning_curves(results: Results) -> Figure:
    """Validation cross-entropy during training, one line per seed."""
    rows = cross_entropies(results, "validation").sort_values(["corpus", "size"], kind="stable")
    runs = list(dict.fromkeys(rows["run"]))
    columns = min(len(runs), 3)
    figure, axes = canvas(height=2.3 * -(-len(runs) // columns), columns=columns, rows=-(-len(runs) // columns), sharey=True)
    for axis in axes.flat[len(runs) :]:
        axis.axis("off")
    for axis, run in zip(axes.flat, runs, strict=False):
        run_rows = rows[rows["run"] == run]
        labelled: set[str] = set()
        for (cell, layers, _), curve in run_rows.groupby(["cell", "layers", "seed"]):
            name, colour, _ = CELLS[str(cell)]
            style = {1: "-", 2: "--", 3: ":"}[int(layers)]
            axis.plot(
                curve["step"], curve["value"], style, color=colour, alpha=0.7, linewidth=1, label=name if name not in labelled else None
            )
            labelled.add(name)
        axis.set_title(f"{CORPORA[run_rows['corpus'].iloc[0]]}, {run_rows['size'].iloc[0]}")
        axis.set_xlabel("updates")
        axis.legend()
    for axis in axes[:, 0]:
        axis.set_ylabel("nats per character")
    first, last = rows[rows["step"] == 0]["value"], rows.sort_values("step").groupby(["run", "cell", "layers", "seed"]).tail(1)["value"]
    alt = f"Validation cross-entropy falls from {first.mean():.2f} to between {last.min():.2f} and {last.max():.2f} nats per character."
    depths = [
        f"{style}: {words} layers."
        for layers, style, words in ((2, "Dashed", "two"), (3, "Dotted", "three"))
        if (rows["layers"] == layers).any()
    ]
    return Figure(figure, rows, alt=alt, title="Learning curves", runs=runs, notes=depths)


def finite_horizon(results: Results) -> Figure:
    """Test cross-entropy of modified Kneser-Ney n-grams by order (Table 2), and of the recurrent network with the lowest
    validation cross-entropy (line: mean, dots: seeds).
    """
    rows = results.select(metric="cross_entropy", split="test", axis="order")
    if rows.empty:
        raise NotMeasured("needs a finished run with the analysis 'ngrams'")
    runs = {run.name: run for run in results.runs()}
    corpora = list(dict.fromkeys(corpus_of(runs[name]) for name in rows["run"]))
    figure, axes = canvas(height=2.6, columns=len(corpora))
    data, summaries, drawn_runs = [], [], set(rows["run"])
    for axis, corpus in zip(axes[0], corpora, strict=True):
        corpus_rows = rows[[corpus_of(runs[name]) == corpus for name in rows["run"]]]
        orders = pd.DataFrame({"order": corpus_rows["at"].astype(int), "value": corpus_rows["value"]}).groupby("order").mean().reset_index()
        axis.plot(orders["order"], orders["value"], "-", color=GREY)
        dots(axis, orders["order"], orders["value"], colour=GREY, label="n-gram, ours")
        data.append(orders.assign(corpus=corpus, source="ours"))
        published_rows = published_orders(results, corpus, set(rows["run"]), runs)
        if len(published_rows):
            published(axis, published_rows["order"].tolist(), published_rows["value"].tolist(), colour="#000000", label="n-gram, published")
            data.append(published_rows)
        best = results.select(metric="best_cross_entropy", split="test", model="")
        best = best[[corpus_of(runs[name]) == corpus for name in best["run"]]]
        if len(best):
            size = max(runs[name].settings_as(Settings).size for name in best["run"])
            best = best[[runs[name].settings_as(Settings).size == size for name in best["run"]]]
            axis.axhline(best["value"].mean(), color=PALETTE[0], linewidth=1)
            dots(axis, np.full(len(best), orders["order"].max() + 0.8), best["value"], colour=PALETTE[0], label=f"network, row {size}")
            data.append(best.assign(corpus=corpus, source="network")[["corpus", "source", "seed", "value"]])
            drawn_runs |= set(best["run"])
            summaries.append(f"{CORPORA[corpus]}: best n-gram {orders['value'].min():.3f}, network {best['value'].mean():.3f}")
        axis.set_title(CORPORA[corpus])
        axis.set_xticks([1, 5, 10, 15, 20])
        axis.set_xlabel("order n")
        axis.legend()
    axes[0, 0].set_ylabel("nats per character")
    alt, frame = "; ".join(summaries) + ".", pd.concat(data, ignore_index=True)
    notes = _recalled(frame[frame["source"] == "published"])
    return Figure(figure, frame, alt=alt, title="Networks against n-grams", runs=sorted(drawn_runs), notes=notes)


def _recalled(published_rows: pd.DataFrame) -> list[str]:
    return ["Open markers: published values as recalled."] if len(published_rows) else []


def closing_brackets(results: Results) -> Figure:
    """Probability of closing brackets under the network minus that under the 20-gram, by distance to the opening bracket (Figure 5).
    Dots are seeds, lines their means; bins with fewer than five brackets are left out.
    """
    figure, axes = canvas(width=1.5 * COLUMN, height=2.7)
    axis, data = axes[0, 0], []
    for index, (run, name) in enumerate(need_analysis(results, "brackets")):
        gains, colour = bracket_gains(results, run, name), PALETTE[index % len(PALETTE)]
        dots(axis, gains["middle"], gains["gain"], colour=colour, label=f"{CORPORA[corpus_of(run)]}, {network_name(name)}")
        means = gains.groupby("middle")["gain"].mean()
        axis.plot(means.index, means.to_numpy(), color=colour, linewidth=1)
        data.append(gains)
    axis.axhline(0, color=GREY, linewidth=0.8)
    axis.set_xscale("log")
    axis.set_xticks([10, 20, 60, 100, 300, 1000], ["10", "20", "60", "100", "300", "1,000"])
    axis.minorticks_off()
    axis.set_xlabel("distance to the opening bracket (characters)")
    axis.set_ylabel("probability gain over the 20-gram")
    axis.legend()
    merged = pd.concat(data, ignore_index=True)
    alt = f"The gain lies between {merged['gain'].min():.2f} and {merged['gain'].max():.2f}."
    return Figure(figure, merged, alt=alt, title="Closing brackets by distance")


def gate_saturation(results: Results) -> Figure:
    """Share of time for which each gate is left-saturated (below 0.1) and right-saturated (above 0.9); one dot per cell, first seed
    (Figure 3). Cells at the lower right of the forget gate keep their state; cells at its upper left are reset at every step.
    """
    run, name = [pair for pair in need_analysis(results, "gates") if Network.parse(pair[1]).cell == "lstm"][-1]
    shares = gate_shares(results, run, name)
    figure, axes = canvas(height=2.6, columns=3, sharex=True, sharey=True)
    for axis, gate in zip(axes[0], GATES, strict=True):
        axis.plot([0, 1], [1, 0], color="#cccccc", linewidth=0.8, zorder=1)
        for layer, cells in shares[shares["gate"] == gate].groupby("layer"):
            colour = PALETTE[int(str(layer)) - 1]
            axis.scatter(cells["open"], cells["shut"], s=10, alpha=0.6, linewidths=0, color=colour, label=f"layer {layer}", zorder=3)
        axis.set_title(f"{gate} gate")
        axis.set_xlabel("right-saturated, share of time")
    axes[0, 0].set_ylabel("left-saturated, share of time")
    axes[0, 2].legend()
    means = shares.groupby(["gate", "layer"])["open"].mean().reset_index()
    parts = zip(means["gate"], means["layer"], means["open"], strict=True)
    alt = (
        "Mean share of time right-saturated: "
        + ", ".join(f"{gate} gate of layer {layer} {value:.2f}" for gate, layer, value in parts)
        + "."
    )
    return Figure(figure, shares, alt=alt, title=f"Gates of the {network_name(name)}")


def kinds_of_error(results: Results) -> Figure:
    """Errors (characters with a probability below 0.5) by the first kind that explains them (Figure 7), as a share of all scored
    characters. One bar per network and seed.
    """
    frame = error_shares(results)
    bars = int(frame["bar"].max()) + 1
    figure, axes = canvas(height=0.9 + 0.2 * bars)
    axis, left = axes[0, 0], np.zeros(bars)
    for index, (kind, text) in enumerate(KINDS.items()):
        share = frame[frame["kind"] == kind].sort_values("bar")["share"].to_numpy()
        axis.barh(
            range(bars),
            share,
            left=left,
            height=0.8,
            color=[*FAR_APART[:5], FAR_APART[6], "#bbbbbb"][index],
            label=text if share.max() > 0.003 else None,
        )
        left += share
    middles = frame.groupby("label", sort=False)["bar"].mean()
    axis.set_yticks(middles, middles.index)
    axis.tick_params(axis="y", length=0)
    for last in frame.groupby("label", sort=False)["bar"].max().iloc[:-1]:
        axis.axhline(last + 0.5, color="#999999", lw=0.6)
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    axis.set_xlabel("share of characters that are errors")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    totals = frame.groupby(["run", "network", "kind"], sort=False)["share"].mean().reset_index()
    alt = "; ".join(f"{one.run} {one.network} {one.kind}: {one.share:.3f}" for one in totals.itertuples()) + "."
    return Figure(figure, frame, alt=alt, title="Kinds of error")


def readable_cells(results: Results) -> Figure:
    """Score of every unit for every label, on text that was not used for selection. Left: balanced accuracy of one threshold. Right:
    correlation, with the sign fixed on the selection text. Dots: units of all seeds; rings: units selected on the selection text.
    Crosses: the same units with labels shifted along the text. Bars: the best unit of an untrained network, one per seed.
    """
    run, name = need_analysis(results, "cells")[0]
    keys = scored_labels(results, run, name)
    frame = unit_scores(results, run, name, keys)
    panels = [
        ("balanced accuracy", [key for key in keys if key in BINARY], 0.5),
        ("correlation r", [key for key in keys if key not in BINARY], 0.0),
    ]
    panels = [panel for panel in panels if panel[1]]
    figure, axes = canvas(height=2.9, columns=len(panels), width_ratios=[max(len(labels), 1.2) for _, labels, _ in panels])
    jitter = np.random.default_rng(0)
    for axis, (title, labels, chance) in zip(axes[0], panels, strict=True):
        draw_unit_scores(axis, frame, labels, chance, jitter)
        axis.set_ylabel(title)
    draw_score_legend(axes[0, 0])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    means = frame[frame["chosen"]].groupby("label", sort=False)[["score", "untrained"]].mean().reset_index()
    alt = "; ".join(f"{LABELS[str(one.label)]}: {one.score:.2f} (untrained {one.untrained:.2f})" for one in means.itertuples())
    title = f"Units of the {network_name(name)}, {CORPORA[corpus_of(run)]}"
    return Figure(figure, frame.assign(run=run.name, network=name), alt=f"Selected units: {alt}.", title=title)


def a_cell_on_text(results: Results) -> Figure:
    """Activation of the unit with the best score for an open comment, string, condition or quotation, on text that was not used to
    select it (as in Figure 2). Colour: tanh of the cell state, blue below and orange above zero. Underlined: the parser's ground truth.
    First seed; the section of the text in which the labels change most often.
    """
    run, name = need_analysis(results, "cells")[0]
    unit = best_unit_on_text(results, run, name)
    figure, axes = canvas(height=4.4)
    drawn = draw_activation_text(axes[0, 0], unit, width=88, height=24)
    activation, truth = unit.activation[:drawn], unit.truth[:drawn]
    data = pd.DataFrame({"character": list(unit.text[:drawn]), "activation": activation, "truth": truth})
    within, elsewhere = (float(np.mean(activation[mask])) for mask in (truth, ~truth))
    alt = f"Unit {unit.unit}: mean activation {within:.2f} where the label holds, {elsewhere:.2f} elsewhere."
    return Figure(figure, data, alt, f"Unit {unit.unit} of the {network_name(name)}: {LABELS[unit.label]}", notes=outline_notes(unit.text))


def memory_beyond_the_window(results: Results) -> Figure:
    """Memory of the selected cell: share of open characters at which it is on, by characters since the opening; dots are seeds.
    Dotted: the same where nothing is open. Dashed line: length of truncated back-propagation; to its right, no gradient ever connected
    a character with the opening.
    """
    figure, axes = canvas(width=1.5 * COLUMN, height=2.6)
    axis, data = axes[0, 0], []
    for index, (run, name) in enumerate(need_analysis(results, "cells")):
        cell, colour = memory(results, run, name), PALETTE[index % len(PALETTE)]
        middles = np.sqrt(np.maximum(cell.edges[:-1], 4) * cell.edges[1:])
        for seed, (values, false_alarms) in enumerate(zip(cell.recall, cell.false_alarms, strict=True)):
            text = f"{CORPORA[corpus_of(run)]}, {network_name(name)}: {LABELS[cell.label]}" if seed == 0 else None
            dots(axis, middles, values, colour=colour, label=text)
            columns = {"run": run.name, "label": cell.label, "seed": seed, "since": cell.edges[:-1], "on": values}
            data.append(pd.DataFrame(columns | {"elsewhere": false_alarms}))
        with_data = ~np.isnan(cell.recall).all(axis=0)
        axis.plot(middles[with_data], np.nanmean(cell.recall[:, with_data], axis=0), color=colour, linewidth=1)
        axis.axhline(cell.false_alarms.mean(), color=colour, linewidth=0.8, linestyle=":", label="where nothing is open")
        window = run.settings_as(Settings).seq_len
        axis.axvline(window, color=GREY, linewidth=0.8, linestyle="--")
        axis.annotate(f"{window} characters", (window, 1.02), xytext=(3, 0), textcoords="offset points", fontsize=7.5, color=GREY)
    axis.set_xscale("log")
    axis.set_xticks([6, 12, 25, 50, 100, 200, 400], ["6", "12", "25", "50", "100", "200", "400"])
    axis.minorticks_off()
    axis.set_ylim(0, 1.1)
    axis.set_xlabel("characters since the opening")
    axis.set_ylabel("share with the cell on")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2)  # curves fill every corner
    frame = pd.concat(data, ignore_index=True)
    alt = "; ".join(f"from {since}: {value:.2f}" for since, value in frame.groupby("since")["on"].mean().dropna().items())
    return Figure(figure, frame, alt=f"Share on, by characters since the opening: {alt}.", title="Memory beyond the training window")


def clamping_a_cell(results: Results) -> Figure:
    """Increase of the loss inside a comment, string or quotation when one cell is clamped to its mean outside, in nats per character:
    the selected cell, and the mean of eight randomly selected other cells. Dots are seeds.
    """
    wide = clamping_losses(results)
    groups = list(wide.groupby(["run", "network", "label"], sort=False))
    figure, axes = canvas(width=1.5 * COLUMN, height=2.4)
    axis = axes[0, 0]
    for index, (_, group) in enumerate(groups):
        for offset, column, text, colour in (
            (-0.15, "chosen cell", "selected cell", PALETTE[1]),
            (0.15, "other cells", "other cells", GREY),
        ):
            dots(axis, np.full(len(group), index + offset), group[column], colour=colour, label=text if index == 0 else None)
    runs = {run.name: run for run in results.runs()}
    names = [
        f"{CORPORA[corpus_of(runs[str(run)])]}\n{network_name(str(network))}\n{LABELS[str(label)]}" for (run, network, label), _ in groups
    ]
    axis.set_xticks(range(len(groups)), names)
    axis.set_xlim(-0.6, len(groups) - 0.4)
    axis.axhline(0, color=GREY, linewidth=0.8)
    axis.set_ylabel("added loss inside\n(nats per character)")
    axis.legend(loc="center right")
    alt = "; ".join(
        f"{' '.join(map(str, key))}: {one['chosen cell'].mean():.3f} against {one['other cells'].mean():.3f}" for key, one in groups
    )
    alt = f"Loss added by clamping the selected cell, against other cells: {alt}."
    return Figure(figure, wide, alt=alt, title="Clamping one cell", runs=sorted(set(wide["run"])))


def samples_along_training(results: Results) -> Figure:
    """Samples during training, first seed, as in the essay. Under the number of updates: share of the words of three letters or more
    that occur in the training text, one value per seed.
    """
    run, name = need_analysis(results, "samples")[0]
    arrays = results.artifacts(run.name, run.seeds[0])
    steps, texts = arrays[f"sample_steps.{name}"].tolist(), arrays[f"samples.{name}"].tolist()
    known_words = results.select(run=run.name, metric="known_words", split="train", model=name)
    figure, axes = canvas(height=0.72 * len(steps))
    axis, rows = axes[0, 0], []
    axis.set_axis_off()
    axis.set_xlim(0, 1)
    axis.set_ylim(-len(steps), 0)
    for index, (step, text) in enumerate(zip(steps, texts, strict=True)):
        shares = known_words[known_words["step"] == step]["value"]
        printable = "".join(c if c.isprintable() or c == "\n" else "\u00b7" for c in text)
        lines = [line[:92] for line in printable.split("\n") if line.strip()][:5]
        axis.text(0, -index - 0.05, f"{step:,} updates", fontsize=8, weight="bold", va="top")
        axis.text(0, -index - 0.27, f"known words\n{', '.join(f'{share:.0%}' for share in shares)}", fontsize=7, va="top", color=GREY)
        axis.text(0.17, -index - 0.05, "\n".join(lines), fontsize=6.2, family="DejaVu Sans Mono", va="top", parse_math=False)
        rows.append((step, text, shares.mean()))
    data = pd.DataFrame(rows, columns=["step", "text", "known_words"])
    alt = "Known words: " + ", ".join(f"{share:.0%} after {step:,} updates" for step, _, share in rows) + "."
    return Figure(figure, data, alt=alt, title=f"Samples during training, {network_name(name)}")


def temperature(results: Results) -> Figure:
    """Known words and repetition in samples of 1,000 characters by temperature; 0 is greedy decoding. Known words: share of the words
    that occur in the training text. Repetition: share of 20-character sequences that occurred earlier in the sample. Dots are seeds.
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
    parts = zip(means["measure"], means["temperature"], means["value"], strict=True)
    alt = "; ".join(f"{what} at {at:g}: {value:.2f}" for what, at, value in parts)
    return Figure(figure, frame, alt=f"{alt}.", title="Greedy decoding and temperature")
