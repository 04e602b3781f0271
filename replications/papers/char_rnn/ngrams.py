"""Modified Kneser-Ney n-grams over characters, all orders at once: the finite-horizon baselines (section 4.2).

For context h and character w, with h' the context one character shorter (Kneser and Ney 1995; interpolated, with three discounts, as in
Chen and Goodman 1999, section 4, and as KenLM estimates them),

    p(w | h) = max(c(h w) - D(c(h w)), 0) / c(h .) + (D1 N1(h .) + D2 N2(h .) + D3 N3(h .)) / c(h .) * p(w | h')

where c counts occurrences in the model's highest order and, in all orders below, the distinct characters that precede h w; N1, N2 and N3
are the numbers of characters that follow h once, twice, and three times or more. Per order, with n_k the number of n-grams counted k
times and Y = n1 / (n1 + 2 n2),

    D1 = 1 - 2 Y n2 / n1,    D2 = 2 - 3 Y n3 / n2,    D3 = 3 - 4 Y n4 / n3.

The lowest order interpolates with the uniform distribution.

An n-gram is stored as the pair (index of its context, last character), so the n-grams of order k are indexed from those of
order k - 1 by one sort: no strings, no hash tables, the same code on a CPU and a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from replications.errors import DataError, InputError

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts of a text that is too small to estimate them from (KenLM's `--discount_fallback`)."""


@dataclass(frozen=True)
class _Counts:
    """Counts of one order under one counting rule.

    Attributes:
        gram: count of each n-gram, int64 (grams,).
        total: sum of the counts of each context, int64 (contexts,).
        discounted: what is taken from the counts of each context in all, float64 (contexts,).
        discounts: 0, D1, D2 and D3, float64 (4,).
    """

    gram: Tensor
    total: Tensor
    discounted: Tensor
    discounts: Tensor

    @classmethod
    def of(cls, gram: Tensor, context: Tensor, n_contexts: int) -> _Counts:
        """Return the counts of one order, summed by context.

        Args:
            gram: counts of the distinct n-grams, int64 (grams,).
            context: index of each n-gram's context, int64 (grams,).
            n_contexts: number of contexts.

        Returns:
            The counts with their discounts.
        """
        discounts = torch.tensor(
            [0.0, *_discounts([int((gram == k).sum()) for k in (1, 2, 3, 4)])], dtype=torch.float64, device=gram.device
        )
        total = torch.zeros(n_contexts, dtype=torch.int64, device=gram.device).index_add_(0, context, gram)
        # n-grams that end in the padding have count 0, from which nothing is taken
        taken = torch.zeros(n_contexts, dtype=torch.float64, device=gram.device).index_add_(0, context, discounts[gram.clamp(max=3)])
        return cls(gram, total, taken, discounts)

    def interpolate(self, gram: Tensor, context: Tensor, lower: Tensor) -> Tensor:
        """Return the interpolated probability (equation above) at every position.

        Args:
            gram: index of the n-gram, int64 (n,); -1 where it did not occur in training.
            context: index of its context, int64 (n,); -1 where it did not occur in training.
            lower: probability under the next lower order, float64 (n,).

        Returns:
            float64 (n,).
        """
        seen = context >= 0
        index = context.clamp(min=0)
        total = self.total[index].double()
        seen &= total > 0
        count = torch.where(gram >= 0, self.gram[gram.clamp(min=0)], 0)
        share = (count - self.discounts[count.clamp(max=3)]) / total
        return torch.where(seen, share + self.discounted[index] / total * lower, lower)


def _discounts(n: Sequence[int]) -> tuple[float, float, float]:
    """Return D1, D2 and D3 from the numbers of n-grams that were counted once to four times.

    A text too small for the estimate (a number is 0, or a discount lies outside 0 to k) takes KenLM's fixed ones.
    """
    if all(n):
        y = n[0] / (n[0] + 2 * n[1])
        estimated = tuple(k - (k + 1) * y * n[k] / n[k - 1] for k in (1, 2, 3))
        if all(0 <= discount <= k for k, discount in enumerate(estimated, 1)):
            return estimated[0], estimated[1], estimated[2]
    return FALLBACK


