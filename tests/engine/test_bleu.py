"""Corpus BLEU, against values worked by hand and against sacreBLEU."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sacrebleu

from replications.engine.bleu import SIGNATURE, corpus_bleu
from replications.errors import InputError
from replications.paths import PAPERS


def test_a_perfect_translation_has_100() -> None:
    assert corpus_bleu(["to be or not to be".split()], ["to be or not to be".split()]).score == pytest.approx(100)


def test_counts_are_clipped_by_the_reference() -> None:
    """Papineni et al. 2002, section 2.1: of seven times "the", two count."""
    score = corpus_bleu([["the"] * 7], ["the cat is on the mat".split()])
    assert score.precisions[0] == pytest.approx(100 * 2 / 7)
    assert score.score == 0


def test_a_worked_sentence() -> None:
    """Five of six words, three of five pairs, two of four triples and one of three quadruples match; lengths are equal."""
    score = corpus_bleu(["the cat sat on the mat".split()], ["the dog sat on the mat".split()])
    assert score.precisions == pytest.approx((100 * 5 / 6, 100 * 3 / 5, 100 * 2 / 4, 100 * 1 / 3))
    assert score.score == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    assert score.brevity_penalty == 1


def test_half_a_translation_is_punished_by_e() -> None:
    words = "a b c d e f g h i j".split()
    assert corpus_bleu([words[:5]], [words]).score == pytest.approx(100 / math.e)


def test_counts_are_summed_over_sentences_before_they_are_divided() -> None:
    """4 + 5 words, 3 + 4 pairs, 2 + 3 triples, 1 + 2 quadruples; of the second sentence only the first word matches."""
    score = corpus_bleu(["a b c d".split(), "a x y z w".split()], ["a b c d".split(), "a p q r s".split()])
    assert score.precisions == pytest.approx((100 * 5 / 9, 100 * 3 / 7, 100 * 2 / 5, 100 * 1 / 3))
    assert score.score == pytest.approx(100 * (5 / 9 * 3 / 7 * 2 / 5 * 1 / 3) ** 0.25)


def test_unequal_numbers_of_sentences_are_refused() -> None:
    with pytest.raises(InputError, match="2 translations, 1 references"):
        corpus_bleu([["a"], ["b"]], [["a"]])


@pytest.mark.parametrize("seed", range(5))
def test_scores_and_signature_are_those_of_sacrebleu(seed: int) -> None:
    generator = np.random.default_rng(seed)
    words = [f"w{i}" for i in range(6)]
    references = [list(generator.choice(words, size=generator.integers(3, 15))) for _ in range(40)]
    hypotheses = [
        [word for word in sentence if generator.random() < 0.8] + list(generator.choice(words, size=2)) for sentence in references
    ]
    metric = sacrebleu.BLEU(tokenize="none", smooth_method="none", force=True)
    theirs = metric.corpus_score([" ".join(one) for one in hypotheses], [[" ".join(one) for one in references]])
    ours = corpus_bleu(hypotheses, references)
    assert ours.score == pytest.approx(theirs.score, abs=1e-9)
    assert ours.precisions == pytest.approx(theirs.precisions)
    assert ours.brevity_penalty == pytest.approx(theirs.bp)
    parts = {part for part in metric.get_signature().format().split("|") if not part.startswith("version")}
    assert parts == set(SIGNATURE.split("|")) - {"BLEU"}


def test_the_signature_stands_in_the_text_of_the_paper_that_uses_it() -> None:
    texts = [path.read_text(encoding="utf-8") for path in PAPERS.glob("*/section.md")]
    assert [SIGNATURE in text for text in texts if "BLEU|" in text] == [True]
