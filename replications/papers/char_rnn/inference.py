"""Reading a text with a trained network: the probability of every character, and the activations of its units.

A text is cut into stretches that are read side by side. Each is preceded by the characters before it, so that its state is
warm when counting begins; only the text's first stretch starts from the zero state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from replications.papers.char_rnn.fused import FusedCharacterModel, forward_with_gates

STRETCH = 1000
"""Characters of one stretch: long enough that `WARM_UP` adds little work."""
WARM_UP = 200
BLOCK = 250
"""Characters read at a time, which bounds memory."""


def arrange(n: int) -> tuple[int, Tensor]:
    """Lay a text of n characters out as stretches.

    Args:
        n: characters of the text.

    Returns:
        Their length, and the positions they read, int64 (WARM_UP + length, stretches); positions before the text are 0
        and positions behind it n - 1.
    """
    stretches = max(1, n // STRETCH)
    length = -(-n // stretches)
    starts = torch.arange(stretches) * length
    return length, (starts + torch.arange(-WARM_UP, length).unsqueeze(1)).clamp(0, n - 1)


def _blocks(length: int) -> Iterator[tuple[int, int]]:
    """Bounds of the blocks; one ends exactly where warming up does."""
    for first, last in ((0, WARM_UP), (WARM_UP, WARM_UP + length)):
        for begin in range(first, last, BLOCK):
            yield begin, min(begin + BLOCK, last)


@torch.no_grad()
def log_probabilities(model: FusedCharacterModel, tokens: Tensor) -> Tensor:
    """Log-probability of every character given all before it.

    Args:
        model: on the device of `tokens`; read in fp32.
        tokens: int64 (n,).

    Returns:
        float32 (n,), nats; the first character, which nothing precedes, counts as drawn uniformly.
    """
    model.eval()
    n = len(tokens)
    length, where = arrange(n)
    where = where.to(tokens.device)
    state = model.zero_state(where.shape[1])
    result = torch.full((where.shape[1], length + 1), 0.0, device=tokens.device)
    for begin, end in _blocks(length):
        if begin == WARM_UP:
            for part in state:
                part[:, 0] = 0
        logits, state = model(tokens[where[begin:end]], state)
        if begin >= WARM_UP:
            following = tokens[(where[begin:end] + 1).clamp(max=n - 1)]
            chosen = logits.log_softmax(2).gather(2, following.unsqueeze(2)).squeeze(2)
            result[:, begin - WARM_UP + 1 : end - WARM_UP + 1] = chosen.T
    # Column j of a stretch is the character at its start + j; the one at its own start belongs to the stretch before.
    flat = result[:, 1:].flatten()[: n - 1]
    first = torch.full((1,), -torch.log(torch.tensor(float(model.vocabulary))).item(), device=tokens.device)
    return torch.cat([first, flat])


@torch.no_grad()
def activations(model: FusedCharacterModel, tokens: Tensor, wanted: Sequence[str]) -> dict[str, Tensor]:
    """Return the activations of all units while a text is read.

    Args:
        model: on the device of `tokens`.
        tokens: int64 (n,).
        wanted: keys of `fused.forward_with_gates`, for example 'c', 'forget'.

    Returns:
        For each key float32 (layers, n, hidden); entry t is the state after reading character t.
    """
    model.eval()
    n = len(tokens)
    length, where = arrange(n)
    where = where.to(tokens.device)
    state = model.zero_state(where.shape[1])
    parts: dict[str, list[Tensor]] = {key: [] for key in wanted}
    for begin, end in _blocks(length):
        if begin == WARM_UP:
            for part in state:
                part[:, 0] = 0
        layers = forward_with_gates(model, tokens[where[begin:end]], state)
        carried = ("h", "c") if model.cell == "lstm" else ("h",)
        state = tuple(torch.stack([layer[key][-1] for layer in layers]) for key in carried)
        if begin >= WARM_UP:
            for key in wanted:
                parts[key].append(torch.stack([layer[key] for layer in layers]))
    # (layers, length, stretches, hidden) -> (layers, stretches * length, hidden), in the order of the text
    return {key: torch.cat(blocks, dim=1).transpose(1, 2).flatten(1, 2)[:, :n] for key, blocks in parts.items()}
