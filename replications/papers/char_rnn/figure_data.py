"""Data behind the figures: display names, and selections of records, artifacts and published values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from replications.papers.char_rnn.settings import Network, Settings
from replications.presentation.palette import PALETTE
from replications.registry.run_grid import Run
from replications.results.mosaics import is_outline
from replications.results.reader import NotMeasured, Results

CELLS = {"lstm": ("LSTM", PALETTE[0], "o"), "gru": ("GRU", PALETTE[1], "s"), "rnn": ("tanh RNN", PALETTE[2], "^")}
CORPORA = {
    "war-and-peace": "War and Peace",
    "linux": "Linux kernel",
    "tiny-shakespeare": "tiny Shakespeare",
    "program-text": "C++ program text",
}
LABELS = {
    "quote": "quotation open",
    "string": "string open",
    "comment": "comment open",
    "condition": "if condition open",
    "column": "position in line",
    "indentation": "indentation",
    "depth": "bracket depth",
}
BINARY = ("quote", "string", "comment", "condition")
KINDS = {
    "ngram": "n-gram (n up to 9)",
    "memory": "word repeated within 1,000",
    "rare": "rare word",
    "word": "first letter of a word",
    "punctuation": "punctuation",
    "boost": "probability 0.4 to 0.5",
    "other": "other",
}
DISTANCE_EDGES = (0, 10, 20, 40, 60, 80, 100, 140, 200, 300, 500, 1000)
"""Bounds of the bins of distance between brackets, in characters."""
MIN_BRACKETS = 5
"""A bin with fewer brackets is left out of the figure."""


def corpus_of(run: Run) -> str:
    """Return the corpus of a run.

    Args:
        run: a run of this paper.

    Returns:
        Key of `CORPORA`.
    """
    return run.settings_as(Settings).corpus


def analysed_networks(results: Results, analysis: str) -> Iterator[tuple[Run, str]]:
    """Yield the networks that an analysis was done on, with their finished runs.

    Args:
        results: results of the paper.
        analysis: name of the analysis, for example 'cells'.

    Yields:
        (run, name of the network).
    """
    for run in results.runs():
        if analysis in run.settings_as(Settings).analyses and results.finished(run.name):
            for name in run.settings_as(Settings).analysed:
                yield run, name


def need_analysis(results: Results, analysis: str) -> list[tuple[Run, str]]:
    """Return the networks that an analysis was done on, with their finished runs.

    Args:
        results: results of the paper.
        analysis: name of the analysis, for example 'cells'.

    Returns:
        (run, name of the network) pairs, at least one.

    Raises:
        NotMeasured: no finished run has this analysis.
    """
    networks = list(analysed_networks(results, analysis))
    if not networks:
        raise NotMeasured(f"needs a finished run with the analysis '{analysis}'")
    return networks


def array_of_all_seeds(results: Results, run: Run, key: str) -> np.ndarray:
    """Return one artifact of all finished seeds.

    Args:
        results: results of the paper.
        run: the run.
        key: name of the artifact.

    Returns:
        The chunks' arrays, concatenated along the leading seed axis.
    """
    parts = [results.artifacts(run.name, chunk[0])[key] for chunk in run.chunks() if _is_recorded(results, run, chunk[0])]
    return np.concatenate(parts)


def _is_recorded(results: Results, run: Run, seed: int) -> bool:
    """Return True when the seed of the run is recorded."""
    return seed in set(results.select(run=run.name)["seed"])


def network_name(name: str) -> str:
    """Return the display name of a network.

    Args:
        name: for example 'lstm-2'.

    Returns:
        For example 'LSTM, 2 layers'.
    """
    network = Network.parse(name)
    return f"{CELLS[network.cell][0]}, {network.layers} layer{'s' if network.layers > 1 else ''}"


def cross_entropies(results: Results, split: str) -> pd.DataFrame:
    """Return the cross-entropy of every network.

    Args:
        results: results of the paper.
        split: test or validation.

    Returns:
        One row per network, seed and step; columns run, corpus, size, cell, layers, seed, step, value (nats per character).

    Raises:
        NotMeasured: no run with networks is finished.
    """
    rows = results.select(metric="cross_entropy", split=split, axis="")
    if rows.empty:
        raise NotMeasured("needs a finished run with networks")
    runs = {run.name: run for run in results.runs()}
    networks = {name: Network.parse(name) for name in rows["model"].unique()}
    return rows.assign(
        cell=[networks[name].cell for name in rows["model"]],
        layers=[networks[name].layers for name in rows["model"]],
        corpus=[corpus_of(runs[name]) for name in rows["run"]],
        size=[runs[name].settings_as(Settings).size for name in rows["run"]],
    )[["run", "corpus", "size", "cell", "layers", "seed", "step", "value"]]


def published_grid(results: Results) -> pd.DataFrame:
    """Return the published cross-entropies of Table 1, as recalled, for the corpora of this tier.

    Args:
        results: results of the paper.

    Returns:
        Columns corpus, size, cell, layers, value (nats per character).
    """
    planned = {run.name: run for run in results.runs()}
    rows = []
    for table in results.paper.tables.values():
        for row in table.rows:
            for key, measure in table.measures.items():
                value = row.value("v2", key)
                if row.run in planned and value is not None and measure.model and not measure.axis:
                    run, network = planned[row.run], Network.parse(measure.model)
                    rows.append((corpus_of(run), run.settings_as(Settings).size, network.cell, network.layers, value))
    return pd.DataFrame(rows, columns=["corpus", "size", "cell", "layers", "value"])


def published_orders(results: Results, corpus: str, measured: set[str], runs: dict[str, Run]) -> pd.DataFrame:
    """Return the published cross-entropies of n-grams (Table 2), as recalled.

    Args:
        results: results of the paper.
        corpus: key of `CORPORA`.
        measured: names of the runs with measured n-grams.
        runs: planned runs by name.

    Returns:
        Columns corpus, source, order, value (nats per character).
    """
    table = results.table("table-2")
    rows = [
        (corpus, "published", int(measure.at or 0), row.value("v2", key))
        for row in table.rows
        if row.run in measured and corpus_of(runs[row.run]) == corpus
        for key, measure in table.measures.items()
    ]
    return pd.DataFrame(rows, columns=["corpus", "source", "order", "value"])


def bracket_gains(results: Results, run: Run, name: str) -> pd.DataFrame:
    """Return the probability of closing brackets gained over the 20-gram, by distance to the opening bracket.

    Args:
        results: results of the paper.
        run: finished run with the analysis 'brackets'.
        name: name of the network.

    Returns:
        One row per bin and seed; columns distance ('11-20'), middle (of the bin, characters), seed, gain, brackets (their
        number), run, network. Bins with fewer than `MIN_BRACKETS` brackets are left out.
    """
    distance = array_of_all_seeds(results, run, f"bracket_distance.{name}")
    gain = array_of_all_seeds(results, run, f"bracket_network.{name}") - array_of_all_seeds(results, run, f"bracket_ngram.{name}")
    rows = []
    for low, high in itertools.pairwise(DISTANCE_EDGES):
        for seed, (distances, gains) in enumerate(zip(distance, gain, strict=True)):
            in_bin = (distances > low) & (distances <= high)
            if in_bin.sum() >= MIN_BRACKETS:
                rows.append((f"{low + 1}-{high}", np.sqrt(max(low, 5) * high), seed, gains[in_bin].mean(), int(in_bin.sum())))
    return pd.DataFrame(rows, columns=["distance", "middle", "seed", "gain", "brackets"]).assign(run=run.name, network=name)


def outline_notes(text: str) -> tuple[str, ...]:
    """Say below a drawing that the letters of its text are hidden.

    Args:
        text: what is shown.

    Returns:
        One sentence; none where the text is shown as it is.
    """
    return ("Letters are shown as x, since the licence of the text does not let the committed results hold copies.",) * is_outline(text)


def error_shares(results: Results) -> pd.DataFrame:
    """Return the share of characters that are errors of each kind.

    Args:
        results: results of the paper.

    Returns:
        One row per network, seed and kind, with columns run, network, label (of the network), seed, bar (index of the bar), kind, share.

    Raises:
        NotMeasured: no finished run has the analysis 'errors'.
    """
    networks = need_analysis(results, "errors")
    networks.sort(key=lambda pair: (corpus_of(pair[0]), pair[0].settings_as(Settings).size, pair[1]))
    rows, bars = [], itertools.count()
    for run, name in networks:
        label = f"{CORPORA[corpus_of(run)]}, {run.settings_as(Settings).size}, {network_name(name)}"
        for seed in run.seeds:
            errors = results.final(run.name, "errors", model=name).get(seed)
            scored = results.final(run.name, "scored_characters", model=name).get(seed)
            if errors is None or scored is None:
                continue
            bar = next(bars)
            for kind in KINDS:
                share = results.final(run.name, f"errors_{kind}", model=name)[seed] / scored
                rows.append((run.name, name, label, seed, bar, kind, share))
    if not rows:
        raise NotMeasured("needs a finished run with the analysis 'errors'")
    return pd.DataFrame(rows, columns=["run", "network", "label", "seed", "bar", "kind", "share"])
