"""Figures: every public function returns one figure; its docstring is the caption."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.ticker import NullFormatter

from replications.papers.rnn_vs_transformer.course_table import COLUMNS, mean_and_interval, table_lines
from replications.papers.rnn_vs_transformer.figure_data import (
    losses_by_position,
    losses_by_size,
    networks_of,
    recall_accuracies,
    regular_accuracies,
    runs_of,
    sweep_of,
)
from replications.papers.rnn_vs_transformer.plotting import COLOURS, NAMES, curves, in_text, label_ends, model_name
from replications.papers.rnn_vs_transformer.settings import Settings
from replications.presentation.figure_writer import Figure
from replications.presentation.palette import ON_DARK, ON_LIGHT
from replications.presentation.theme import COLUMN, canvas, dots, in_words, last_rows, published
from replications.registry.run_grid import Run
from replications.results.reader import Results


def the_table_measured(results: Results) -> Figure:
    """The comparison table taught in courses, with measured values beside its entries; brackets are 95 % confidence intervals over seeds.

    Exponents are of the sequence length n, fitted to the largest measured lengths. Long-range dependencies: accuracy of associative
    recall, and share of the gradient that remains at the far end of the sequence. Inductive bias: accuracy on the parity of bit strings
    longer than any in training. Empty cells were not measured at this tier.
    """
    results.need("cost-length")
    lines = table_lines(results)
    rows, data = [], []
    for line in lines:
        cells = [mean_and_interval(line.values[model], line.digits) if len(line.values.get(model, ())) else "" for model in COLUMNS]
        rows.append([line.cell, line.quantity, *line.course, *cells])
        data += [
            {"cell": line.cell or line.quantity, "quantity": line.quantity, "model": model, "seed": seed, "value": value}
            for model, values in line.values.items()
            for seed, value in values.items()
        ]
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


def training_time_by_length(results: Results) -> Figure:
    """Time of one training step (forward and backward) of one layer, projections included, against sequence length; batch size and
    width are fixed.

    Dots: repetitions of the sweep. The exponent after each name is fitted to lengths within a factor of four of its largest. Dashed:
    step-by-step loops, and attention that stores its matrix of scores.
    """
    rows = sweep_of(results, "cost-length", "training_seconds", "length", "cost")
    figure, axes = canvas(height=4.0)
    exponents = curves(
        axes[0, 0], rows, networks_of(results, "cost-length"), xlabel="sequence length n", ylabel="seconds per training step"
    )
    return Figure(figure, rows, alt=f"Exponents of time over length: {in_text(exponents)}.", title="Training time by length")


def memory_by_length(results: Results) -> Figure:
    """Memory of a training step of one layer against sequence length, with the ratio of naive to fused attention that Dao et al. (2022) report.

    Dots are seeds. Dashed: attention that stores its matrix of scores. Open markers: 10 and 20 times the memory of the fused
    kernel at lengths 2048 and 4096, as stated in their README.
    """
    rows = sweep_of(results, "cost-length", "training_bytes", "length")
    rows = rows[rows["model"].isin(["lstm", "mingru", "ssm", "linear", "transformer", "transformer.naive"])]
    figure, axes = canvas(height=3.4)
    exponents = curves(axes[0, 0], rows, networks_of(results, "cost-length"), xlabel="sequence length n", ylabel="peak memory in bytes")
    fused = rows[rows["model"] == "transformer"].groupby("at")["value"].median()
    naive = rows[rows["model"] == "transformer.naive"].groupby("at")["value"].median()
    at = [n for n in (2048, 4096) if n in fused.index]
    ratios = {2048: 10, 4096: 20}
    published(axes[0, 0], at, [ratios[n] * fused[n] for n in at], colour="#000000", label="Dao et al. 2022: 10x, 20x")
    axes[0, 0].legend(loc="upper left")
    measured_ratios = ", ".join(f"{naive[n] / fused[n]:.1f} at {n:,}" for n in at if n in naive.index)
    alt = f"Exponents of memory: {in_text(exponents)}. Naive over fused attention: {measured_ratios}."
    return Figure(figure, rows, alt=alt, title="Memory by length")


def flops_and_their_crossing(results: Results) -> Figure:
    """Counted forward FLOPs of one layer against sequence length, a dot per length: attention needs fewer than a recurrence while n is below a
    small multiple of the width d.

    Dotted line: n = d, where Vaswani et al. (2017, section 4) place the crossing, ignoring constant factors.
    """
    rows = sweep_of(results, "cost-length", "forward_flops", "length")
    rows = rows[rows["model"].isin(["rnn", "gru", "lstm", "mingru", "ssm", "linear", "transformer"]) & (rows["seed"] == rows["seed"].min())]
    width = next(settings.width for run, settings in runs_of(results, "cost") if run.name == "cost-length")
    figure, axes = canvas(height=3.4)
    exponents = curves(axes[0, 0], rows, networks_of(results, "cost-length"), xlabel="sequence length n", ylabel="counted FLOPs, forward")
    axes[0, 0].axvline(width, color="#555555", ls=":", lw=1)
    axes[0, 0].annotate(
        "n = d", (width, axes[0, 0].get_ylim()[1]), xytext=(3, -8), textcoords="offset points", fontsize=7.5, color="#555555"
    )
    return Figure(figure, rows, alt=f"Exponents of counted FLOPs: {in_text(exponents)}.", title="Counted FLOPs by length")


def time_at_fixed_tokens(results: Results) -> Figure:
    """Forward time of one layer at constant batch size times length; dots are seeds. Dashed: step-by-step loops."""
    rows = sweep_of(results, "cost-tokens", "forward_seconds", "length", "cost")
    figure, axes = canvas(height=3.0)
    exponents = curves(
        axes[0, 0], rows, networks_of(results, "cost-tokens"), xlabel="sequence length n (batch = tokens / n)", ylabel="seconds, forward"
    )
    return Figure(figure, rows, alt=f"Exponents: {in_text(exponents)}.", title="Time at a fixed number of tokens")


def time_by_width(results: Results) -> Figure:
    """Time of a training step of one layer against its width at a fixed sequence length; dots are seeds, exponents are of the width."""
    rows = sweep_of(results, "cost-width", "training_seconds", "width", "cost")
    figure, axes = canvas(height=3.2)
    networks = networks_of(results, "cost-width")
    exponents = curves(axes[0, 0], rows, networks, xlabel="width d", ylabel="seconds per training step", symbol="d")
    return Figure(figure, rows, alt=f"Exponents of time over width: {in_text(exponents)}.", title="Training time by width")


def generation_cost(results: Results) -> Figure:
    """Time and state memory for generating one token after a context of n tokens; dots are seeds.

    A transformer stores the keys and values of all tokens.
    """
    time = sweep_of(results, "generation", "token_seconds", "length", "cost")
    state = sweep_of(results, "generation", "state_bytes", "length")
    networks = networks_of(results, "generation")
    if results.finished("generation-further"):
        further = {name: network for name, network in networks_of(results, "generation-further").items() if name not in networks}
        added = (
            sweep_of(results, "generation-further", metric, "length", split)
            for metric, split in (("token_seconds", "cost"), ("state_bytes", "test"))
        )
        time, state = (pd.concat([rows, more[more["model"].isin(further)]]) for rows, more in zip((time, state), added, strict=True))
        networks |= further
    figure, axes = canvas(height=5.6, rows=2)
    curves(axes[0, 0], time, networks, xlabel="tokens of context n", ylabel="seconds per token")
    curves(axes[1, 0], state[state["seed"] == state["seed"].min()], networks, xlabel="tokens of context n", ylabel="state in bytes")
    data = pd.concat([time.assign(quantity="seconds"), state.assign(quantity="bytes")])
    largest = state[state["at"] == state["at"].max()].groupby("model")["value"].median()
    alt = "Bytes of state at the longest context: " + ", ".join(f"{NAMES.get(str(m), m)} {v:,.0f}" for m, v in largest.items())
    return Figure(figure, data, alt=alt, title="Cost of generation")


def loss_by_size_and_compute(results: Results) -> Figure:
    """Test loss against non-embedding parameters, and against counted training FLOPs; dots are seeds.

    Grey, dashed: slopes of Kaplan et al. (2020, equations 1.1 and 1.3), drawn through the smallest transformer. Only slopes can be compared,
    because text, number of tokens and sizes differ.
    """
    rows, mixers = losses_by_size(results)
    figure, axes = canvas(height=3.0, columns=2)
    for panel, (x, slope, label) in zip(
        axes[0], (("parameters", -0.076, "non-embedding parameters N"), ("compute", -0.050, "training FLOPs C")), strict=True
    ):
        ends = []
        for model, part in rows.groupby("model", sort=False):
            colour = COLOURS[mixers[str(model)]]
            dots(panel, part[x], part["value"], colour=colour)
            means = part.groupby(x)["value"].mean()
            panel.plot(means.index, means, color=colour)
            ends.append((model_name(str(model)), colour, float(means.index[-1]), float(means.iloc[-1])))
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
        label_ends(panel, ends)
    return Figure(figure, rows, alt=f"Mean loss in nats per character: {in_words(rows, 'run')}.", title="Loss against size and compute")


def loss_by_position(results: Results) -> Figure:
    """Test loss by position in the context, for the widest LSTM and the other networks of the same width; one line per seed.

    Dotted line: 100 tokens, after which the LSTM of Kaplan et al. (2020, Figure 7) no longer improves.
    """
    frame, width = losses_by_position(results, ("transformer", "lstm", "mingru"))
    figure, axes = canvas(height=3.0)
    panel, ends = axes[0, 0], []
    for (model, _), curve in frame.groupby(["model", "seed"], sort=False):
        middles = np.sqrt(curve["from"] * (curve["to"] + 1.0))
        panel.plot(middles, curve["value"], color=COLOURS[str(model)], lw=0.9, alpha=0.8)
    for model, rows in frame.groupby("model", sort=False):
        last = rows.iloc[-1]
        x = math.sqrt(last["from"] * (last["to"] + 1))
        ends.append((f"{model_name(str(model))} {width}", COLOURS[str(model)], x, float(last["value"])))
    panel.axvline(100, color="#555555", ls=":", lw=1)
    panel.set(xscale="log", xlabel="position in the context", ylabel="nats per character")
    label_ends(panel, ends)
    alt = f"Mean loss in nats per character at the last positions: {in_words(last_rows(frame, 'to', 'run'), 'model')}."
    return Figure(figure, frame, alt=alt, title="Loss by position in the context")


def recall_by_pairs(results: Results) -> Figure:
    """Associative recall: share of queries answered correctly, by number of pairs and width; means over seeds."""
    data = recall_accuracies(results)
    models = list(dict.fromkeys(data["model"]))
    n_widths = data["width"].nunique()
    figure, axes = canvas(width=2 * COLUMN, height=1.5 + 0.3 * n_widths, columns=len(models))
    for panel, model in zip(axes[0], models, strict=True):
        table = data[data["model"] == model].pivot_table(index="width", columns="pairs", values="value")
        panel.imshow(table, cmap="Blues", vmin=0, vmax=1.15, aspect="auto", origin="lower")
        panel.grid(visible=False)
        panel.set(title=model_name(str(model)), xlabel="pairs", ylabel="width d")
        panel.set_xticks(range(table.shape[1]), [str(c) for c in table.columns])
        panel.set_yticks(range(table.shape[0]), [str(i) for i in table.index])
        for (i, j), value in np.ndenumerate(table.to_numpy()):
            panel.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7.5, color=ON_DARK if value > 0.6 else ON_LIGHT)
    alt = "; ".join(f"{m}: {data[data['model'] == m]['value'].mean():.2f} on average" for m in models)
    return Figure(figure, data, alt=f"Recall accuracy. {alt}.", title="Associative recall by pairs and width")


def copying(results: Results) -> Figure:
    """Copying strings. Left: share of strings copied without error during training. Right: share of characters copied correctly, by length.

    Dots are seeds. The vertical dotted line is the longest trained length.
    """
    runs = runs_of(results, "copying")
    figure, axes = canvas(height=2.8, columns=2)
    parts = []
    for run, settings in runs:
        network, batch_size = settings.network, settings.training.batch_size
        model, colour = network.name, COLOURS[network.mixer]
        learning = results.select(run=run.name, metric="string_accuracy", split="validation")
        lengths = results.select(run=run.name, metric="character_accuracy", axis="length")
        learning, lengths = learning.assign(model=model, x=learning["step"] * batch_size), lengths.assign(model=model, x=lengths["at"])
        style = {"alibi": "--", "nope": ":"}.get(network.positions, "-")
        for _, part in learning.groupby("seed"):
            axes[0, 0].plot(part["x"], part["value"], color=colour, ls=style, lw=0.9, label=model_name(model))
        dots(axes[0, 1], lengths["x"], lengths["value"], colour=colour)
        means = lengths.groupby("x")["value"].mean()
        axes[0, 1].plot(means.index, means, color=colour, ls=style, label=model_name(model))
        axes[0, 1].axvline(settings.task.length, color="#555555", ls=":", lw=1)
        parts += [learning, lengths]
    axes[0, 0].set(xlabel="training examples", ylabel="strings without error", ylim=(-0.03, 1.03))
    axes[0, 1].set(xlabel="length of the string", ylabel="characters copied correctly", ylim=(-0.03, 1.03))
    axes[0, 1].legend()
    data = pd.concat(parts)[["run", "model", "seed", "split", "metric", "x", "value"]]
    longest = last_rows(data[data["metric"] == "character_accuracy"], "x", "model")
    return Figure(
        figure, data, alt=f"Share of characters copied correctly at the longest length: {in_words(longest, 'model')}.", title="Copying"
    )


def selective_copying(results: Results) -> Figure:
    """Selective copying (Gu and Dao 2023, section 4.1): share of letters copied correctly during training, against examples; one line per seed.

    Letters stand at random places among noise. Mamba's steps depend on the input, so that it can skip the noise; those of the same layer
    without selection, and the decay of RWKV-4, do not. Dotted line: guessing.
    """
    runs = runs_of(results, "selective")
    figure, axes = canvas(width=COLUMN, height=2.6)
    panel, parts, ends = axes[0, 0], [], []
    for run, settings in runs:
        network = settings.network
        learning = results.select(run=run.name, metric="accuracy", split="validation")
        learning = learning.assign(model=network.name, x=learning["step"] * settings.training.batch_size)
        for _, part in learning.groupby("seed"):
            panel.plot(part["x"], part["value"], color=COLOURS[network.mixer], lw=0.9)
        last = learning[learning["step"] == learning["step"].max()]
        ends.append((NAMES.get(network.name, network.name), COLOURS[network.mixer], float(last["x"].iloc[0]), float(last["value"].mean())))
        parts.append(learning)
    panel.axhline(1 / runs[0][1].task.vocabulary, color="#555555", ls=":", lw=1)
    panel.set(xlabel="training examples", ylabel="letters copied correctly", ylim=(-0.03, 1.03))
    label_ends(panel, ends)
    data = pd.concat(parts)[["run", "model", "seed", "x", "value"]]
    alt = f"Share of letters copied correctly at the end of training: {in_words(last_rows(data, 'x', 'model'), 'model')}."
    return Figure(figure, data, alt=alt, title="Selective copying")


def gradients_over_time(results: Results) -> Figure:
    """Left: norm of d loss_T / d h_t against the distance T - t at initialisation, relative to distance 0; one line per seed. Right: factor
    of the tanh-RNN's gradient norm per step, by the spectral radius of its recurrent matrix; dots are seeds.

    Dashed: factor = spectral radius, which holds where the slopes of tanh are 1; above a radius of 1 the units saturate, which keeps the
    factor near 1.
    """
    results.need("gradients")
    networks = networks_of(results, "gradients")
    figure, axes = canvas(height=2.9, columns=2, width_ratios=[1.25, 1])
    data, ends = [], []
    by_seed = results.by_seed("gradients", "gradient_norms")
    for i, (model, network) in enumerate(networks.items()):
        for seed, (by_model,) in by_seed.items():
            norms = np.maximum(by_model[i] / by_model[i][0], 1e-16)
            axes[0, 0].plot(np.where(norms > 1e-16, norms, math.nan), color=COLOURS[network.mixer], lw=0.9)
            data += [{"model": model, "seed": seed, "x": x, "value": float(v)} for x, v in enumerate(norms)]
        ends.append((model_name(model), COLOURS[network.mixer], len(norms) - 1.0, float(norms[-1])))
    axes[0, 0].set(yscale="log", ylim=(1e-18, 30), xlabel="distance T - t", ylabel="gradient norm, relative")
    label_ends(axes[0, 0], ends)
    radii = results.artifacts("gradients")["radii"]
    for seed, (rates,) in results.by_seed("gradients", "rate_by_radius").items():
        dots(axes[0, 1], radii, rates, colour=COLOURS["rnn"])
        data += [{"model": "rnn by radius", "seed": seed, "x": float(r), "value": float(v)} for r, v in zip(radii, rates, strict=True)]
    axes[0, 1].plot(radii, radii, color="#555555", ls="--", lw=1)
    axes[0, 1].set(xlabel="spectral radius of W", ylabel="gradient factor per step")
    remaining = {model: results.final("gradients", "gradient_kept", model=model).median() for model in networks}
    alt = "Share of the gradient that remains at the far end: " + ", ".join(f"{m} {v:.1e}" for m, v in remaining.items())
    return Figure(figure, pd.DataFrame(data), alt=alt, title="Gradients over time")


def _order_title(run: Run, settings: Settings) -> str:
    """Return the display name of a temporal-order run: network and clipping."""
    return f"{model_name(settings.network.name)}, {run.labels['clipping']}"


def gradients_before_and_after_training(results: Results) -> Figure:
    """Gradient norms by distance on the temporal-order task, before (dashed) and after (solid) training; medians over trials, one line per seed."""
    runs = runs_of(results, "order")
    figure, axes = canvas(height=2.4, columns=len(runs), sharey=True)
    data = []
    for panel, (run, settings) in zip(axes[0], runs, strict=True):
        for seed, arrays in results.by_seed(run.name, "gradient_before", "gradient_after").items():
            for when, style, norms in zip(("before", "after"), ("--", "-"), arrays, strict=True):
                middle = np.maximum(np.median(norms, axis=0), 1e-12)
                panel.plot(middle, color=COLOURS[settings.network.mixer], ls=style, lw=0.9)
                data += [{"run": run.name, "seed": seed, "when": when, "distance": i, "value": float(v)} for i, v in enumerate(middle)]
        panel.set(yscale="log", title=_order_title(run, settings), xlabel="distance T - t")
    axes[0, 0].set_ylabel("gradient norm")
    frame = pd.DataFrame(data)
    alt = f"Mean gradient norm at the greatest distance: {in_words(last_rows(frame, 'distance', 'run'), ['run', 'when'], form='.1e')}."
    return Figure(figure, frame, alt=alt, title="Gradients before and after training")


def clipping(results: Results) -> Figure:
    """Temporal order (Pascanu et al. 2013, section 4.1): share of trainings that learn the task; each dot is one seed's share over its trials."""
    runs = runs_of(results, "order")
    figure, axes = canvas(width=1.3 * COLUMN, height=2.4)
    parts = []
    for i, (run, settings) in enumerate(runs):
        values = results.final(run.name, "success")
        jitter = (np.arange(len(values)) - (len(values) - 1) / 2) * 0.12
        dots(axes[0, 0], values.to_numpy(), i + jitter, colour=COLOURS[settings.network.mixer])
        axes[0, 0].plot([values.mean()] * 2, [i - 0.3, i + 0.3], color="#333333", lw=1.2)
        parts.append(values.rename("value").reset_index().assign(run=run.name))
    axes[0, 0].set(xlabel="share of trainings that succeed", xlim=(-0.05, 1.05))
    axes[0, 0].set_yticks(range(len(runs)), [_order_title(run, settings) for run, settings in runs])
    data = pd.concat(parts, ignore_index=True)
    alt = "; ".join(f"{run}: {value:.2f}" for run, value in data.groupby("run")["value"].mean().items())
    return Figure(figure, data, alt=f"Success: {alt}.", title="Clipping and success")


