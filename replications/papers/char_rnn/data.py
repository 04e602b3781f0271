"""The corpora: War and Peace, the Linux kernel, tiny Shakespeare, and C++ headers of an installed dependency."""

from __future__ import annotations

from replications.engine import corpora
from replications.engine.datasets import DataSource
from replications.engine.text import CorpusSpec
from replications.papers.char_rnn.settings import Settings

WAR_AND_PEACE = DataSource(
    name="war-and-peace",
    splits={"all": 1},
    fingerprints={"all": "2a7986b0a3c50ddf"},
    address="https://cs.stanford.edu/people/karpathy/char-rnn/warpeace_input.txt",
    file="text/warpeace_input.txt.gz",
    licence="public domain (Project Gutenberg 2600)",
    citation="Tolstoy, L. War and Peace, translated by L. and A. Maude; file of Karpathy, A. (2015).",
    note="The author's page is not versioned, so the fingerprint is what pins it. It is of a public copy with a stranger's closing lines"
    " cut off; its 3,258,246 bytes of 87 kinds equal the paper's figures, but it was not compared with the author's file.",
)

CORPORA = {"war-and-peace": CorpusSpec(WAR_AND_PEACE, "prose", 0.1, 0.1), **corpora.CORPORA}
"""Corpora by the name that settings use; shares of validation and test as recalled of section 4.1: 80/10/10 of the novel, 90/5/5 of the kernel."""

SOURCES: list[DataSource] = [corpus.source for corpus in CORPORA.values()]


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """Return the data that a run loads: all splits of its corpus.

    Args:
        settings: settings of the run.

    Returns:
        (source, split) pairs.
    """
    source = CORPORA[settings.corpus].source
    return [(source, split) for split in source.splits]
