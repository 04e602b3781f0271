"""Causal test of a cell: clamp it to its out-of-context mean while the text is inside the context, and measure the loss.

Section 4.2 of the paper only observes cells; overwriting one, as Radford et al. (2017) did, separates use from mere
correlation. Clamping other, randomly selected cells in the same way measures the cost of any disturbance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from replications.papers.char_rnn.fused import FusedCharacterModel
from replications.papers.char_rnn.inference import WARM_UP, segment_positions


@dataclass(frozen=True)
class Clamped:
    """Effect of clamping, one row per condition; the first condition clamps nothing.

    Attributes:
        log_probability: log-probability of every character in nats, (conditions, n); nan for the first character.
        closing: probability that the next character is the closing one, at every position, (conditions, n).
    """

    log_probability: np.ndarray
    closing: np.ndarray


@torch.no_grad()
def clamp(model: FusedCharacterModel, tokens: Tensor, inside: Tensor, clamps: list[tuple[int, int, float] | None], closing: int) -> Clamped:
    """Return the effect of clamping one cell wherever `inside` is true, for several conditions read in parallel.

    Args:
        model: an LSTM, on the device of `tokens`.
        tokens: int64 (n,).
        inside: bool (n,); at these characters the cell state is overwritten after its update.
        clamps: for each condition (layer, unit, value of c), or None to clamp nothing.
        closing: index of the character that ends what is open.

    Returns:
        Log-probabilities and closing probabilities under every condition.
    """
    n = len(tokens)
    length, positions = segment_positions(n)
    positions = positions.to(tokens.device)
    segments, conditions = positions.shape[1], len(clamps)
    weights = [model.layer_weights(layer) for layer in range(model.layers)]
    input_table = functional.linear(model.identity, weights[0][0], weights[0][2] + weights[0][3])
    h = [torch.zeros(conditions, segments, model.hidden, device=tokens.device) for _ in weights]
    c = [torch.zeros_like(state) for state in h]
    scores = torch.empty(length, conditions, segments, device=tokens.device)
    closing_probability = torch.empty_like(scores)
    for t in range(WARM_UP + length):
        if t == WARM_UP:
            for state in (*h, *c):
                state[:, 0] = 0
        position = positions[t]
        layer_input = input_table[tokens[position]].expand(conditions, -1, -1)
        for layer, (w_ih, w_hh, b_ih, b_hh) in enumerate(weights):
            gates = (layer_input if layer == 0 else functional.linear(layer_input, w_ih, b_ih + b_hh)) + functional.linear(h[layer], w_hh)
            i, f, g, o = gates.chunk(4, dim=2)
            c[layer] = f.sigmoid() * c[layer] + i.sigmoid() * g.tanh()
            for condition, clamp_to in enumerate(clamps):
                if clamp_to and clamp_to[0] == layer:
                    cell = c[layer][condition, :, clamp_to[1]]
                    c[layer][condition, :, clamp_to[1]] = torch.where(inside[position], clamp_to[2], cell)
            layer_input = h[layer] = o.sigmoid() * c[layer].tanh()
        if t >= WARM_UP:
            log_probs = model.decoder(layer_input).log_softmax(2)
            following = tokens[(position + 1).clamp(max=n - 1)]
            scores[t - WARM_UP] = log_probs.gather(2, following.expand(conditions, -1).unsqueeze(2)).squeeze(2)
            closing_probability[t - WARM_UP] = log_probs[:, :, closing].exp()
    per_text = [values.permute(1, 2, 0).flatten(1)[:, :n].cpu().numpy() for values in (scores, closing_probability)]
    log_probability = np.full((conditions, n), np.nan)
    log_probability[:, 1:] = per_text[0][:, : n - 1]
    return Clamped(log_probability, per_text[1])
