"""Measures on hand-made cases whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from replications.papers.show_and_tell import analysis, scenes
from replications.papers.show_and_tell.scenes import Scene, SceneObject
from replications.papers.show_and_tell.scores import Scorer

STAR = Scene("photo", "night", (SceneObject("star", "red", "large", 0, 0), SceneObject("ring", "blue", "small", 2, 2)))
BALL = Scene("photo", "sea", (SceneObject("ball", "white", "large", 1, 1),))


def test_hallucination_is_counted_exactly_with_synonyms() -> None:
    said = ["a red spark above a hoop", "a globe near a crescent and a moon", "nothing here"]
    found = analysis.chair([text.split() for text in said], [STAR, BALL, BALL])
    assert found.absent == [[], ["moon", "moon"], []]
    assert found.sentences == pytest.approx(1 / 3)
    assert found.instances == pytest.approx(2 / 5)
    assert found.companions == 0.0
    companion = analysis.chair(["a star and a moon".split()], [STAR])
    assert (companion.instances, companion.companions) == (0.5, 1.0)


def test_captions_without_objects_hallucinate_nothing() -> None:
    found = analysis.chair([[], ["in", "the", "dark"]], [STAR, BALL])
    assert (found.sentences, found.instances) == (0.0, 0.0)


def test_memorised_counts_word_for_word_captions() -> None:
    assert analysis.memorised([["a", "dog"], ["a", "cat"]], {("a", "dog"), ("a",)}) == 0.5


def test_lists_that_repeat_themselves_agree_wholly_and_disjoint_ones_not_at_all() -> None:
    same = [["a", "b", "c", "d", "e"]] * 4
    assert analysis.mutual_bleu([same])["bleu_4"] == pytest.approx(100)
    disjoint = [[f"{letter}{i}" for i in range(5)] for letter in "wxyz"]
    assert analysis.mutual_bleu([disjoint])["bleu_1"] == pytest.approx(0, abs=1e-6)
    assert np.isnan(analysis.mutual_bleu([[["a"]]])["bleu_1"])


def test_people_are_scored_against_each_other_and_given_back_what_a_reference_is_worth() -> None:
    generator = np.random.default_rng(0)
    words = list("abcdefgh")
    draw = lambda: [str(w) for w in generator.choice(words, 7)]  # noqa: E731
    references, system = [[draw() for _ in range(5)] for _ in range(8)], [draw() for _ in range(8)]
    corrected, raw = analysis.leave_one_out(references, system)
    human, lost = 0.0, 0.0
    for person in range(5):
        rest = [[r for j, r in enumerate(several) if j != person] for several in references]
        human += Scorer(rest).bleu([several[person] for several in references])[0][0] / 5
        lost += (Scorer(references).bleu(system)[0][0] - Scorer(rest).bleu(system)[0][0]) / 5
    assert raw["BLEU-1"] == pytest.approx(human)
    assert corrected["BLEU-1"] == pytest.approx(human + lost)
    assert lost > 0


def test_ranks_equal_a_slow_count() -> None:
    generator = np.random.default_rng(1)
    matrix, owner = generator.normal(size=(12, 24)), np.repeat(np.arange(12), 2)
    matrix[owner, np.arange(24)] += 1.0
    annotation, search = analysis.retrieval(matrix, owner)
    ranks = [sorted(range(12), key=lambda i, c=c: -matrix[i, c]).index(owner[c]) for c in range(24)]
    assert search.recall1 == pytest.approx(100 * np.mean([rank == 0 for rank in ranks]))
    assert search.median == pytest.approx(np.median(ranks) + 1)
    relative = matrix - np.log(np.exp(matrix).mean(0))
    found = []
    for image in range(12):
        order = sorted(range(24), key=lambda c, p=image: -relative[p, c])
        found.append(min(place - sum(owner[o] == image for o in order[:place]) for place, c in enumerate(order) if owner[c] == image))
    assert annotation.recall1 == pytest.approx(100 * np.mean([rank == 0 for rank in found]))
    assert annotation.recall10 == pytest.approx(100 * np.mean([rank < 10 for rank in found]))


def test_perfect_likelihoods_rank_first() -> None:
    matrix, owner = np.full((4, 8), -50.0), np.repeat(np.arange(4), 2)
    matrix[owner, np.arange(8)] = -5.0
    for found in analysis.retrieval(matrix, owner):
        assert (found.recall1, found.median) == (100.0, 1.0)


def test_nearest_words_are_by_cosine_without_specials_and_unknown_words_are_left_out() -> None:
    words = ["<end>", "car", "van", "dog", "cab"]
    embedding = np.array([[1.0, 0.01], [1, 0], [2, 0.1], [0, 1], [0.9, 0.2]])
    assert analysis.nearest_words(embedding, words, ["car", "boat"], 2) == {"car": ["van", "cab"]}


def test_synonyms_that_lie_together_are_found() -> None:
    words = ["<end>", "ball", "sphere", "red", "crimson", "the"]
    embedding = np.array([[9, 9], [1, 0], [1, 0.1], [0, 1], [0.1, 1], [-1, -1.0]])
    share, chance = analysis.synonym_neighbours(embedding, words)
    assert share == 1.0
    assert chance == pytest.approx(1 / 4)


def test_box_shares_sum_to_the_area_of_the_box() -> None:
    for side in (3, 6):
        shares = analysis.cell_shares(STAR, side)
        for scene_object in STAR.objects:
            top, left, bottom, right = scenes.box(scene_object)
            cell = (scenes.PIXELS / side) ** 2
            assert shares[scene_object.kind].sum() * cell == pytest.approx((bottom - top) * (right - left))


def test_attention_on_the_object_is_told_from_attention_elsewhere() -> None:
    shares = analysis.cell_shares(BALL, 6)["ball"]
    on = shares / shares.sum()
    even = np.full(36, 1 / 36)
    found = analysis.attention_measures([["a", "ball"]], [np.stack([even, on])], [BALL])
    assert found.inside > 5 * found.area
    assert found.entropy_objects < found.entropy_function == pytest.approx(np.log(36))
    spread = analysis.attention_measures([["a", "ball"]], [np.stack([even, even])], [BALL])
    assert spread.inside == pytest.approx(spread.area)
    assert spread.uncovered == pytest.approx(1 - 2 / 36)
    assert np.isnan(analysis.attention_measures([["a"]], [even[None]], None).inside)
