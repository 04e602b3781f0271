"""Sampling of one stream of text from a trained network, one character at a time.

A step of one stream is a few matrix-vector products, for which the call overhead of a deep-learning library exceeds the
arithmetic. Here a step is numpy, and the product with the one-hot input is a row of a table.
"""

from __future__ import annotations

import numpy as np
import torch

from replications.engine.text import Vocabulary
from replications.errors import InputError
from replications.papers.char_rnn.model import CharacterModel


class Sampler:
    """A network that reads one character at a time in numpy, with its state.

    Args:
        model: trained network; its weights are copied.
    """

    def __init__(self, model: CharacterModel) -> None:
        self.cell, self.hidden = model.cell, model.hidden
        self._layers = []
        for layer in range(model.layers):
            w_ih, w_hh, b_ih, b_hh = (part.detach().cpu().float().numpy() for part in model.layer_weights(layer))
            # In layer 0, w_ih.T plus the bias is the table of all products with one-hot inputs. A GRU needs its two biases separately.
            bias = b_ih if self.cell == "gru" else b_ih + b_hh
            input_weights = np.ascontiguousarray(w_ih.T + bias) if layer == 0 else (np.ascontiguousarray(w_ih), bias)
            self._layers.append((input_weights, np.ascontiguousarray(w_hh), b_hh))
        decoder = model.decoder
        self._decoder = np.ascontiguousarray(decoder.weight.detach().cpu().float().numpy())
        self._bias = decoder.bias.detach().cpu().float().numpy()
        self.reset()

    def reset(self) -> None:
        """Set the state to zero."""
        self._h = [np.zeros(self.hidden, dtype=np.float32) for _ in self._layers]
        self._c = [np.zeros(self.hidden, dtype=np.float32) for _ in self._layers]

    def step(self, token: int) -> np.ndarray:
        """Return the logits after one more character, and advance the state.

        Args:
            token: index of the character.

        Returns:
            Logits of the next character, float32 (vocabulary,).
        """
        layer_input = self._h[0]
        for layer, (input_weights, w_hh, b_hh) in enumerate(self._layers):
            from_input = input_weights[token] if layer == 0 else input_weights[0].dot(layer_input) + input_weights[1]
            layer_input = self._h[layer] = getattr(self, f"_{self.cell}")(layer, from_input, w_hh.dot(self._h[layer]), b_hh)
        return np.asarray(self._decoder.dot(layer_input) + self._bias)

    def _rnn(self, layer: int, from_input: np.ndarray, from_hidden: np.ndarray, b_hh: np.ndarray) -> np.ndarray:  # noqa: ARG002 (one signature)
        """Return the next hidden state of a tanh RNN, (hidden,)."""
        return np.asarray(np.tanh(from_input + from_hidden))

    def _gru(self, layer: int, from_input: np.ndarray, from_hidden: np.ndarray, b_hh: np.ndarray) -> np.ndarray:
        """Return the next hidden state of a GRU, (hidden,); gates in the order r, z, g."""
        n = self.hidden
        from_hidden += b_hh
        gates = _sigmoid(from_input[: 2 * n] + from_hidden[: 2 * n])
        candidate = np.tanh(from_input[2 * n :] + gates[:n] * from_hidden[2 * n :])
        return np.asarray(candidate + gates[n:] * (self._h[layer] - candidate))

    def _lstm(self, layer: int, from_input: np.ndarray, from_hidden: np.ndarray, b_hh: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the next hidden state of an LSTM, (hidden,), and update its cell state; gates in the order i, f, g, o."""
        n = self.hidden
        from_hidden += from_input
        candidate = np.tanh(from_hidden[2 * n : 3 * n])
        gates = _sigmoid(from_hidden)  # of all four blocks: cheaper than slicing out the candidate
        c = self._c[layer]
        c *= gates[n : 2 * n]
        c += gates[:n] * candidate
        return np.asarray(gates[3 * n :] * np.tanh(c))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)), computed through tanh, which does not overflow.

    Args:
        x: any shape.
    """
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


def sample(
    model: CharacterModel, vocabulary: Vocabulary, length: int, *, prompt: str = "\n", temperature: float = 1.0, generator: torch.Generator
) -> str:
    """Return text sampled after a prompt.

    Args:
        model: trained network.
        vocabulary: its characters.
        length: number of characters to sample.
        prompt: text read first; not part of the result.
        temperature: the logits are divided by it; 0 takes the most probable character at every step (greedy).
        generator: random numbers, on the CPU.

    Returns:
        `length` characters.

    Raises:
        InputError: an empty prompt, a prompt with a character outside the vocabulary, or a temperature that is negative or no number.
    """
    if not prompt:
        raise InputError("The prompt is empty. A network needs one character to start from, for example a newline.")
    if not temperature >= 0:  # NaN included
        raise InputError(f"The temperature is {temperature:g}. Use 0 for the most probable character, 1 for the model's own probabilities.")
    tokens = vocabulary.encode(prompt)
    sampler = Sampler(model)
    for token in tokens:
        logits = sampler.step(int(token))
    uniforms = torch.rand(length, generator=generator, dtype=torch.float64).numpy()
    sampled = []
    for uniform in uniforms:
        if temperature == 0:
            token = int(logits.argmax())
        else:
            weights = np.exp((logits - logits.max()) / temperature).cumsum()
            token = min(int(weights.searchsorted(uniform * weights[-1], side="right")), len(weights) - 1)
        sampled.append(token)
        logits = sampler.step(token)
    return vocabulary.decode(sampled)
