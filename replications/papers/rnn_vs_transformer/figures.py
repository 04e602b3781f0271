"""Figures: the measured table, cost curves with fits, memory, generation, loss, recall, copying, gradients, regular languages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator

from replications.papers.rnn_vs_transformer.settings import Settings
from replications.presentation.figure_writer import Figure
from replications.presentation.palette import ON_DARK, ON_LIGHT, PALETTE
from replications.presentation.theme import COLUMN, canvas, dots, in_words, label_end, last_rows, published
from replications.results.reader import NotMeasured, Results
from replications.verdicts.statistics import estimate, loglog_slope

COLOURS = {
    "transformer": PALETTE[0],
    "lstm": PALETTE[1],
    "gru": PALETTE[2],
    "rnn": PALETTE[3],
    "mingru": PALETTE[4],
    "minlstm": PALETTE[7],
    "ssm": PALETTE[5],
    "linear": PALETTE[6],
}
NAMES = {
    "transformer": "attention, fused",
    "transformer.naive": "attention, naive",
    "lstm": "LSTM, fused",
    "lstm.loop": "LSTM, loop",
    "gru": "GRU, fused",
    "gru.loop": "GRU, loop",
    "rnn": "tanh-RNN, fused",
    "mingru": "minGRU, scan",
    "minlstm": "minLSTM, scan",
    "ssm": "state space, scan",
    "linear": "linear attention",
}


def _colour(model: str) -> str:
    return COLOURS.get(model.split(".", maxsplit=1)[0], "#555555")


def _name(model: str) -> str:
    return NAMES.get(model, model)


def _series(results: Results, run: str, metric: str, split: str) -> pd.DataFrame:
    """Records of `<metric>.<model>` of a run that have a position, with a column `model`."""
    rows = results.select(run=run, split=split)
    rows = rows[rows["metric"].str.startswith(f"{metric}.") & (rows["step"] > 0)]
    if not len(rows):
        raise NotMeasured(f"needs {metric} of {run}")
    return rows.assign(model=rows["metric"].str.removeprefix(f"{metric}."))[["run", "model", "seed", "step", "value"]]


def _spread(ends: Sequence[float], apart: float) -> list[float]:
    """Offsets (in points) that push labels at these heights (in points) `apart`, each as little as possible."""
    order = np.argsort(ends)
    placed = np.array(ends, dtype=float)[order]
    for _ in range(200):
        close = np.clip(apart - np.diff(placed), 0, None) / 2
        placed[:-1] -= close
        placed[1:] += close
    offsets = np.empty(len(placed))
    offsets[order] = placed - np.array(ends, dtype=float)[order]
    return [float(offset) for offset in offsets]


def _plain_ticks(axes: Axes, positions: Sequence[float]) -> None:
    """Label a logarithmic axis at measured positions, at most eight of them, with plain numbers."""
    chosen = sorted(set(positions))
    chosen = chosen[:: math.ceil(len(chosen) / 8)]
    axes.set_xticks(chosen, [f"{x:,.0f}" for x in chosen])
    axes.xaxis.set_minor_locator(NullLocator())


def _curves(axes: Axes, rows: pd.DataFrame, *, xlabel: str, ylabel: str, fit_span: float = 4, logy: bool = True) -> dict[str, float]:
    """Every seed a dot, medians joined, a fit over the largest quarter of positions; names and exponents at the line's end."""
    axes.set(xscale="log", yscale="log" if logy else "linear", xlabel=xlabel, ylabel=ylabel)
    _plain_ticks(axes, rows["step"].tolist())
    ends: list[tuple[str, float, float]] = []
    exponents: dict[str, float] = {}
    for model, part in rows.groupby("model", sort=False):
        name, colour = str(model), _colour(str(model))
        dots(axes, part["step"], part["value"], colour=colour)
        middle = part.groupby("step")["value"].median()
        axes.plot(middle.index, middle, color=colour, ls="--" if name.endswith(("loop", "naive")) else "-", lw=1.1)
        tail = middle[middle.index * fit_span >= middle.index.max()]
        if len(tail) > 1 and logy and (tail > 0).all():
            exponents[name] = float(loglog_slope(tail.index.to_numpy(dtype=float), tail.to_numpy()[None])[0])
        ends.append((name, float(middle.index[-1]), float(middle.iloc[-1])))
    if figure := axes.get_figure(root=True):
        figure.draw_without_rendering()  # lays out, so that heights are known
    heights = [axes.transData.transform((1.0 if not logy else x, y))[1] * 72 / axes.figure.dpi for _, x, y in ends]
    right = max(x for _, x, _ in ends)
    for (name, x, y), dy in zip(ends, _spread(heights, 9.5), strict=True):
        exponent = f"  n^{round(exponents[name], 2) + 0.0:.2f}" if name in exponents else ""
        if x < right or dy:
            axes.plot([x, right], [y, y], color=_colour(name), lw=0.5, ls=":", alpha=0.6)
        label_end(axes, right, y, f"{_name(name)}{exponent}", _colour(name), dx=6, dy=dy)
    return exponents


