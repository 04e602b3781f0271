"""The corpora: War and Peace, the Linux kernel, tiny Shakespeare, and C++ headers of an installed dependency."""

from __future__ import annotations

from replications.engine.datasets import DataSource
from replications.engine.text import CORPORA, LINUX, PROGRAM_TEXT, TINY_SHAKESPEARE, WAR_AND_PEACE
from replications.papers.char_rnn.settings import Settings

SOURCES: list[DataSource] = [TINY_SHAKESPEARE, WAR_AND_PEACE, LINUX, PROGRAM_TEXT]


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """Return the data that a run loads: all splits of its corpus.

    Args:
        settings: settings of the run.

    Returns:
        (source, split) pairs.
    """
    source = CORPORA[settings.corpus].source
    return [(source, split) for split in source.splits]
