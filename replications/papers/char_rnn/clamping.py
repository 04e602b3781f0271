"""Causal test of a cell: clamp it to its mean outside a label while the text is inside, and measure the loss.

Section 4.2 of the paper looks at cells; overwriting one, as Radford et al. (2017) did with theirs, tells use from mere
correlation. The same is done to other cells picked at random, which shows the cost of any disturbance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from replications.papers.char_rnn.fused import FusedCharacterModel
from replications.papers.char_rnn.inference import WARM_UP, arrange


@dataclass(frozen=True)
class Clamped:
    """Effect of clamping, condition by condition; the first condition clamps nothing.

    Attributes:
        log_probability: of every character, (conditions, n), nan for the first.
        closing: probability of the closing character at every position, (conditions, n): of being the next.
    """

    log_probability: np.ndarray
    closing: np.ndarray


@torch.no_grad()
def clamp(model: FusedCharacterModel, tokens: Tensor, inside: Tensor, held: list[tuple[int, int, float] | None], closing: int) -> Clamped:
    """Read a text once for every condition, with one cell held wherever `inside` is true.

    Args:
        model: an LSTM, on the device of `tokens`.
        tokens: int64 (n,).
        inside: bool (n,); at these characters the cell's state is overwritten after it is updated.
        held: for each condition (layer, unit, value of c), or None to hold nothing.
        closing: token of the character that ends what is open.
    """
    n = len(tokens)
    length, where = arrange(n)
    where = where.to(tokens.device)
    stretches, conditions = where.shape[1], len(held)
    weights = [model.layer_weights(layer) for layer in range(model.layers)]
    table = functional.linear(model.identity, weights[0][0], weights[0][2] + weights[0][3])
    h = [torch.zeros(conditions, stretches, model.hidden, device=tokens.device) for _ in weights]
    c = [torch.zeros_like(state) for state in h]
    scores = torch.empty(length, conditions, stretches, device=tokens.device)
    closes = torch.empty_like(scores)
    for t in range(WARM_UP + length):
        if t == WARM_UP:
            for state in (*h, *c):
                state[:, 0] = 0
        position = where[t]
        below = table[tokens[position]].expand(conditions, -1, -1)
        for layer, (w_ih, w_hh, b_ih, b_hh) in enumerate(weights):
            gates = (below if layer == 0 else functional.linear(below, w_ih, b_ih + b_hh)) + functional.linear(h[layer], w_hh)
            i, f, g, o = gates.chunk(4, dim=2)
            c[layer] = f.sigmoid() * c[layer] + i.sigmoid() * g.tanh()
            for condition, hold in enumerate(held):
                if hold and hold[0] == layer:
                    cell = c[layer][condition, :, hold[1]]
                    c[layer][condition, :, hold[1]] = torch.where(inside[position], hold[2], cell)
            below = h[layer] = o.sigmoid() * c[layer].tanh()
        if t >= WARM_UP:
            chances = model.decoder(below).log_softmax(2)
            following = tokens[(position + 1).clamp(max=n - 1)]
            scores[t - WARM_UP] = chances.gather(2, following.expand(conditions, -1).unsqueeze(2)).squeeze(2)
            closes[t - WARM_UP] = chances[:, :, closing].exp()
    along = [values.permute(1, 2, 0).flatten(1)[:, :n].cpu().numpy() for values in (scores, closes)]
    log_probability = np.full((conditions, n), np.nan)
    log_probability[:, 1:] = along[0][:, : n - 1]
    return Clamped(log_probability, along[1])