def _exponents_in_words(exponents: dict[str, float]) -> str:
    return ", ".join(f"{_name(model)} {value:.2f}" for model, value in exponents.items())


def _mean(values: pd.Series, digits: int, unit: str = "") -> str:
    """Mean and 95 % interval over seeds as text."""
    known = estimate(values.to_numpy())
    low, high = known.interval()
    interval = f" [{low:.{digits}f}, {high:.{digits}f}]" if math.isfinite(low) and known.error > 0 else ""
    return f"{known.mean:.{digits}f}{unit}{interval}"


def the_table_measured(results: Results) -> Figure:
    """The comparison table of courses, its words replaced by measured numbers; brackets are 95 % intervals over seeds or repetitions.

    Exponents are of the length n, fitted over the largest lengths measured. Long-range dependencies are the share of associative
    recalls answered right and the share of the gradient that is left at the far end of the sequence; bias is the accuracy on the
    parity of bits in strings longer than any in training. Empty cells were not measured at this tier.
    """
    results.need("cost-length")
    columns = ("lstm", "mingru", "transformer")
    recall = _widest_recall(results)
    lines: list[tuple[str, str, dict[str, tuple[str, str, str]], int, str]] = [
        (
            "Long-range dependencies",
            "recalls answered right",
            {m: (f"recall-{m}-{recall}", "accuracy_most", "test") for m in columns},
            2,
            "",
        ),
        ("", "log10 of the gradient kept", {m: ("gradients", f"kept.{m}", "test") for m in columns}, 1, "log"),
        (
            "Parallel over time",
            "sequential steps at n = 1,024",
            {m: ("cost-length", f"sequential.{m}", "test") for m in columns},
            0,
            "1024",
        ),
        ("Compute", "FLOPs, exponent of n", {m: ("cost-length", f"forward_flops_exponent.{m}", "test") for m in columns}, 2, ""),
        ("", "training time, exponent of n", {m: ("cost-length", f"training_seconds_exponent.{m}", "time") for m in columns}, 2, ""),
        ("Memory", "training, exponent of n", {m: ("cost-length", f"training_bytes_exponent.{m}", "test") for m in columns}, 2, ""),
        ("", "state after n tokens, exponent", {m: ("generation", f"state_bytes.{m}", "test") for m in columns}, 2, "slope"),
        ("Inductive bias", "parity at longer lengths", {m: (f"regular-parity-{m}", "accuracy_longer", "test") for m in columns}, 2, ""),
        ("", "held-out loss, nats/char", {m: (f"language-{m}-32", "loss", "test") for m in columns}, 3, ""),
    ]
    words = [
        ("hard in practice", "good"),
        ("", ""),
        ("no", "yes"),
        ("O(n)", "O(n^2)"),
        ("", ""),
        ("O(n)", "O(n)"),
        ("", ""),
        ("strong", "weak"),
        ("", ""),
    ]
    rows, data = [], []
    for (cell, what, sources, digits, kind), (recurrent, attention) in zip(lines, words, strict=True):
        shown = [cell, what, recurrent, attention]
        for model, (run, metric, split) in sources.items():
            values = _cell(results, run, metric, split, kind)
            shown.append(_mean(values, digits) if len(values) else "")
            data += [
                {"cell": cell or what, "quantity": what, "model": model, "seed": seed, "value": value} for seed, value in values.items()
            ]
        rows.append(shown)
    figure, axes = canvas(height=2.6)
    axes[0, 0].axis("off")
    header = ["", "measured", "course:\nRNN", "course:\ntransformer", "LSTM", "minGRU", "transformer"]
    widths = [0.185, 0.21, 0.115, 0.085, 0.145, 0.145, 0.145]
    table = axes[0, 0].table(
        cellText=rows, colLabels=header, loc="center", cellLoc="left", colWidths=widths, edges="horizontal"
    )  # fmt: skip
    table.auto_set_font_size(False)
    table.set_fontsize(5.7)
    table.scale(1, 1.45)
    for (row, column), box in table.get_celld().items():
        box.set_linewidth(0.4)
        if row == 0:
            box.set_height(box.get_height() * 1.3)
        if row == 0 or column == 0:
            box.set_text_props(fontweight="bold")
    frame = pd.DataFrame(data, columns=["cell", "quantity", "model", "seed", "value"])
    alt = "; ".join(f"{row[0] or row[1]}: LSTM {row[4] or 'not measured'}, transformer {row[6] or 'not measured'}" for row in rows)
    return Figure(figure, frame, alt=alt, title="The comparison table, measured")


