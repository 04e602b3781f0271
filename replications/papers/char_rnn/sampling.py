"""Sampling of one stream of text from a trained network, one character at a time.

A step of one stream is a handful of products of a matrix with one vector, and in a deep-learning library the calls cost
more than the arithmetic. Here the step is numpy, and the one-hot product is a row of a table.
"""

from __future__ import annotations

import numpy as np
import torch

from replications.engine.text import Vocabulary
from replications.errors import InputError
from replications.papers.char_rnn.model import CharacterModel


class Sampler:
    """A network's state and weights, ready to be read one character at a time.

    Args:
        model: trained; its weights are copied.
    """

    def __init__(self, model: CharacterModel) -> None:
        self.cell, self.hidden = model.cell, model.hidden
        self._layers = []
        for layer in range(model.layers):
            w_ih, w_hh, b_ih, b_hh = (part.detach().cpu().float().numpy() for part in model.layer_weights(layer))
            # Of layer 0, w_ih.T is the table of one-hot products, biases included. A GRU needs its two biases apart.
            bias = b_ih if self.cell == "gru" else b_ih + b_hh
            into = np.ascontiguousarray(w_ih.T + bias) if layer == 0 else (np.ascontiguousarray(w_ih), bias)
            self._layers.append((into, np.ascontiguousarray(w_hh), b_hh))
        decoder = model.decoder
        self._decoder = np.ascontiguousarray(decoder.weight.detach().cpu().float().numpy())
        self._bias = decoder.bias.detach().cpu().float().numpy()
        self.reset()

    def reset(self) -> None:
        """Forget everything read."""
        self._h = [np.zeros(self.hidden, dtype=np.float32) for _ in self._layers]
        self._c = [np.zeros(self.hidden, dtype=np.float32) for _ in self._layers]

    def step(self, token: int) -> np.ndarray:
        """Read one character.

        Args:
            token: its number.

        Returns:
            Logits of the next character, float32 (vocabulary,).
        """
        below = self._h[0]
        for layer, (into, w_hh, b_hh) in enumerate(self._layers):
            from_input = into[token] if layer == 0 else into[0].dot(below) + into[1]
            below = self._h[layer] = getattr(self, f"_{self.cell}")(layer, from_input, w_hh.dot(self._h[layer]), b_hh)
        return np.asarray(self._decoder.dot(below) + self._bias)

    def _rnn(self, layer: int, from_input: np.ndarray, from_hidden: np.ndarray, b_hh: np.ndarray) -> np.ndarray:  # noqa: ARG002 (one signature)
        return np.asarray(np.tanh(from_input + from_hidden))

    def _gru(self, layer: int, from_input: np.ndarray, from_hidden: np.ndarray, b_hh: np.ndarray) -> np.ndarray:
        n = self.hidden
        from_hidden += b_hh
        gates = _sigmoid(from_input[: 2 * n] + from_hidden[: 2 * n])
        candidate = np.tanh(from_input[2 * n :] + gates[:n] * from_hidden[2 * n :])
        return np.asarray(candidate + gates[n:] * (self._h[layer] - candidate))

    def _lstm(self, layer: int, from_input: np.ndarray, from_hidden: np.ndarray, b_hh: np.ndarray) -> np.ndarray:  # noqa: ARG002
        n = self.hidden
        from_hidden += from_input
        candidate = np.tanh(from_hidden[2 * n : 3 * n])
        gates = _sigmoid(from_hidden)  # of all four parts: one call less than cutting the candidate out
        c = self._c[layer]
        c *= gates[n : 2 * n]
        c += gates[:n] * candidate
        return np.asarray(gates[3 * n :] * np.tanh(c))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) through tanh, which does not overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


def sample(
    model: CharacterModel, vocabulary: Vocabulary, length: int, *, prompt: str = "\n", temperature: float = 1.0, generator: torch.Generator
) -> str:
    """Write text that follows a prompt.

    Args:
        model: trained network.
        vocabulary: its characters.
        length: characters to write.
        prompt: read first; not part of the result.
        temperature: logits are divided by it; 0 takes the likeliest character each time (greedy).
        generator: on the CPU.

    Raises:
        InputError: an empty prompt, a prompt with a character outside the vocabulary, or a negative temperature.
    """
    if not prompt:
        raise InputError("The prompt is empty. A network needs one character to start from, for example a newline.")
    if temperature < 0:
        raise InputError(f"The temperature is {temperature:g}. Use 0 for the likeliest character, 1 for the model's own chances.")
    tokens = vocabulary.encode(prompt)
    sampler = Sampler(model)
    for token in tokens:
        logits = sampler.step(int(token))
    draws = torch.rand(length, generator=generator, dtype=torch.float64).numpy()
    written = []
    for draw in draws:
        if temperature == 0:
            token = int(logits.argmax())
        else:
            weights = np.exp((logits - logits.max()) / temperature).cumsum()
            token = min(int(weights.searchsorted(draw * weights[-1], side="right")), len(weights) - 1)
        written.append(token)
        logits = sampler.step(token)
    return vocabulary.decode(written)
