"""The corpora: War and Peace, the Linux kernel, tiny Shakespeare, and program text out of an installed dependency."""

from __future__ import annotations

from replications.engine.datasets import DataSource
from replications.engine.text import CORPORA, LINUX, PROGRAM_TEXT, TINY_SHAKESPEARE, WAR_AND_PEACE
from replications.papers.char_rnn.settings import Settings

SOURCES: list[DataSource] = [TINY_SHAKESPEARE, WAR_AND_PEACE, LINUX, PROGRAM_TEXT]


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """Return the data that a run loads: its corpus, all splits in one.

    Args:
        settings: of the run.
    """
    source = CORPORA[settings.corpus].source
    return [(source, split) for split in source.splits]