def _widest_recall(results: Results) -> str:
    widths = [int(run.name.rsplit("-", maxsplit=1)[1]) for run in results.runs() if run.name.startswith("recall-transformer-")]
    return str(64 if 64 in widths else max(widths, default=0))


def _cell(results: Results, run: str, metric: str, split: str, kind: str) -> pd.Series:
    """One value per seed of a table cell; empty where it was not measured."""
    rows = results.select(run=run, metric=metric, split=split)
    if not len(rows):
        return pd.Series(dtype=float)
    if kind == "slope":
        rows = rows[rows["step"] > 0]
        return pd.Series(
            {s: float(loglog_slope(g["step"].to_numpy(dtype=float), g["value"].to_numpy()[None])[0]) for s, g in rows.groupby("seed")}
        )
    if kind == "1024":
        return rows[rows["step"] == 1024].set_index("seed")["value"]
    last = rows.sort_values("step").groupby("seed").tail(1).set_index("seed")["value"]
    return np.log10(last) if kind == "log" else last


def training_time_by_length(results: Results) -> Figure:
    """Time of one training step (forward and backward) of one layer against the sequence length, batch and width fixed.

    Every repetition of the sweep is a dot; the exponent behind each name is fitted over the largest quarter of its lengths. Dashed:
    step-by-step loops and attention that keeps its matrix of scores. Each is a layer alone, with its projections.
    """
    rows = _series(results, "cost-length", "training_seconds", "time")
    figure, axes = canvas(height=4.0)
    exponents = _curves(axes[0, 0], rows, xlabel="sequence length n", ylabel="seconds of a training step")
    return Figure(figure, rows, alt=f"Exponents of time over length: {_exponents_in_words(exponents)}.", title="Training time by length")


def memory_by_length(results: Results) -> Figure:
    """Memory of a training step of one layer against length, and what Dao et al. (2022) state of naive over fused attention.

    Open diamonds: 10 and 20 times the fused kernel's memory at lengths 2048 and 4096, as their README says.
    """
    rows = _series(results, "cost-length", "training_bytes", "test")
    rows = rows[rows["model"].isin(["lstm", "mingru", "ssm", "linear", "transformer", "transformer.naive"])]
    figure, axes = canvas(height=3.4)
    exponents = _curves(axes[0, 0], rows, xlabel="sequence length n", ylabel="bytes alive at once")
    fused = rows[rows["model"] == "transformer"].groupby("step")["value"].median()
    naive = rows[rows["model"] == "transformer.naive"].groupby("step")["value"].median()
    at = [n for n in (2048, 4096) if n in fused.index]
    ratios = {2048: 10, 4096: 20}
    published(axes[0, 0], at, [ratios[n] * fused[n] for n in at], colour="#000000", label="Dao et al. 2022: 10x, 20x")
    axes[0, 0].legend(loc="upper left")
    found = ", ".join(f"{naive[n] / fused[n]:.1f} at {n:,}" for n in at if n in naive.index)
    alt = f"Exponents of memory: {_exponents_in_words(exponents)}. Naive over fused attention: {found}."
    return Figure(figure, rows, alt=alt, title="Memory by length")


