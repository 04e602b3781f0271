"""Modified Kneser-Ney against a slow, direct reading of its equations, and against what every model must satisfy."""

from collections import Counter
from collections.abc import Sequence

import pytest
import torch

from replications.errors import DataError, InputError
from replications.papers.char_rnn.ngrams import FALLBACK, KneserNey, _discounts

VOCABULARY = 4
START = "^"
TRAIN = [0, 1, 0, 2, 1, 0, 0, 1, 2, 2, 0, 1, 0, 2, 1, 1, 0, 1, 0, 0, 2, 0, 1, 0, 2, 1, 0, 2, 2, 1]
"""Character 3 never occurs."""


def slow_kneser_ney(train: Sequence[int], order: int, history: Sequence[int], character: int) -> float:
    """p(character | history) of the model of this order, from counters of tuples."""
    padded: list[int | str] = [START] * order + list(train)

    def occurrences(length: int) -> Counter[tuple[int | str, ...]]:
        return Counter(tuple(padded[end - length + 1 : end + 1]) for end in range(order, len(padded)))

    def preceding(length: int) -> Counter[tuple[int | str, ...]]:
        """Distinct characters before each n-gram."""
        return Counter(gram[1:] for gram in occurrences(length + 1))

    def probability(length: int, counts: Counter[tuple[int | str, ...]]) -> float:
        if length == 0:
            return 1 / VOCABULARY
        context = tuple(([START] * order + list(history))[order + len(history) - length + 1 :])
        lower = probability(length - 1, preceding(length - 1)) if length > 1 else 1 / VOCABULARY
        following = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == context}
        total = sum(following.values())
        if not total:
            return lower
        n = {k: sum(count == k for count in counts.values()) for k in (1, 2, 3, 4)}
        discounts = {1: 0.5, 2: 1.0, 3: 1.5}
        if all(n.values()):
            y = n[1] / (n[1] + 2 * n[2])
            estimated = {1: 1 - 2 * y * n[2] / n[1], 2: 2 - 3 * y * n[3] / n[2], 3: 3 - 4 * y * n[4] / n[3]}
            discounts = estimated if all(0 <= estimated[k] <= k for k in estimated) else discounts
        taken = {letter: discounts[min(count, 3)] for letter, count in following.items()}
        left = following.get(character, 0) - taken.get(character, 0)
        return left / total + sum(taken.values()) / total * lower

    return probability(order, occurrences(order))


def test_discounts_estimated_from_counts_equal_the_direct_computation() -> None:
    generator = torch.Generator().manual_seed(0)
    train = torch.multinomial(torch.tensor([0.6, 0.3, 0.08, 0.02]), 600, replacement=True, generator=generator).tolist()
    model = KneserNey(torch.tensor(train), VOCABULARY, 5)
    for order in (4, 5):
        for history in ([0, 1, 0, 0], [2, 0, 1, 3], [3, 3, 3, 3]):
            before = torch.tensor(history)
            computed = [float(model.probabilities(torch.tensor([c]), before)[order - 1, 0]) for c in range(VOCABULARY)]
            assert computed == pytest.approx([slow_kneser_ney(train, order, history, c) for c in range(VOCABULARY)], abs=1e-12)
            assert sum(computed) == pytest.approx(1, abs=1e-12)


def test_discounts_are_those_of_the_counts_of_counts() -> None:
    """With n1 = 100, n2 = 50, n3 = 25 and n4 = 10: Y = 0.5, D1 = 0.5, D2 = 1.25, D3 = 2.2."""
    assert _discounts([100, 50, 25, 10]) == pytest.approx((0.5, 1.25, 2.2))
    assert _discounts([10, 5, 0, 1]) == FALLBACK
    assert _discounts([10, 5, 100, 1]) == FALLBACK, "2 - 3 Y n3 / n2 is negative"


HISTORIES: list[list[int]] = [[], [0], [0, 1], [2, 2, 2, 0], [1, 0, 2, 0, 1], [3, 1], [3], [0, 1, 0, 2, 1]]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("history", HISTORIES, ids=str)
def test_every_order_equals_the_direct_computation_and_sums_to_one(order: int, history: list[int]) -> None:
    model = KneserNey(torch.tensor(TRAIN), VOCABULARY, order)
    before = torch.tensor(history, dtype=torch.int64)
    computed = [float(model.probabilities(torch.tensor([c]), before)[order - 1, 0]) for c in range(VOCABULARY)]
    expected = [slow_kneser_ney(TRAIN, order, history, c) for c in range(VOCABULARY)]
    assert computed == pytest.approx(expected, abs=1e-12)
    assert sum(computed) == pytest.approx(1, abs=1e-12)


def test_lower_rows_are_the_models_of_lower_order() -> None:
    text = torch.tensor([0, 1, 2, 2, 1, 0, 3, 0])
    together = KneserNey(torch.tensor(TRAIN), VOCABULARY, 6).probabilities(text)
    for order in range(1, 7):
        alone = KneserNey(torch.tensor(TRAIN), VOCABULARY, order).probabilities(text)
        # Where the text begins, a lower order sees less of the padding; the contexts are the same ones.
        assert torch.allclose(together[order - 1], alone[order - 1], atol=1e-12)


def test_a_text_scored_at_once_equals_its_characters_scored_one_by_one() -> None:
    model, text = KneserNey(torch.tensor(TRAIN), VOCABULARY, 4), torch.tensor([2, 1, 0, 3, 3, 0, 1])
    whole = model.probabilities(text, torch.tensor([0, 2]))
    for end in range(len(text)):
        history = torch.cat([torch.tensor([0, 2]), text[:end]])
        assert torch.allclose(whole[:, end], model.probabilities(text[end : end + 1], history)[:, 0], atol=1e-12)


def test_no_text_and_no_order_are_refused() -> None:
    with pytest.raises(DataError, match="training text is empty"):
        KneserNey(torch.tensor([], dtype=torch.int64), VOCABULARY, 3)
    with pytest.raises(InputError, match="shortest n-gram has order 1"):
        KneserNey(torch.tensor(TRAIN), VOCABULARY, 0)
