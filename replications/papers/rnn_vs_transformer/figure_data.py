"""Data behind the figures: runs of an experiment, and selections of their records and artifacts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from replications.papers.rnn_vs_transformer.settings import Network, Settings
from replications.registry.run_grid import Run
from replications.results.reader import NotMeasured, Results


def runs_of(results: Results, experiment: str, **labels: str) -> list[tuple[Run, Settings]]:
    """Return the finished runs of an experiment with their settings, in planned order.

    Args:
        results: results of the paper.
        experiment: value of the setting `experiment`.
        labels: labels that the runs must have.

    Returns:
        (run, settings) pairs, at least one.

    Raises:
        NotMeasured: there is no such run.
    """
    runs = [
        (run, settings)
        for run in results.runs()
        if (settings := run.settings_as(Settings)).experiment == experiment
        and labels.items() <= run.labels.items()
        and results.finished(run.name)
    ]
    if not runs:
        raise NotMeasured(f"needs a run of the experiment '{experiment}'")
    return runs


def networks_of(results: Results, run: str) -> dict[str, Network]:
    """Return the networks that a run compares.

    Args:
        results: results of the paper.
        run: name of the run.

    Returns:
        Name under which a network is recorded -> network.

    Raises:
        NotMeasured: this tier does not plan the run.
    """
    settings = next((plan.settings_as(Settings) for plan in results.runs() if plan.name == run), None)
    if settings is None:
        raise NotMeasured(f"needs {run}")
    return {network.name: network for network in settings.models}


def sweep_of(results: Results, run: str, metric: str, axis: str, split: str = "test") -> pd.DataFrame:
    """Return the records of one metric over an axis.

    Args:
        results: results of the paper.
        run: name of the run.
        metric: name of the metric.
        axis: length, width or batch_size.
        split: 'cost' for measured times, else 'test'.

    Returns:
        Columns run, model, seed, at and value.

    Raises:
        NotMeasured: the run is not finished, or has no timing records.
    """
    results.need(run)
    rows = results.select(run=run, metric=metric, split=split, axis=axis)
    if not len(rows):
        raise NotMeasured(f"needs {metric} of {run}")
    return rows[["run", "model", "seed", "at", "value"]]


def losses_by_size(results: Results) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the test loss of the language-modelling runs by size.

    Args:
        results: results of the paper.

    Returns:
        One row per run and seed with columns seed, run, model, value (nats per character), parameters (non-embedding) and compute
        (training FLOPs); and the mixer of each model.

    Raises:
        NotMeasured: no such run is finished.
    """
    parts = []
    mixers: dict[str, str] = {}
    for run, settings in runs_of(results, "language", study="scaling"):
        values = {key: results.final(run.name, metric) for key, metric in (("value", "loss"), ("parameters",) * 2, ("compute",) * 2)}
        mixers[settings.network.name] = settings.network.mixer
        parts.append(pd.DataFrame({"run": run.name, "model": settings.network.name, **values}).rename_axis("seed").reset_index())
    return pd.concat(parts, ignore_index=True), mixers


def losses_by_position(results: Results, models: tuple[str, ...], bins: int = 22) -> tuple[pd.DataFrame, int]:
    """Return the test loss by position in the context, for networks as wide as the widest trained LSTM.

    Args:
        results: results of the paper.
        models: names of the networks, in the order of the rows.
        bins: number of bounds of the logarithmic bins of positions.

    Returns:
        One row per model, seed and bin with columns run, model, seed, from, to (first and last position of the bin) and value (nats
        per character); and the width.

    Raises:
        NotMeasured: no language-modelling run of an LSTM is finished.
    """
    runs = runs_of(results, "language", study="scaling")
    widest = max((settings.width for _, settings in runs if settings.network.name == "lstm"), default=0)
    by_model = {settings.network.name: run for run, settings in runs if settings.width == widest}
    if not by_model:
        raise NotMeasured("needs a language run of an LSTM")
    rows = []
    for model in (model for model in models if model in by_model):
        run = by_model[model].name
        for seed, (losses,) in results.by_seed(run, "loss_by_position").items():
            edges = np.unique(np.round(np.geomspace(1, len(losses), bins)).astype(int))
            for low, high in pairwise(edges):
                value = float(losses[low - 1 : high - 1].mean())
                rows.append({"run": run, "model": model, "seed": seed, "from": low, "to": high - 1, "value": value})
    return pd.DataFrame(rows), widest


def recall_accuracies(results: Results) -> pd.DataFrame:
    """Return the accuracy of associative recall.

    Args:
        results: results of the paper.

    Returns:
        Columns run, model, width, seed, pairs, value (share of queries answered correctly).

    Raises:
        NotMeasured: no recall run is finished.
    """
    parts = []
    for run, settings in runs_of(results, "recall"):
        rows = results.select(run=run.name, metric="accuracy", split="test", axis="pairs")
        parts.append(rows.assign(model=settings.network.name, width=settings.width)[["run", "model", "width", "seed", "at", "value"]])
    return pd.concat(parts, ignore_index=True).rename(columns={"at": "pairs"}).astype({"pairs": int})


def regular_accuracies(results: Results) -> pd.DataFrame:
    """Return the accuracy on regular languages by length.

    Args:
        results: results of the paper.

    Returns:
        The records of character_accuracy with the columns model, mixer, language and trained (the trained length).

    Raises:
        NotMeasured: no such run is finished.
    """
    parts = []
    for run, settings in runs_of(results, "regular", study="languages"):
        task, network = settings.task, settings.network
        rows = results.select(run=run.name, metric="character_accuracy", axis="length")
        parts.append(rows.assign(model=network.name, mixer=network.mixer, language=task.language, trained=task.length))
    return pd.concat(parts, ignore_index=True)
