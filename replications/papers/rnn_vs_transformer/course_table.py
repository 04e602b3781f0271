"""Values of the measured comparison table: for each line of the table taught in courses, one value per seed and network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from replications.papers.rnn_vs_transformer.figure_data import runs_of
from replications.registry.run_grid import Run
from replications.results.reader import NotMeasured, Results
from replications.verdicts.estimates import estimate
from replications.verdicts.trends import loglog_slope

COLUMNS = ("lstm", "mingru", "transformer")
"""Networks in the measured table."""


@dataclass(frozen=True)
class Line:
    """One line of the measured table.

    Attributes:
        cell: property in the course's table; empty: the same as in the previous line.
        quantity: what is measured.
        course: entries of the course's table for recurrent networks and transformers.
        values: network -> one value per seed.
        digits: decimals.
    """

    cell: str
    quantity: str
    course: tuple[str, str]
    values: dict[str, pd.Series[float]]
    digits: int


def mean_and_interval(values: pd.Series[float], digits: int) -> str:
    """Return mean and 95 % confidence interval over seeds as text.

    Args:
        values: one per seed.
        digits: decimals.

    Returns:
        For example '0.52 [0.48, 0.56]'; without an interval for a single seed or equal values; 'not finite' where a seed diverged.
    """
    if not all(map(math.isfinite, values)):
        return "not finite"
    mean = estimate(values.to_numpy())
    low, high = mean.interval()
    interval = f" [{low:.{digits}f}, {high:.{digits}f}]" if math.isfinite(low) and mean.error > 0 else ""
    return f"{mean.mean:.{digits}f}{interval}"


def _by_network(
    results: Results, run: str, metric: str, split: str = "test", axis: str = "", at: float | None = None
) -> dict[str, pd.Series[float]]:
    """Return a metric of every network of the table that one run compares; networks without a record are left out.

    Args:
        results: results of the paper.
        run: name of the run.
        metric: name of the metric.
        split: data split.
        axis: axis of the records, or empty.
        at: position on the axis.
    """
    return {
        model: results.final(run, metric, split, model=model, axis=axis, at=at)
        for model in COLUMNS
        if results.recorded(run, metric, split, model=model, axis=axis, at=at)
    }


def _by_run(results: Results, runs: dict[str, Run], metric: str) -> dict[str, pd.Series[float]]:
    """Return a metric of runs that train one network of the table each; runs without a record are left out.

    Args:
        results: results of the paper.
        runs: network -> run.
        metric: name of the metric.
    """
    return {model: results.final(run.name, metric) for model, run in runs.items() if results.recorded(run.name, metric)}


def _trained(results: Results, experiment: str, *, width: int | None = None, language: str | None = None, **labels: str) -> dict[str, Run]:
    """Return the finished runs of the table's networks in an experiment.

    Args:
        results: results of the paper.
        experiment: value of the setting `experiment`.
        width: width to select; default, or if not all networks have it: the largest width that all have.
        language: regular language to select.
        labels: labels that the runs must have.

    Returns:
        Network -> run.
    """
    try:
        runs = runs_of(results, experiment, **labels)
    except NotMeasured:
        return {}
    by_network: dict[str, dict[int, Run]] = {}
    for run, settings in runs:
        matches = settings.layers == runs[0][1].layers and language in (None, settings.task.language)
        if matches and settings.network.name in COLUMNS:
            by_network.setdefault(settings.network.name, {})[settings.width] = run
    shared_widths = set.intersection(*(set(widths) for widths in by_network.values())) if by_network else set()
    selected_width = width if width in shared_widths else max(shared_widths, default=None)
    return {model: widths[selected_width] for model, widths in by_network.items() if selected_width in widths}


def _state_exponents(results: Results) -> dict[str, pd.Series[float]]:
    """Return the exponent of the state size over the context length, per seed, for each network of the table.

    Args:
        results: results of the paper.
    """
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
    """Return the lines of the measured table; networks that were not measured at this tier have no value.

    Args:
        results: results of the paper.

    Returns:
        Lines in the order of the table.
    """
    parity = _trained(results, "regular", language="parity", study="languages")
    gradient = {model: values.map(math.log10) for model, values in _by_network(results, "gradients", "gradient_kept").items()}
    cost = "cost-length"
    return [
        Line(
            "Long-range dependencies",
            "recall accuracy",
            ("hard in practice", "good"),
            _by_run(results, _trained(results, "recall", width=64), "accuracy_most"),
            2,
        ),
        Line("", "log10 of the remaining gradient", ("", ""), gradient, 1),
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
        Line("Inductive bias", "parity accuracy, longer strings", ("strong", "weak"), _by_run(results, parity, "accuracy_longer"), 2),
        Line(
            "",
            "test loss, nats per character",
            ("", ""),
            _by_run(results, _trained(results, "language", study="scaling"), "loss"),
            3,
        ),
    ]
