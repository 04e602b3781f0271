"""The search, against greedy writing with the plain network and against every possible sentence."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from replications.errors import InputError
from replications.papers.align_and_translate.baseline import PerStepTranslator
from replications.papers.align_and_translate.fused import TranslatorGroup
from replications.papers.align_and_translate.model import Translator
from replications.papers.align_and_translate.translation import translate
from replications.papers.align_and_translate.vocabulary import END, UNKNOWN
from tests.papers.align_and_translate.networks import double_precision, make_pairs, make_translator


@pytest.mark.parametrize("kind", ["search", "encdec"])
def test_a_beam_of_one_writes_the_most_probable_word_each_time(kind: str) -> None:
    with double_precision():
        translator, pairs = make_translator(kind), make_pairs()
        found = translate(TranslatorGroup([translator]), pairs.source, beam_size=1)
        limit = 2 * max(len(sentence) for sentence in pairs.source) + 10
        for sentence, ours in zip(pairs.source, found, strict=True):
            encoded = translator.encode(torch.as_tensor(sentence)[None], torch.ones(1, len(sentence), dtype=torch.bool))
            s, word, written = encoded.start, torch.tensor([END]), []
            for _ in range(limit):
                logits, s, _ = translator.step(word, s, encoded)
                word = logits.argmax(-1)
                if int(word) == END:
                    break
                written.append(int(word))
            assert ours == written


def _log_probability(translator: Translator, source: np.ndarray, words: tuple[int, ...]) -> float:
    target = torch.tensor([*words, END])
    previous = torch.tensor([[END, *words]])
    logits, _ = translator(torch.as_tensor(source)[None], torch.ones(1, len(source), dtype=torch.bool), previous)
    return float(logits[0].log_softmax(-1).gather(1, target[:, None]).sum())


def test_a_beam_that_holds_everything_finds_the_best_of_all_sentences() -> None:
    """Three words and the end: with networks that prefer to stop, the best sentence has at most three words."""
    with double_precision(), torch.no_grad():
        for seed in range(2):
            translator = make_translator("search", seed, target_words=4)
            translator.output.b_word[END] += 2.0
            source = make_pairs().source[seed]
            candidates = [words for n in range(5) for words in itertools.product((1, 2, 3), repeat=n)]
            best = max(candidates, key=lambda words: _log_probability(translator, source, words))
            assert len(best) < 4
            assert tuple(translate(TranslatorGroup([translator]), [source], beam_size=4)[0]) == best


def test_translations_do_not_depend_on_their_company() -> None:
    with double_precision():
        group, pairs = TranslatorGroup([make_translator("search", 2)]), make_pairs()
        group.weights["output/b_word"].data[..., END] += 2.0  # so that none is cut at the limit, which is the longest sentence's
        together = translate(group, pairs.source, beam_size=3)
        assert together == [translate(group, [sentence], beam_size=3)[0] for sentence in pairs.source]


def test_the_unknown_word_is_written_only_where_it_is_allowed() -> None:
    with double_precision():
        group, pairs = TranslatorGroup([make_translator("search")]), make_pairs()
        group.weights["output/b_word"].data[..., UNKNOWN] += 3.0
        assert any(UNKNOWN in words for words in translate(group, pairs.source, beam_size=2))
        assert not any(UNKNOWN in words for words in translate(group, pairs.source, beam_size=2, unknown=False))


def test_the_baseline_of_the_comparison_writes_the_same() -> None:
    with double_precision():
        translator, pairs = make_translator("search", 3), make_pairs()
        limit = 2 * max(len(sentence) for sentence in pairs.source) + 10
        baseline = [PerStepTranslator(translator).greedy(torch.as_tensor(sentence), limit) for sentence in pairs.source]
        assert translate(TranslatorGroup([translator]), pairs.source, beam_size=1) == baseline


def test_a_beam_larger_than_the_vocabulary_is_refused() -> None:
    with pytest.raises(InputError, match="beam_size 14 is not possible: the vocabulary has 13 words"):
        translate(TranslatorGroup([make_translator("search")]), make_pairs().source, beam_size=14)