class KneserNey:
    """n-gram models of every order from 1 to `max_order` of one training text (Kneser and Ney 1995; Chen and Goodman 1999).

    Args:
        tokens: int64 (n,), the training text, on any device.
        vocabulary: number of distinct characters.
        max_order: length of the longest n-gram, from 1.

    Raises:
        DataError: the text is empty.
        InputError: `max_order` is below 1.
    """

    def __init__(self, tokens: Tensor, vocabulary: int, max_order: int) -> None:
        if max_order < 1:
            raise InputError(f"max_order is {max_order}; the shortest n-gram has order 1.")
        if len(tokens) == 0:
            raise DataError("An n-gram model needs text; the training text is empty.")
        self.vocabulary, self.max_order = vocabulary, max_order
        self._codes: list[Tensor] = []
        self._raw: list[_Counts] = []
        self._continued: list[_Counts] = []
        shorter: tuple[Tensor, Tensor, int] | None = None  # next lower order: contexts, counts, number of contexts
        padded = torch.cat([torch.full((max_order,), vocabulary, dtype=torch.int64, device=tokens.device), tokens])
        numbers = torch.zeros(len(padded) + 1, dtype=torch.int64, device=tokens.device)  # order 0: one empty n-gram
        for _ in range(max_order):
            # numbers[t] is the index of the shorter n-gram that ends before character t
            code = numbers[:-1] * (vocabulary + 1) + padded
            codes, following = torch.unique(code, return_inverse=True)
            n_shorter = int(numbers.max()) + 1
            context = codes // (vocabulary + 1)
            real = following[max_order:]  # n-grams that end on a character of the text, not on the padding
            raw = torch.bincount(real, minlength=len(codes))
            if shorter is not None:
                self._continued.append(self._continuation(numbers[max_order + 1 :], real, shorter))
            self._codes.append(codes)
            self._raw.append(_Counts.of(raw, context, n_shorter))
            shorter = (context, raw, n_shorter)
            numbers = torch.cat([numbers.new_zeros(1), following])
            # The initial empty n-gram shares index 0 with a real one, but lies in the padding, which is never counted.

    @staticmethod
    def _continuation(suffix: Tensor, longer: Tensor, shorter: tuple[Tensor, Tensor, int]) -> _Counts:
        """Return continuation counts of an order: the number of distinct longer n-grams that end in each n-gram.

        Args:
            suffix: index of the n-gram at each position, int64 (n - 1,).
            longer: index of the n-gram that is one character longer, int64 (n - 1,).
            shorter: contexts, counts and number of contexts of the order.

        Returns:
            Counts by distinct preceding characters instead of occurrences.
        """
        context, raw, n_contexts = shorter
        n_longer = int(longer.max()) + 1
        ends_in = torch.full((n_longer,), -1, dtype=torch.int64, device=suffix.device)
        ends_in[longer] = suffix  # equal for every occurrence of one n-gram
        counts = torch.bincount(ends_in[ends_in >= 0], minlength=len(raw))
        return _Counts.of(counts, context, n_contexts)

    @torch.no_grad()
    def probabilities(self, tokens: Tensor, history: Tensor | None = None) -> Tensor:
        """Return the probability of every character of a text under each order.

        Args:
            tokens: int64 (n,), on the device of the training text.
            history: int64 (m,), characters that precede the text; by default the padding that precedes the training text.

        Returns:
            float64 (max_order, n); row k - 1 is the model of order k.
        """
        start = torch.full((self.max_order,), self.vocabulary, dtype=torch.int64, device=tokens.device)
        text = torch.cat([start, tokens if history is None else torch.cat([history, tokens])])
        numbers = torch.zeros(len(text) + 1, dtype=torch.int64, device=tokens.device)
        lower = torch.full((len(text),), 1 / self.vocabulary, dtype=torch.float64, device=tokens.device)
        rows = []
        for order in range(self.max_order):
            context = numbers[:-1]
            code = torch.where(context >= 0, context * (self.vocabulary + 1) + text, -1)
            codes = self._codes[order]
            index = torch.searchsorted(codes, code).clamp(max=len(codes) - 1)
            gram = torch.where(codes[index] == code, index, -1)
            rows.append(self._raw[order].interpolate(gram, context, lower)[-len(tokens) :])
            if order + 1 < self.max_order:
                lower = self._continued[order].interpolate(gram, context, lower)
            numbers = torch.cat([numbers.new_zeros(1), gram])
        return torch.stack(rows)
