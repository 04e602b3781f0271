"""The corpora of the language-modelling runs; all other experiments generate their sequences."""

from __future__ import annotations

from replications.engine.corpora import CORPORA
from replications.engine.datasets import DataSource
from replications.papers.rnn_vs_transformer.settings import Settings

SOURCES: list[DataSource] = [corpus.source for corpus in CORPORA.values()]


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """Return the data that a run loads.

    Args:
        settings: settings of the run.

    Returns:
        (source, split) pairs: the corpus of a language-modelling run, else none.
    """
    return [(CORPORA[settings.text.corpus].source, "all")] if settings.experiment == "language" else []
