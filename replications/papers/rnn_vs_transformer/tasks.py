"""Synthetic sequences: associative recall, copying, selective copying, temporal order, regular languages.

Every function samples from its generator and returns tokens and targets on the generator's device; positions with the target
`IGNORED` are not scored.
"""

from __future__ import annotations

import torch
from torch import Tensor

IGNORED = -1
"""Target of positions that are not scored."""


def recall(batch: int, pairs: int, length: int, vocabulary: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return sequences of multi-query associative recall (Arora et al. 2023, section 3): pairs k v, then every key again.

    The target at a repeated key is its value. Token 0 is padding; keys are 1 to vocabulary / 2, values the rest. The keys of a sequence
    are distinct; the queries are in random order.

    Args:
        batch: number of sequences.
        pairs: key-value pairs per sequence.
        length: tokens per sequence, at least 3 * pairs.
        vocabulary: number of keys and values together, even.
        generator: random numbers of one seed.

    Returns:
        Tokens and targets, int64 (batch, length) each.
    """
    device, half = generator.device, vocabulary // 2
    keys = torch.rand(batch, half, generator=generator, device=device).argsort(1)[:, :pairs] + 1
    values = torch.randint(half + 1, vocabulary + 1, (batch, pairs), generator=generator, device=device)
    order = torch.rand(batch, pairs, generator=generator, device=device).argsort(1)
    tokens = torch.zeros(batch, length, dtype=torch.int64, device=device)
    targets = torch.full_like(tokens, IGNORED)
    tokens[:, 0 : 2 * pairs : 2] = keys
    tokens[:, 1 : 2 * pairs : 2] = values
    tokens[:, 2 * pairs : 3 * pairs] = keys.gather(1, order)
    targets[:, 2 * pairs : 3 * pairs] = values.gather(1, order)
    return tokens, targets


def copying(batch: int, shortest: int, longest: int, letters: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return strings to copy (Jelassi et al. 2024, section 3): begin, string, separator, string; the second string is the target.

    Tokens: letters 0 to letters - 1, then begin, separator and padding. Lengths are uniform from `shortest` to `longest`.

    Args:
        batch: number of sequences.
        shortest: smallest number of letters in a string.
        longest: largest number of letters in a string.
        letters: number of distinct letters.
        generator: random numbers of one seed.

    Returns:
        Tokens and targets, int64 (batch, 2 * longest + 1) each: begin, string, separator, all but the last of the copied letters, padding.
    """
    device, begin, separator, padding = generator.device, letters, letters + 1, letters + 2
    n = torch.randint(shortest, longest + 1, (batch, 1), generator=generator, device=device)
    strings = torch.randint(letters, (batch, longest), generator=generator, device=device)
    positions = torch.arange(2 * longest + 2, device=device).expand(batch, -1)
    first, second = positions - 1, positions - n - 2
    tokens = torch.full_like(positions, padding)
    tokens = torch.where((first >= 0) & (first < n), strings.gather(1, first.clamp(0, longest - 1)), tokens)
    tokens = torch.where((second >= 0) & (second < n), strings.gather(1, second.clamp(0, longest - 1)), tokens)
    tokens = torch.where(positions == n + 1, separator, tokens)
    tokens = torch.where(positions == 0, begin, tokens)
    is_copy = (second >= 0) & (second < n)
    return tokens[:, :-1], torch.where(is_copy, tokens, IGNORED)[:, 1:]


def selective_copying(batch: int, length: int, letters: int, vocabulary: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return sequences of selective copying (Gu and Dao 2023, section 4.1): letters at random places among noise, then queries.

    The targets at the queries are the letters in their order. A layer that treats all positions alike cannot skip the noise, whose length
    between two letters varies. Tokens: noise 0, letters 1 to vocabulary, then the query.

    Args:
        batch: number of sequences.
        length: positions of letters and noise together.
        letters: letters per sequence, from 1 to `length`.
        vocabulary: number of distinct letters.
        generator: random numbers of one seed.

    Returns:
        Tokens and targets, int64 (batch, length + letters) each.
    """
    device = generator.device
    places = torch.rand(batch, length, generator=generator, device=device).argsort(1)[:, :letters].sort(1).values
    drawn = torch.randint(1, vocabulary + 1, (batch, letters), generator=generator, device=device)
    tokens = torch.zeros(batch, length + letters, dtype=torch.int64, device=device)
    tokens.scatter_(1, places, drawn)
    tokens[:, length:] = vocabulary + 1
    targets = torch.full_like(tokens, IGNORED)
    targets[:, length:] = drawn
    return tokens, targets


def temporal_order(batch: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return sequences of the temporal-order task (Pascanu et al. 2013, section 4.1): classify the order of two marks among distractors.

    The first mark is in the second tenth of the sequence, the second in the fifth tenth. Tokens: A 0, B 1, distractors 2 to 5.

    Args:
        batch: number of sequences.
        length: tokens per sequence.
        generator: random numbers of one seed.

    Returns:
        Tokens, int64 (batch, length), and classes, int64 (batch,): AA 0, AB 1, BA 2, BB 3.
    """
    device = generator.device
    tokens = torch.randint(2, 6, (batch, length), generator=generator, device=device)
    marks = torch.randint(2, (batch, 2), generator=generator, device=device)
    tenth = max(1, length // 10)
    for i, start in enumerate((tenth, 4 * tenth)):
        position = torch.randint(start, start + tenth, (batch, 1), generator=generator, device=device)
        tokens.scatter_(1, position, marks[:, i : i + 1])
    return tokens, 2 * marks[:, 0] + marks[:, 1]


MODULUS = 5
"""Modulus of the language `counting`."""
MAX_DEPTH = 4
"""Deepest nesting of the language `dyck`."""


def regular(language: str, batch: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return words of a regular language; the target after every symbol is the state of its automaton.

    Args:
        language: parity: random bits; the target is the parity of the ones so far. counting: the number of ones so far modulo 5. dyck: two
            kinds of brackets nested at most 4 deep, opening 0 and 1, closing 2 and 3; the target is the innermost open bracket: none 0,
            or 1, or 2.
        batch: number of sequences.
        length: symbols per sequence.
        generator: random numbers of one seed.

    Returns:
        Tokens and targets, int64 (batch, length) each.
    """
    device = generator.device
    if language != "dyck":
        bits = torch.randint(2, (batch, length), generator=generator, device=device)
        return bits, bits.cumsum(1) % (2 if language == "parity" else MODULUS)
    opens = torch.rand(batch, length, generator=generator, device=device) < 0.5
    kinds = torch.randint(2, (batch, length), generator=generator, device=device)
    stack = torch.zeros(batch, MAX_DEPTH + 1, dtype=torch.int64, device=device)  # row 0 represents the empty stack
    depth = torch.zeros(batch, 1, dtype=torch.int64, device=device)
    tokens, targets = [], []
    for t in range(length):
        push = (opens[:, t : t + 1] | (depth == 0)) & (depth < MAX_DEPTH)
        kind = torch.where(push, kinds[:, t : t + 1], stack.gather(1, depth) - 1)
        tokens.append(torch.where(push, kind, kind + 2))
        depth = depth + torch.where(push, 1, -1)
        stack = torch.where(push, stack.scatter(1, depth, kind + 1), stack)
        targets.append(stack.gather(1, depth))
    return torch.cat(tokens, 1), torch.cat(targets, 1)


SYMBOLS = {"parity": 2, "counting": 2, "dyck": 4}
"""Number of symbols of each language."""
STATES = {"parity": 2, "counting": MODULUS, "dyck": 3}
"""Number of states of each language."""
