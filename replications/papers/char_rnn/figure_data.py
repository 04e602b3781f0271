"""Data behind the figures: names of what is drawn, and selections of records, artifacts and published values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from replications.papers.char_rnn.settings import Network, Settings
from replications.presentation.palette import PALETTE
from replications.registry.run_grid import Run
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
    "memory": "word seen within 1,000",
    "rare": "rare word",
    "word": "first letter of a word",
    "punctuation": "punctuation",
    "boost": "0.4 to 0.5",
    "other": "other",
}


def corpus_of(run: Run) -> str:
    """Return the corpus of a run."""
    return run.settings_as(Settings).corpus


def analysed_networks(results: Results, analysis: str) -> Iterator[tuple[Run, str]]:
    """Finished runs with the network that the analysis was done on, one entry a network."""
    for run in results.runs():
        if analysis in run.settings_as(Settings).analyses and results.finished(run.name):
            for name in run.settings_as(Settings).analysed:
                yield run, name


def need_analysis(results: Results, analysis: str) -> list[tuple[Run, str]]:
    """Return the finished runs with an analysis, one entry per network. Raises NotMeasured when there is none."""
    found = list(analysed_networks(results, analysis))
    if not found:
        raise NotMeasured(f"needs a finished run with the analysis '{analysis}'")
    return found


def array_of_all_seeds(results: Results, run: Run, key: str) -> np.ndarray:
    """One artifact over all finished seeds, seed axis first."""
    parts = [results.artifacts(run.name, chunk[0])[key] for chunk in run.chunks() if _has(results, run, chunk[0])]
    return np.concatenate(parts)


def _has(results: Results, run: Run, seed: int) -> bool:
    return seed in set(results.select(run=run.name)["seed"])


def network_name(name: str) -> str:
    """Return the display name of a network."""
    network = Network.parse(name)
    return f"{CELLS[network.cell][0]}, {network.layers} layer{'s' if network.layers > 1 else ''}"


def cross_entropies(results: Results, split: str) -> pd.DataFrame:
    """Cross-entropy of every network: run, cell, layers, corpus, size, seed, step, value."""
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
    """Table 1 as recalled, of the corpora this tier has: corpus, size, cell, layers, value."""
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
    """Return the published cross-entropies of n-grams: corpus, source, order, value."""
    table = results.table("table-2")
    found = [
        (corpus, "published", int(measure.at or 0), row.value("v2", key))
        for row in table.rows
        if row.run in measured and corpus_of(runs[row.run]) == corpus
        for key, measure in table.measures.items()
    ]
    return pd.DataFrame(found, columns=["corpus", "source", "order", "value"])
