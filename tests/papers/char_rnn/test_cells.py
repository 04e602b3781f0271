"""Scores of units against scikit-learn, brute force and statsmodels; the controls do what they are for."""

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from replications.papers.char_rnn.breakdown import KINDS, errors_by_kind, word_counts
from replications.papers.char_rnn.cells import GUARD, Units, recall_since_opening, shifted_labels
from replications.papers.char_rnn.labels import Labels

N, UNITS = 6000, 5


def runs_of(seed: int, n: int = N) -> np.ndarray:
    """A binary label with long runs, as comments have."""
    random = np.random.default_rng(seed)
    lengths = random.integers(10, 80, n)
    return np.repeat(np.arange(n) % 2 == 1, lengths)[:n]


def activations(label: np.ndarray, seed: int) -> np.ndarray:
    """Units that follow the label more or less, one with many ties, the last not at all."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=(len(label), UNITS)).astype(np.float32)
    columns = noise * 0.7 + np.outer(label, [2.0, -1.0, 0.3, 1.0, 0.0])
    columns[:, 3] = np.round(columns[:, 3])
    return columns.astype(np.float32)


@pytest.fixture(scope="module")
def example() -> tuple[Units, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    selected, scored = runs_of(0), runs_of(1)
    first, second = activations(selected, 2), activations(scored, 3)
    return Units(torch.from_numpy(first), torch.from_numpy(second)), first, second, selected, scored


def test_auc_equals_scikit_learn(example: tuple[Units, np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> None:
    units, _, scoring, selected, scored = example
    probe = units.binary(selected, scored)
    expected = [roc_auc_score(scored, probe.sign[unit] * scoring[:, unit]) for unit in range(UNITS)]
    assert probe.auc == pytest.approx(expected, abs=1e-10)


def test_the_threshold_is_the_best_on_the_selection_text_and_is_kept(
    example: tuple[Units, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    units, selection, scoring, selected, scored = example
    probe = units.binary(selected, scored)
    for unit in range(UNITS):
        values = np.unique(selection[:, unit])
        cuts = ((values[1:] + values[:-1]) / 2)[:: max(1, len(values) // 60)]
        best = max(max(a, 1 - a) for a in (balanced_accuracy_score(selected, selection[:, unit] > cut) for cut in cuts))
        assert best - 1e-9 <= probe.selection[unit] <= best + 0.02, "brute force tries one cut in a hundred"
        on = probe.sign[unit] * scoring[:, unit] > probe.threshold[unit]
        assert probe.score[unit] == pytest.approx(balanced_accuracy_score(scored, on), abs=1e-9)
    assert probe.best == 0
    assert probe.sign[1] == -1
    assert (units.on(probe) == (probe.sign[0] * scoring[:, 0] > probe.threshold[0])).all()


def test_p_counts_every_shift_beyond_the_guard(example: tuple[Units, np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> None:
    units, _, scoring, selected, scored = example
    probe = units.binary(selected, scored)
    on = probe.sign * scoring > probe.threshold
    shifts = range(GUARD, N - GUARD + 1)
    for unit in (2, 4):
        moved = np.array([on[:, unit][np.roll(scored, shift)].sum() for shift in shifts]) / scored.sum()
        accuracy = (moved + 1 - (on[:, unit].sum() - moved * scored.sum()) / (~scored).sum()) / 2
        expected = (1 + (accuracy >= probe.score[unit] - 1e-12).sum()) / (1 + len(accuracy))
        assert probe.p[unit] == pytest.approx(expected, abs=2 / N)
    assert probe.p[0] == 1 / (1 + len(shifts))
    assert probe.p[4] > 0.05


def test_graded_scores_are_correlations_with_the_selected_sign() -> None:
    random = np.random.default_rng(0)
    depths = [random.integers(0, 5, N) for _ in range(2)]
    texts = [np.stack([-d + random.normal(size=N), random.normal(size=N)], axis=1).astype(np.float32) for d in depths]
    units = Units(*map(torch.from_numpy, texts))
    probe = units.graded(depths[0], depths[1])
    assert probe.sign[0] == -1
    assert probe.score[0] == pytest.approx(-np.corrcoef(texts[1][:, 0], depths[1])[0, 1], abs=1e-6)
    assert probe.selection[0] == pytest.approx(abs(np.corrcoef(texts[0][:, 0], depths[0])[0, 1]), abs=1e-6)
    assert probe.p[0] < 0.001
    assert np.isnan(probe.auc).all()


def test_shifted_labels_are_scored_at_chance(example: tuple[Units, np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> None:
    units, _, _, selected, scored = example
    nothing = np.zeros((0, 2), dtype=np.int64)
    labels = [Labels({"comment": each}, {}, {"comment": np.zeros(N, dtype=np.int32)}, nothing) for each in (selected, scored)]
    moved = [shifted_labels(each, shift) for each, shift in zip(labels, (1700, 2900), strict=True)]
    assert units.probes(*labels)["comment"].score.max() > 0.9
    assert units.probes(*moved, permute=False)["comment"].score.max() < 0.62


def test_a_label_that_hardly_occurs_is_not_scored(example: tuple[Units, np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> None:
    units, *_, scored = example
    rare = np.zeros(N, dtype=bool)
    rare[100:140] = True
    probe = units.binary(rare, scored)
    assert (probe.score == 0.5).all()
    assert (probe.p == 1).all()


def test_recall_is_a_share_of_open_characters_by_time_since_the_opening() -> None:
    on = np.array([1, 1, 0, 1, 0, 0], dtype=bool)
    label = np.array([1, 1, 1, 1, 0, 1], dtype=bool)
    since = np.array([0, 1, 2, 3, 0, 0])
    recall = recall_since_opening(on, label, since, [0, 2, 4, 9])
    assert recall[:2] == pytest.approx([2 / 3, 1 / 2])
    assert np.isnan(recall[2])


def test_every_error_gets_the_first_kind_that_explains_it() -> None:
    text = "cat dog, cat elk cat bat"
    trained = word_counts("cat dog bat bat bat bat bat bat cat")
    n = len(text)
    probability, ngrams = np.full(n, 0.9), np.zeros((10, n))
    expected = dict.fromkeys(KINDS, -1)

    def wrong(position: int, kind: str, value: float = 0.1) -> None:
        probability[position] = value
        expected[kind] = position

    wrong(1, "ngram")
    ngrams[3, 1] = 0.6
    wrong(10, "memory")  # the second cat
    wrong(14, "rare")  # inside elk, which training never had
    wrong(7, "punctuation")
    wrong(21, "word")  # the first letter of bat, frequent in training, not seen before here
    wrong(23, "boost", 0.45)
    wrong(22, "other")
    kinds = errors_by_kind(text, probability, ngrams, trained)
    assert {KINDS[kind]: position for position, kind in enumerate(kinds) if kind >= 0} == expected
    ngrams[9, 22] = 1.0
    assert (errors_by_kind(text, probability, ngrams, trained) == kinds).all(), "orders beyond nine do not count"
