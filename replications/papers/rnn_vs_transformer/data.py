"""The corpora of the language-modelling runs; all other experiments generate their sequences."""

from __future__ import annotations

from replications.engine.datasets import DataSource
from replications.engine.text import CORPORA, LINUX, PROGRAM_TEXT, TINY_SHAKESPEARE, WAR_AND_PEACE
from replications.papers.rnn_vs_transformer.settings import Settings

SOURCES: list[DataSource] = [TINY_SHAKESPEARE, WAR_AND_PEACE, LINUX, PROGRAM_TEXT]


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """Return the data that a run loads.

    Args:
        settings: settings of the run.

    Returns:
        (source, split) pairs: the corpus of a language-modelling run, else none.
    """
    return [(CORPORA[settings.text.corpus].source, "all")] if settings.experiment == "language" else []
