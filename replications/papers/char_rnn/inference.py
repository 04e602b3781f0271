"""Inference on a long text: the probability of every character, and the activations of all units.

The text is cut into segments that are read as one batch. Each segment is preceded by `WARM_UP` characters of its context,
whose outputs are discarded; only the first segment starts from the zero state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from replications.papers.char_rnn.fused import FusedCharacterModel, forward_with_gates

SEGMENT = 1000
"""Characters per segment: long enough that the warm-up adds little work."""
WARM_UP = 200
"""Characters read before each segment to bring the state up to date."""
BLOCK = 250
"""Characters per segment and forward pass; bounds the memory."""


def segment_positions(n: int) -> tuple[int, Tensor]:
    """Return the positions of a text that each segment reads.

    Args:
        n: number of characters of the text.

    Returns:
        Length of the segments, and the positions they read, int64 (WARM_UP + length, segments); positions before the text
        are clamped to 0, positions after it to n - 1.
    """
    segments = max(1, n // SEGMENT)
    length = -(-n // segments)
    starts = torch.arange(segments) * length
    return length, (starts + torch.arange(-WARM_UP, length).unsqueeze(1)).clamp(0, n - 1)


def _blocks(length: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of the blocks of a segment; one block ends exactly at the end of the warm-up.

    Args:
        length: characters per segment.
    """
    for first, last in ((0, WARM_UP), (WARM_UP, WARM_UP + length)):
        for begin in range(first, last, BLOCK):
            yield begin, min(begin + BLOCK, last)


@torch.no_grad()
def log_probabilities(model: FusedCharacterModel, tokens: Tensor) -> Tensor:
    """Return the log-probability of every character given all preceding ones.

    Args:
        model: network on the device of `tokens`; evaluated in fp32.
        tokens: int64 (n,).

    Returns:
        float32 (n,), in nats; the first character, which has no context, gets the uniform probability.
    """
    model.eval()
    n = len(tokens)
    length, positions = segment_positions(n)
    positions = positions.to(tokens.device)
    state = model.zero_state(positions.shape[1])
    result = torch.full((positions.shape[1], length + 1), 0.0, device=tokens.device)
    for begin, end in _blocks(length):
        if begin == WARM_UP:
            for part in state:
                part[:, 0] = 0
        logits, state = model(tokens[positions[begin:end]], state)
        if begin >= WARM_UP:
            following = tokens[(positions[begin:end] + 1).clamp(max=n - 1)]
            following_log_probs = logits.log_softmax(2).gather(2, following.unsqueeze(2)).squeeze(2)
            result[:, begin - WARM_UP + 1 : end - WARM_UP + 1] = following_log_probs.T
    # Column j of a segment is the character at its start + j; the character at its start is predicted by the previous segment.
    flat = result[:, 1:].flatten()[: n - 1]
    first = torch.full((1,), -torch.log(torch.tensor(float(model.vocabulary))).item(), device=tokens.device)
    return torch.cat([first, flat])


@torch.no_grad()
def activations(model: FusedCharacterModel, tokens: Tensor, quantities: Sequence[str]) -> dict[str, Tensor]:
    """Return the activations of all units while a text is read.

    Args:
        model: network on the device of `tokens`.
        tokens: int64 (n,).
        quantities: keys of `fused.forward_with_gates`, for example 'c', 'forget'.

    Returns:
        For each key float32 (layers, n, hidden); entry t is the value after reading character t.
    """
    model.eval()
    n = len(tokens)
    length, positions = segment_positions(n)
    positions = positions.to(tokens.device)
    state = model.zero_state(positions.shape[1])
    parts: dict[str, list[Tensor]] = {key: [] for key in quantities}
    for begin, end in _blocks(length):
        if begin == WARM_UP:
            for part in state:
                part[:, 0] = 0
        layers = forward_with_gates(model, tokens[positions[begin:end]], state)
        state_keys = ("h", "c") if model.cell == "lstm" else ("h",)
        state = tuple(torch.stack([layer[key][-1] for layer in layers]) for key in state_keys)
        if begin >= WARM_UP:
            for key in quantities:
                parts[key].append(torch.stack([layer[key] for layer in layers]))
    # (layers, length, segments, hidden) -> (layers, segments * length, hidden), in the order of the text
    return {key: torch.cat(blocks, dim=1).transpose(1, 2).flatten(1, 2)[:, :n] for key, blocks in parts.items()}