def flops_and_their_crossing(results: Results) -> Figure:
    """Counted forward FLOPs of one layer against length: attention is cheaper than recurrence while n is below a small multiple of d.

    The dotted line stands at n = d, where Vaswani et al. (2017, section 4) put the crossing, leaving constants out.
    """
    rows = _series(results, "cost-length", "forward_flops", "test")
    rows = rows[rows["model"].isin(["rnn", "gru", "lstm", "mingru", "ssm", "linear", "transformer"]) & (rows["seed"] == rows["seed"].min())]
    width = next(run.settings_as(Settings).width for run in results.runs() if run.name == "cost-length")
    figure, axes = canvas(height=3.4)
    exponents = _curves(axes[0, 0], rows, xlabel="sequence length n", ylabel="counted FLOPs, forward")
    axes[0, 0].axvline(width, color="#555555", ls=":", lw=1)
    axes[0, 0].annotate(
        "n = d", (width, axes[0, 0].get_ylim()[1]), xytext=(3, -8), textcoords="offset points", fontsize=7.5, color="#555555"
    )
    return Figure(figure, rows, alt=f"Exponents of counted FLOPs: {_exponents_in_words(exponents)}.", title="Counted FLOPs by length")


def time_at_fixed_tokens(results: Results) -> Figure:
    """Forward time of one layer where batch times length stays the same: what must wait for itself grows with n, the rest does not."""
    rows = _series(results, "cost-tokens", "forward_seconds", "time")
    figure, axes = canvas(height=3.0)
    exponents = _curves(axes[0, 0], rows, xlabel="sequence length n (batch = tokens / n)", ylabel="seconds, forward")
    return Figure(figure, rows, alt=f"Exponents: {_exponents_in_words(exponents)}.", title="Time at a fixed number of tokens")


def time_by_width(results: Results) -> Figure:
    """Time of a training step of one layer against its width, length fixed. The exponent is of the width."""
    rows = _series(results, "cost-width", "training_seconds", "time")
    figure, axes = canvas(height=3.2)
    exponents = _curves(axes[0, 0], rows, xlabel="width d", ylabel="seconds of a training step")
    for text in axes[0, 0].texts:
        text.set_text(text.get_text().replace("n^", "d^"))
    return Figure(figure, rows, alt=f"Exponents of time over width: {_exponents_in_words(exponents)}.", title="Training time by width")


def generation_cost(results: Results) -> Figure:
    """Generating one token after a context of n tokens: time, and what must be kept. A transformer keeps keys and values of all tokens."""
    time = _series(results, "generation", "token_seconds", "time")
    kept = _series(results, "generation", "state_bytes", "test")
    figure, axes = canvas(height=5.6, rows=2)
    _curves(axes[0, 0], time, xlabel="tokens of context n", ylabel="seconds a token")
    _curves(axes[1, 0], kept[kept["seed"] == kept["seed"].min()], xlabel="tokens of context n", ylabel="bytes kept")
    data = pd.concat([time.assign(quantity="seconds"), kept.assign(quantity="bytes")])
    most = kept[kept["step"] == kept["step"].max()].groupby("model")["value"].median()
    alt = "Bytes kept at the longest context: " + ", ".join(f"{_name(str(m))} {v:,.0f}" for m, v in most.items())
    return Figure(figure, data, alt=alt, title="Cost of generating")


