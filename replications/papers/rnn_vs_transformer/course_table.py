"""Values of the measured table: each line of the course's table with one value per seed and network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from replications.papers.rnn_vs_transformer.plotting import runs_of
from replications.registry.run_grid import Run
from replications.results.reader import NotMeasured, Results
from replications.verdicts.statistics import estimate, loglog_slope

COLUMNS = ("lstm", "mingru", "transformer")
"""Networks of the measured table."""


@dataclass(frozen=True)
class Line:
    """One line of the measured table.

    Attributes:
        cell: cell of the course's table; empty: as in the line above.
        quantity: what is measured.
        course: words of the course's table for recurrent networks and transformers.
        values: one value per seed for each network.
        digits: decimals.
    """

    cell: str
    quantity: str
    course: tuple[str, str]
    values: dict[str, pd.Series[float]]
    digits: int


def mean_and_interval(values: pd.Series[float], digits: int) -> str:
    """Return mean and 95 % interval over seeds as text."""
    mean = estimate(values.to_numpy())
    low, high = mean.interval()
    interval = f" [{low:.{digits}f}, {high:.{digits}f}]" if math.isfinite(low) and mean.error > 0 else ""
    return f"{mean.mean:.{digits}f}{interval}"


def _by_network(
    results: Results, run: str, metric: str, split: str = "test", axis: str = "", at: float | None = None
) -> dict[str, pd.Series[float]]:
    """Return a metric of every network of the table that one run compares; nothing of what was not measured."""
    return {
        model: results.final(run, metric, split, model=model, axis=axis, at=at)
        for model in COLUMNS
        if results.recorded(run, metric, split, model=model, axis=axis, at=at)
    }


def _by_run(results: Results, runs: dict[str, Run], metric: str) -> dict[str, pd.Series[float]]:
    """Return a metric of the runs, each of which trains one network of the table."""
    return {model: results.final(run.name, metric) for model, run in runs.items() if results.recorded(run.name, metric)}


def _trained(results: Results, experiment: str, *, width: int | None = None, language: str | None = None, **labels: str) -> dict[str, Run]:
    """Return the finished runs of the table's networks in an experiment: at a width, else at the largest that all of them have."""
    try:
        runs = runs_of(results, experiment, **labels)
    except NotMeasured:
        return {}
    by_network: dict[str, dict[int, Run]] = {}
    for run, settings in runs:
        asked = settings.layers == runs[0][1].layers and language in (None, settings.task.language)
        if asked and settings.network.name in COLUMNS:
            by_network.setdefault(settings.network.name, {})[settings.width] = run
    shared = set.intersection(*(set(widths) for widths in by_network.values())) if by_network else set()
    at = width if width in shared else max(shared, default=None)
    return {model: widths[at] for model, widths in by_network.items() if at in widths}


def _state_exponents(results: Results) -> dict[str, pd.Series[float]]:
    """Return the exponent of the state's size over the length of the context, per seed, for each network of the table."""
    if not results.finished("generation"):
        return {}
    rows = results.select(run="generation", metric="state_bytes", axis="length")
    return {
        model: pd.Series(
            {
                seed: float(loglog_slope(part["at"].to_numpy(dtype=float), part["value"].to_numpy()[None])[0])
                for seed, part in rows[rows["model"] == model].groupby("seed")
            },
            dtype=float,
        )
        for model in COLUMNS
    }


def table_lines(results: Results) -> list[Line]:
    """Return the lines of the measured table; a line has no value of a network that was not measured at this tier."""
    parity = _trained(results, "regular", language="parity", study="languages")
    gradient = {model: values.map(math.log10) for model, values in _by_network(results, "gradients", "gradient_kept").items()}
    cost = "cost-length"
    return [
        Line(
            "Long-range dependencies",
            "recalls answered right",
            ("hard in practice", "good"),
            _by_run(results, _trained(results, "recall", width=64), "accuracy_most"),
            2,
        ),
        Line("", "log10 of the gradient kept", ("", ""), gradient, 1),
        Line(
            "Parallel over time",
            "sequential steps at n = 1,024",
            ("no", "yes"),
            _by_network(results, cost, "sequential_operations", axis="length", at=1024),
            0,
        ),
        Line("Compute", "FLOPs, exponent of n", ("O(n)", "O(n^2)"), _by_network(results, cost, "forward_flops_exponent"), 2),
        Line("", "training time, exponent of n", ("", ""), _by_network(results, cost, "training_seconds_exponent", "cost"), 2),
        Line("Memory", "training, exponent of n", ("O(n)", "O(n)"), _by_network(results, cost, "training_bytes_exponent"), 2),
        Line("", "state after n tokens, exponent", ("", ""), _state_exponents(results), 2),
        Line("Inductive bias", "parity at longer lengths", ("strong", "weak"), _by_run(results, parity, "accuracy_longer"), 2),
        Line(
            "",
            "held-out loss, nats/char",
            ("", ""),
            _by_run(results, _trained(results, "language", study="scaling"), "loss"),
            3,
        ),
    ]
