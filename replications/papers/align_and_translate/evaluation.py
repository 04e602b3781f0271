"""What is measured on a trained network: BLEU, by length and without unknown words, and where its attention lies."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from replications.engine.bleu import bleu_of_counts, corpus_bleu, sentence_counts
from replications.engine.context import Context
from replications.papers.align_and_translate.alignment_analysis import count_scores, measure_alignment, weights_of
from replications.papers.align_and_translate.batches import Encoded
from replications.papers.align_and_translate.fused import TranslatorGroup
from replications.papers.align_and_translate.pairs import Pairs
from replications.papers.align_and_translate.trainer import Task
from replications.papers.align_and_translate.translation import translate
from replications.papers.align_and_translate.vocabulary import UNKNOWN

COUNTED_LENGTHS = (4, 8, 16, 32)
"""Words of the sentences for which attention scores are counted."""


def record_metrics(context: Context, task: Task, model: TranslatorGroup) -> None:
    """Translate the scored split with every network and record all metrics.

    Args:
        context: receives records and artifacts.
        task: data and settings.
        model: networks of all seeds.
    """
    settings = task.settings
    pairs = task.pairs[settings.scored_split].first(settings.test_pairs)
    encoded = task.encode(pairs)
    for index, seed in enumerate(context.seeds):
        network = model.only(index)
        translations = [task.vocabularies[1].decode(words) for words in translate(network, encoded.source, beam_size=settings.beam_size)]
        _record_bleu(context, task, pairs, translations, seed)
        _record_without_unknown(context, task, pairs, encoded, network, seed)
        if model.attends:
            for metric, value in measure_alignment(network, task, pairs).items():
                context.record(metric, value, split=settings.scored_split, seed=seed, unit="%")
        if index == 0 and settings.samples:
            _store_samples(context, task, pairs, translations, network)
    for n_words in COUNTED_LENGTHS:
        counted = count_scores(settings.network, n_words)
        context.record("attention_scores", [counted] * len(context.seeds), split=settings.scored_split, axis="sentence_words", at=n_words)


def length_bins(lengths: Sequence[int], width: int) -> np.ndarray:
    """Return the centre of the bin of each length: the nearest multiple of the width, from `centre - width / 2` on.

    >>> length_bins([4, 5, 14, 15, 20], 10).tolist()
    [0, 10, 10, 20, 20]

    Args:
        lengths: of sentences, in words.
        width: of a bin, in words.

    Returns:
        int64 (len(lengths),).
    """
    return (np.asarray(lengths, dtype=np.int64) + width // 2) // width * width


def _record_bleu(context: Context, task: Task, pairs: Pairs, translations: Sequence[Sequence[str]], seed: int) -> None:
    """Record BLEU over all sentences and by length of the source (Figure 2)."""
    settings = task.settings
    record = functools.partial(context.record, split=settings.scored_split, seed=seed)
    counts = np.stack([sentence_counts(a, b) for a, b in zip(translations, pairs.target, strict=True)])
    bins = length_bins([len(sentence) for sentence in pairs.source], settings.length_bin)
    whole = bleu_of_counts(counts.sum(0))
    record("bleu", whole.score, unit="BLEU")
    record("brevity_penalty", whole.brevity_penalty)
    by_bin = {}
    for centre in np.unique(bins).tolist():
        by_bin[centre] = bleu_of_counts(counts[bins == centre].sum(0)).score
        record("bleu", by_bin[centre], unit="BLEU", axis="source_words", at=centre)
        record("sentences", float((bins == centre).sum()), axis="source_words", at=centre)
    short, long = by_bin.get(settings.short_at, 0.0), by_bin.get(settings.long_at, 0.0)
    record("bleu_ratio", long / short if short else 0.0)


def _record_without_unknown(context: Context, task: Task, pairs: Pairs, encoded: Encoded, network: TranslatorGroup, seed: int) -> None:
    """Record BLEU over the pairs without an unknown word on either side, where none may be generated (Table 1, right column)."""
    known = [i for i, sides in enumerate(zip(*encoded, strict=True)) if not any((side == UNKNOWN).any() for side in sides)]
    record = functools.partial(context.record, split=task.settings.scored_split, seed=seed)
    record("sentences_without_unknown", float(len(known)))
    sources = [encoded.source[i] for i in known]
    words = translate(network, sources, beam_size=task.settings.beam_size, unknown=False) if known else []
    translations = [task.vocabularies[1].decode(sentence) for sentence in words]
    score = corpus_bleu(translations, pairs.rows(known).target).score if known else 0.0
    record("bleu_without_unknown", score, unit="BLEU")


def _store_samples(context: Context, task: Task, pairs: Pairs, translations: Sequence[Sequence[str]], network: TranslatorGroup) -> None:
    """Store sentences that a fixed seed draws, with translations and weights, for the figure and the explorer of alignments."""
    settings = task.settings
    fitting = [i for i, (a, b) in enumerate(zip(pairs.source, pairs.target, strict=True)) if max(len(a), len(b)) <= settings.max_words]
    drawn = np.random.default_rng(settings.gallery_seed).permutation(len(fitting))[: settings.samples]
    rows = sorted(fitting[i] for i in drawn)
    chosen = pairs.rows(rows)
    translated = [list(translations[row]) for row in rows]
    for name, sentences in (("source", chosen.source), ("reference", chosen.target), ("translation", translated)):
        context.artifact(f"sample_{name}", np.array([" ".join(sentence) for sentence in sentences]))
    if chosen.alignment:
        known = np.full((len(rows), max(len(several) for several in chosen.alignment)), -1, dtype=np.int64)
        for i, several in enumerate(chosen.alignment):
            known[i, : len(several)] = several
        context.artifact("sample_alignment", known)
    if network.attends:
        weights = weights_of(network, task.encode(Pairs(chosen.name, chosen.source, translated), any_alphabet=True))
        shape = len(rows), max(len(one) for one in weights), max(one.shape[1] for one in weights)
        padded = np.zeros(shape, dtype=np.float32)
        for i, one in enumerate(weights):
            padded[i, : one.shape[0], : one.shape[1]] = one
        context.artifact("sample_weights", padded)