def _language(results: Results, metric: str, split: str = "test") -> pd.DataFrame:
    """One row per language run, seed: model, parameters, compute and a metric."""
    parts = []
    for run in results.runs():
        if run.name.startswith("language-") and results.finished(run.name):
            values = results.final(run.name, metric, split)
            extra = {key: results.final(run.name, key) for key in ("parameters", "compute")}
            model = run.settings_as(Settings).model
            parts.append(pd.DataFrame({"run": run.name, "model": model, "value": values, **extra}).rename_axis("seed").reset_index())
    if not parts:
        raise NotMeasured("needs a language run")
    return pd.concat(parts, ignore_index=True)


def loss_by_size_and_compute(results: Results) -> Figure:
    """Held-out loss against non-embedding parameters, and against counted training FLOPs. Every seed is a dot.

    Grey: the slope of Kaplan et al. (2020, equations 1.1 and 1.3), through the transformer's smallest network; only its slope means
    something here, for the text, the tokens and the sizes are others.
    """
    rows = _language(results, "loss")
    figure, axes = canvas(height=3.0, columns=2)
    for panel, (x, slope, label) in zip(
        axes[0], (("parameters", -0.076, "non-embedding parameters N"), ("compute", -0.050, "training FLOPs C")), strict=True
    ):
        ends = []
        for model, part in rows.groupby("model", sort=False):
            dots(panel, part[x], part["value"], colour=_colour(str(model)))
            middle = part.groupby(x)["value"].mean()
            panel.plot(middle.index, middle, color=_colour(str(model)))
            ends.append((str(model), float(middle.index[-1]), float(middle.iloc[-1])))
        panel.set(xscale="log", yscale="log", xlabel=label, ylabel="nats per character")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.yaxis.set_minor_formatter("{x:.1f}")
        panel.yaxis.set_major_formatter("{x:.1f}")
        base = rows[rows["model"] == "transformer"].groupby(x)["value"].mean()
        if len(base) > 1:
            span = np.array([base.index[0], base.index[-1]], dtype=float)
            panel.plot(span, base.iloc[0] * (span / span[0]) ** slope, color="#888888", ls="--", lw=1)
            panel.annotate(
                f"Kaplan et al.: {slope:+.3f}",
                (span[0], base.iloc[0]),
                xytext=(0, 6),
                textcoords="offset points",
                fontsize=7,
                color="#666666",
            )
        panel.figure.draw_without_rendering()
        heights = [panel.transData.transform((at, y))[1] * 72 / panel.figure.dpi for _, at, y in ends]
        for (model, at, y), dy in zip(ends, _spread(heights, 9), strict=True):
            label_end(panel, at, y, model, _colour(model), dx=4, dy=dy)
    return Figure(figure, rows, alt=f"Mean loss in nats a character: {in_words(rows, 'run')}.", title="Loss against size and compute")


def loss_by_position(results: Results) -> Figure:
    """Held-out loss by position in the context, for the largest LSTM and the transformer of its size; thin lines are seeds.

    The dotted line stands at 100 tokens, after which Kaplan et al. (2020, Figure 7) see the LSTM no longer improve.
    """
    runs = [run for run in results.runs() if run.name.startswith("language-") and results.finished(run.name)]
    widths = {f"{(settings := run.settings_as(Settings)).model} {settings.width}": run.name for run in runs}
    widest = max((int(key.split()[1]) for key in widths if key.startswith("lstm ")), default=0)
    chosen = {model: name for model in ("transformer", "lstm", "mingru") if (name := widths.get(f"{model} {widest}"))}
    if not chosen:
        raise NotMeasured("needs a language run of an LSTM")
    figure, axes = canvas(height=3.0)
    panel, data, ends = axes[0, 0], [], []
    for model, run in chosen.items():
        curves = {seed: arrays[0] for seed, arrays in results.by_seed(run, "loss_by_position").items()}
        n = len(next(iter(curves.values())))
        edges = np.unique(np.round(np.geomspace(1, n, 22)).astype(int))
        for seed, curve in curves.items():
            middles = [(a, b, float(curve[a - 1 : b - 1].mean())) for a, b in pairwise(edges)]
            panel.plot([math.sqrt(a * b) for a, b, _ in middles], [y for *_, y in middles], color=_colour(model), lw=0.9, alpha=0.8)
            data += [{"run": run, "model": model, "seed": seed, "from": a, "to": b - 1, "value": y} for a, b, y in middles]
        ends.append((model, math.sqrt(edges[-1] * edges[-2]), middles[-1][2]))
    panel.axvline(100, color="#555555", ls=":", lw=1)
    panel.set(xscale="log", xlabel="position in the context", ylabel="nats per character")
    panel.figure.draw_without_rendering()
    heights = [panel.transData.transform((x, y))[1] * 72 / panel.figure.dpi for _, x, y in ends]
    for (model, x, y), dy in zip(ends, _spread(heights, 9), strict=True):
        label_end(panel, x, y, f"{_name(model).split(',')[0] if model != 'transformer' else model} {widest}", _colour(model), dy=dy)
    frame = pd.DataFrame(data)
    alt = f"Mean loss in nats a character at the last positions: {in_words(last_rows(frame, 'to', 'run'), 'model')}."
    return Figure(figure, frame, alt=alt, title="Loss by position in the context")


