"""The corpora of the language runs; every other measurement makes its own sequences."""

from __future__ import annotations

from replications.engine.datasets import DataSource
from replications.engine.text import CORPORA, LINUX, PROGRAM_TEXT, TINY_SHAKESPEARE, WAR_AND_PEACE
from replications.papers.rnn_vs_transformer.settings import Settings

SOURCES: list[DataSource] = [TINY_SHAKESPEARE, WAR_AND_PEACE, LINUX, PROGRAM_TEXT]


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """The corpus of a language run; nothing otherwise."""
    return [(CORPORA[settings.text.corpus].source, "all")] if settings.measure == "language" else []