def regular_languages(results: Results) -> Figure:
    """Accuracy on regular languages by sequence length, one panel per language; dots are seeds. Dotted line: trained length."""
    data = regular_accuracies(results)
    languages = list(dict.fromkeys(data["language"]))
    figure, axes = canvas(height=2.5, columns=len(languages), sharey=True)
    for panel, language in zip(axes[0], languages, strict=True):
        language_rows = data[data["language"] == language]
        ends = []
        for model, part in language_rows.groupby("model", sort=False):
            colour = COLOURS[part["mixer"].iloc[0]]
            dots(panel, part["at"], part["value"], colour=colour)
            means = part.groupby("at")["value"].mean()
            panel.plot(means.index, means, color=colour)
            ends.append((model_name(str(model)), colour, float(means.index[-1]), float(means.iloc[-1])))
        panel.axvline(language_rows["trained"].iloc[0], color="#555555", ls=":", lw=1)
        panel.set(title=language.capitalize(), xlabel="length", ylim=(-0.03, 1.06))
        label_ends(panel, ends)
    axes[0, 0].set_ylabel("states predicted correctly")
    columns = data[["run", "language", "model", "seed", "at", "value"]]
    alt = f"Share of states predicted correctly at the longest length: {in_words(last_rows(columns, 'at', 'run'), ['language', 'model'])}."
    return Figure(figure, columns, alt=alt, title="Regular languages")