def recall_by_pairs(results: Results) -> Figure:
    """Associative recall: share of queries answered right by the number of pairs and the width, mean over seeds."""
    runs = [run for run in results.runs() if run.name.startswith("recall-") and results.finished(run.name)]
    if not runs:
        raise NotMeasured("needs a recall run")
    parts = []
    for run in runs:
        settings = run.settings_as(Settings)
        rows = results.select(run=run.name, metric="accuracy", split="test")
        parts.append(rows.assign(model=settings.model, width=settings.width)[["run", "model", "width", "seed", "step", "value"]])
    data = pd.concat(parts, ignore_index=True).rename(columns={"step": "pairs"})
    models = list(dict.fromkeys(data["model"]))
    rows_needed = data["width"].nunique()
    figure, axes = canvas(width=2 * COLUMN, height=1.5 + 0.3 * rows_needed, columns=len(models))
    for panel, model in zip(axes[0], models, strict=True):
        table = data[data["model"] == model].pivot_table(index="width", columns="pairs", values="value")
        panel.imshow(table, cmap="Blues", vmin=0, vmax=1.15, aspect="auto", origin="lower")
        panel.grid(visible=False)
        panel.set(title=model, xlabel="pairs", ylabel="width d")
        panel.set_xticks(range(table.shape[1]), [str(c) for c in table.columns])
        panel.set_yticks(range(table.shape[0]), [str(i) for i in table.index])
        for (i, j), value in np.ndenumerate(table.to_numpy()):
            panel.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7.5, color=ON_DARK if value > 0.6 else ON_LIGHT)
    alt = "; ".join(f"{m}: {data[data['model'] == m]['value'].mean():.2f} on average" for m in models)
    return Figure(figure, data, alt=f"Recall accuracy. {alt}.", title="Associative recall by pairs and width")


def copying(results: Results) -> Figure:
    """Copying strings: share of whole strings copied right while training, and share of characters right by length after it.

    The dotted line stands at the longest trained length.
    """
    runs = [run for run in results.runs() if run.name.startswith("copying-") and results.finished(run.name)]
    if not runs:
        raise NotMeasured("needs a copying run")
    figure, axes = canvas(height=2.8, columns=2)
    parts = []
    for run in runs:
        settings = run.settings_as(Settings)
        model, batch = settings.model, settings.training.batch
        learning = results.select(run=run.name, metric="string_accuracy", split="validation")
        lengths = results.select(run=run.name, metric="character_accuracy", split="test")
        learning, lengths = learning.assign(model=model, x=learning["step"] * batch), lengths.assign(model=model, x=lengths["step"])
        style = {"transformer": "-", "transformer.alibi": "--", "transformer.nope": ":"}.get(model, "-")
        for _, part in learning.groupby("seed"):
            axes[0, 0].plot(part["x"], part["value"], color=_colour(model), ls=style, lw=0.9)
        dots(axes[0, 1], lengths["x"], lengths["value"], colour=_colour(model))
        middle = lengths.groupby("x")["value"].mean()
        axes[0, 1].plot(middle.index, middle, color=_colour(model), ls=style, label=model)
        axes[0, 1].axvline(settings.task.length, color="#555555", ls=":", lw=1)
        parts += [learning, lengths]
    axes[0, 0].set(xlabel="training examples", ylabel="strings copied right", ylim=(-0.03, 1.03))
    axes[0, 1].set(xlabel="length of the string", ylabel="characters copied right", ylim=(-0.03, 1.03))
    axes[0, 1].legend()
    data = pd.concat(parts)[["run", "model", "seed", "split", "metric", "x", "value"]]
    longest = last_rows(data[data["metric"] == "character_accuracy"], "x", "model")
    return Figure(
        figure, data, alt=f"Share of characters copied right at the longest length: {in_words(longest, 'model')}.", title="Copying"
    )


