"""Interpolated Kneser-Ney n-grams over characters, all orders at once: the finite-horizon peers (section 4.2).

For context h and character w, with h' the context one character shorter (Kneser and Ney 1995, interpolated as in Chen and
Goodman 1999),

    p(w | h) = max(c(h w) - D, 0) / c(h .) + D N(h .) / c(h .) * p(w | h')

where c counts occurrences in the model's highest order and, in all orders below, the distinct characters that precede
h w; N(h .) is the number of distinct characters that follow h; D = n1 / (n1 + 2 n2) per order, from the number of
n-grams counted once and twice. The lowest order interpolates with the uniform distribution.

An n-gram is the pair (number of its context, last character), so that order k is numbered from order k - 1 by one sort:
no strings, no hash tables, the same code on a CPU and a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from replications.errors import DataError, InputError


@dataclass(frozen=True)
class _Counts:
    """Counts of one order under one way of counting: of its n-grams, and of their contexts."""

    gram: Tensor
    total: Tensor
    kinds: Tensor
    discount: float

    @classmethod
    def of(cls, gram: Tensor, context: Tensor, n_contexts: int) -> _Counts:
        """Sum the counts of distinct n-grams, (grams,), by the number of their context, (grams,)."""
        once, twice = int((gram == 1).sum()), int((gram == 2).sum())
        discount = once / (once + 2 * twice) if once and twice else 0.5
        total = torch.zeros(n_contexts, dtype=torch.int64, device=gram.device).index_add_(0, context, gram)
        kinds = torch.bincount(context[gram > 0], minlength=n_contexts)  # n-grams that end in the padding have count 0
        return cls(gram, total, kinds, discount)

    def interpolate(self, gram: Tensor, context: Tensor, lower: Tensor) -> Tensor:
        """Equation above at every position; -1 marks an n-gram or a context never seen in training."""
        known = context >= 0
        at = context.clamp(min=0)
        total = self.total[at].double()
        known &= total > 0
        found = torch.where(gram >= 0, self.gram[gram.clamp(min=0)].double(), 0.0)
        share = (found - self.discount).clamp(min=0) / total
        back_off = self.discount * self.kinds[at].double() / total
        return torch.where(known, share + back_off * lower, lower)


class KneserNey:
    """n-gram models of every order from 1 to `max_order` of one training text.

    Args:
        tokens: int64 (n,), the training text; on any device.
        vocabulary: number of characters.
        max_order: longest n-gram.

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
        before: tuple[Tensor, Tensor, int] | None = None  # of the order below: contexts, counts, number of contexts
        padded = torch.cat([torch.full((max_order,), vocabulary, dtype=torch.int64, device=tokens.device), tokens])
        numbers = torch.zeros(len(padded) + 1, dtype=torch.int64, device=tokens.device)  # order 0: one empty n-gram
        for _ in range(max_order):
            # numbers[t] is the number of the shorter n-gram that ends before character t
            code = numbers[:-1] * (vocabulary + 1) + padded
            codes, following = torch.unique(code, return_inverse=True)
            n_shorter = int(numbers.max()) + 1
            context = codes // (vocabulary + 1)
            real = following[max_order:]  # n-grams that end on a character of the text, not on the padding before it
            raw = torch.bincount(real, minlength=len(codes))
            if before is not None:
                self._continued.append(self._continuation(numbers[max_order + 1 :], real, before))
            self._codes.append(codes)
            self._raw.append(_Counts.of(raw, context, n_shorter))
            before = (context, raw, n_shorter)
            numbers = torch.cat([numbers.new_zeros(1), following])
            # The empty start shares number 0 with a real n-gram; its place is in the padding, which is never counted.

    @staticmethod
    def _continuation(suffix: Tensor, longer: Tensor, shorter: tuple[Tensor, Tensor, int]) -> _Counts:
        """Counts of an order by the distinct characters that precede: the distinct longer n-grams that end in each."""
        context, raw, n_contexts = shorter
        n_longer = int(longer.max()) + 1
        ends_in = torch.full((n_longer,), -1, dtype=torch.int64, device=suffix.device)
        ends_in[longer] = suffix  # equal for every occurrence of one n-gram
        counts = torch.bincount(ends_in[ends_in >= 0], minlength=len(raw))
        return _Counts.of(counts, context, n_contexts)

    @torch.no_grad()
    def probabilities(self, tokens: Tensor, history: Tensor | None = None) -> Tensor:
        """Probability of every character of a text under each order.

        Args:
            tokens: int64 (n,), on the device of the training text.
            history: int64 (m,), what stands before the text; by default the padding that precedes the training text.

        Returns:
            float64 (max_order, n); row k - 1 is the k-gram model.
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
            place = torch.searchsorted(codes, code).clamp(max=len(codes) - 1)
            gram = torch.where(codes[place] == code, place, -1)
            rows.append(self._raw[order].interpolate(gram, context, lower)[-len(tokens) :])
            if order + 1 < self.max_order:
                lower = self._continued[order].interpolate(gram, context, lower)
            numbers = torch.cat([numbers.new_zeros(1), gram])
        return torch.stack(rows)