def gradients_over_time(results: Results) -> Figure:
    """Norm of d loss_T / d h_t against the distance T - t at initialisation, and the tanh-RNN's factor per step by its spectral radius.

    Left: one line a seed, divided by its value at distance 0. Right: every seed a dot; the dashed line is factor = spectral radius, where
    slopes are 1; above a radius of 1 the units saturate and hold the factor near 1.
    """
    results.need("gradients")
    settings = next(run.settings_as(Settings) for run in results.runs() if run.name == "gradients")
    figure, axes = canvas(height=2.9, columns=2, width_ratios=[1.25, 1])
    data, ends = [], []
    for model in settings.models:
        for seed, (norms,) in results.by_seed("gradients", f"gradient.{model}").items():
            shown = np.maximum(norms / norms[0], 1e-16)
            axes[0, 0].plot(np.where(shown > 1e-16, shown, math.nan), color=_colour(model), lw=0.9)
            data += [{"model": model, "seed": seed, "x": i, "value": float(v)} for i, v in enumerate(shown)]
        ends.append((model, len(shown) - 1.0, float(shown[-1])))
    axes[0, 0].set(yscale="log", ylim=(1e-18, 30), xlabel="distance T - t", ylabel="gradient norm, relative")
    figure.draw_without_rendering()
    heights = [axes[0, 0].transData.transform((x, y))[1] * 72 / figure.dpi for _, x, y in ends]
    for (model, x, y), dy in zip(ends, _spread(heights, 9), strict=True):
        label_end(axes[0, 0], x, y, model, _colour(model), dy=dy)
    radii = results.artifacts("gradients")["radii"]
    for seed, (rates,) in results.by_seed("gradients", "rate_by_radius").items():
        dots(axes[0, 1], radii, rates, colour=COLOURS["rnn"])
        data += [{"model": "rnn by radius", "seed": seed, "x": float(r), "value": float(v)} for r, v in zip(radii, rates, strict=True)]
    axes[0, 1].plot(radii, radii, color="#555555", ls="--", lw=1)
    axes[0, 1].set(xlabel="spectral radius of W", ylabel="gradient's factor per step")
    kept = {model: results.final("gradients", f"kept.{model}").median() for model in settings.models}
    alt = "Share of the gradient left at the far end: " + ", ".join(f"{m} {v:.1e}" for m, v in kept.items())
    return Figure(figure, pd.DataFrame(data), alt=alt, title="Gradients over time")


def gradients_before_and_after_training(results: Results) -> Figure:
    """The same norms on the temporal-order task, before (dashed) and after (solid) training; medians over trials, one line a seed."""
    runs = [run for run in results.runs() if run.name.startswith("order-") and results.finished(run.name)]
    if not runs:
        raise NotMeasured("needs a temporal-order run")
    figure, axes = canvas(height=2.4, columns=len(runs), sharey=True)
    data = []
    for panel, run in zip(axes[0], runs, strict=True):
        model = run.settings_as(Settings).model
        for seed, arrays in results.by_seed(run.name, "gradient_before", "gradient_after").items():
            for when, style, norms in zip(("before", "after"), ("--", "-"), arrays, strict=True):
                middle = np.maximum(np.median(norms, axis=0), 1e-12)
                panel.plot(middle, color=_colour(model), ls=style, lw=0.9)
                data += [{"run": run.name, "seed": seed, "when": when, "distance": i, "value": float(v)} for i, v in enumerate(middle)]
        panel.set(yscale="log", title=run.name.removeprefix("order-").replace("-", ", "), xlabel="distance T - t")
    axes[0, 0].set_ylabel("gradient norm")
    frame = pd.DataFrame(data)
    alt = f"Mean gradient norm at the greatest distance: {in_words(last_rows(frame, 'distance', 'run'), ['run', 'when'], form='.1e')}."
    return Figure(figure, frame, alt=alt, title="Gradients before and after training")


def clipping(results: Results) -> Figure:
    """Temporal order (Pascanu et al. 2013, section 4.1): share of trainings that learn it; every dot is a seed's share over its trials."""
    runs = [run for run in results.runs() if run.name.startswith("order-") and results.finished(run.name)]
    if not runs:
        raise NotMeasured("needs a temporal-order run")
    figure, axes = canvas(width=COLUMN, height=2.4)
    parts = []
    for i, run in enumerate(runs):
        values = results.final(run.name, "success")
        jitter = (np.arange(len(values)) - (len(values) - 1) / 2) * 0.12
        dots(axes[0, 0], values.to_numpy(), i + jitter, colour=_colour(run.settings_as(Settings).model))
        axes[0, 0].plot([values.mean()] * 2, [i - 0.3, i + 0.3], color="#333333", lw=1.2)
        parts.append(values.rename("value").reset_index().assign(run=run.name))
    axes[0, 0].set(xlabel="share of trainings that succeed", xlim=(-0.05, 1.05))
    axes[0, 0].set_yticks(range(len(runs)), [run.name.removeprefix("order-").replace("-", ", ") for run in runs])
    data = pd.concat(parts, ignore_index=True)
    alt = "; ".join(f"{run}: {value:.2f}" for run, value in data.groupby("run")["value"].mean().items())
    return Figure(figure, data, alt=f"Success: {alt}.", title="Clipping and success")


def regular_languages(results: Results) -> Figure:
    """Accuracy on regular languages by length, one panel a language; every seed a dot. The dotted line is the trained length."""
    runs = [run for run in results.runs() if run.name.startswith("regular-") and results.finished(run.name)]
    if not runs:
        raise NotMeasured("needs a run of a regular language")
    parts = []
    for run in runs:
        task, model = run.settings_as(Settings).task, run.settings_as(Settings).model
        rows = results.select(run=run.name, metric="character_accuracy", split="test")
        parts.append(rows.assign(model=model, language=task.language, trained=task.length))
    data = pd.concat(parts, ignore_index=True)
    languages = list(dict.fromkeys(data["language"]))
    figure, axes = canvas(height=2.5, columns=len(languages), sharey=True)
    for panel, language in zip(axes[0], languages, strict=True):
        here = data[data["language"] == language]
        ends = []
        for model, part in here.groupby("model", sort=False):
            dots(panel, part["step"], part["value"], colour=_colour(str(model)))
            middle = part.groupby("step")["value"].mean()
            panel.plot(middle.index, middle, color=_colour(str(model)))
            ends.append((str(model), float(middle.index[-1]), float(middle.iloc[-1])))
        panel.axvline(here["trained"].iloc[0], color="#555555", ls=":", lw=1)
        panel.set(title=language, xlabel="length", ylim=(-0.03, 1.06))
        figure.draw_without_rendering()
        heights = [panel.transData.transform((x, y))[1] * 72 / figure.dpi for _, x, y in ends]
        for (model, x, y), dy in zip(ends, _spread(heights, 9), strict=True):
            label_end(panel, x, y, model, _colour(model), dy=dy)
    axes[0, 0].set_ylabel("states named right")
    shown = data[["run", "language", "model", "seed", "step", "value"]]
    alt = f"Share of states named right at the longest length: {in_words(last_rows(shown, 'step', 'run'), ['language', 'model'])}."
    return Figure(figure, shown, alt=alt, title="Regular languages")
