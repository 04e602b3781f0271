"""Counted quantities: what a recurrent network keeps and computes, what truncation keeps, and what hard and soft attention read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from replications.papers.foundations.model import rnn_states
from replications.papers.foundations.recurrent_statements import HIDDEN, INPUTS, normal

LENGTHS = (24, 48, 96)
WINDOW = 12
LOCATIONS = (16, 64, 256)
PATCH, FOVEA = 4, 4
"""Side of the smallest patch in pixels, and patches along the side of the fovea and of every ring around it."""


class ProductCounter(TorchFunctionMode):
    """Counts the operations of matrix products while they run, two per multiply-add.

    Small enough to read, and without the seconds that torch's own counter needs to load its compiler.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_function__(self, function: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Call a function of torch, and count it where it is `torch.mm`."""
        if function is torch.mm:
            left, right = args
            self.flops += 2 * left.shape[0] * left.shape[1] * right.shape[1]
        return function(*args, **(kwargs or {}))


def _network(generator: torch.Generator, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs and both matrices of a random network."""
    return (
        normal(length, INPUTS, generator=generator),
        normal(HIDDEN, INPUTS, generator=generator),
        normal(HIDDEN, HIDDEN, generator=generator),
    )


def state_numbers(length: int, generator: torch.Generator) -> int:
    """Return how many numbers a recurrent network hands from one step to the next after so many steps.

    Args:
        length: steps made.
        generator: source of the network.

    Returns:
        Number of elements of the state.
    """
    x, w_xh, w_hh = _network(generator, length)
    return rnn_states(x, w_xh, w_hh, torch.zeros(HIDDEN, dtype=torch.float64))[-1].numel()


def recurrent_flops(length: int, generator: torch.Generator) -> int:
    """Return the operations of a recurrent network over a sequence, counted in its matrix products as they run.

    Args:
        length: of the sequence.
        generator: source of the network.

    Returns:
        Floating-point operations, two per multiply-add.
    """
    x, w_xh, w_hh = _network(generator, length)
    with ProductCounter() as counter:
        h = torch.zeros(HIDDEN, 1, dtype=torch.float64)
        for x_t in x:
            h = torch.tanh(torch.mm(w_xh, x_t.unsqueeze(1)) + torch.mm(w_hh, h))
    return counter.flops


def saved_numbers(length: int, window: int, generator: torch.Generator) -> int:
    """Return the most numbers that back-propagation keeps at one time.

    Args:
        length: of the sequence.
        window: steps after which the past is cut off; the length: never.
        generator: source of the network.

    Returns:
        Elements of all tensors saved for the backward pass of one window, of the window with most.
    """
    x, w_xh, w_hh = _network(generator, length)
    h, most = torch.zeros(HIDDEN, dtype=torch.float64), 0
    for part in x.split(window):
        saved = 0

        def keep(tensor: Tensor) -> Tensor:
            nonlocal saved
            saved += 0 if tensor.data_ptr() == w_hh.data_ptr() else tensor.numel()  # the weights are there anyway
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            states = rnn_states(part, w_xh, w_hh.requires_grad_(), h)
        h, most = states[-1].detach(), max(most, saved)
    return most


def attention_flops(locations: int, *, hard: bool) -> int:
    """Return the operations of encoding what attention reads: every location where it is soft, one where it is hard.

    Args:
        locations: of the image.
        hard: read one location alone.

    Returns:
        Floating-point operations, two per multiply-add.
    """
    image, encoder = torch.ones(locations, INPUTS), torch.ones(INPUTS, HIDDEN)
    with ProductCounter() as counter:
        if hard:
            torch.mm(image[:1], encoder)
        else:
            weights = torch.full((1, locations), 1 / locations)
            torch.mm(weights, torch.mm(image, encoder))
    return counter.flops


def foveated_patches(side: int) -> list[tuple[int, int, int]]:
    """Cut an image into patches as a fovea does: small ones in the middle, and rings around it whose patches double their side.

    Args:
        side: of the image in pixels, `PATCH * FOVEA` times a power of two.

    Returns:
        Left and upper edge and side of every patch, in pixels; together they cover every pixel once.
    """
    patches, size, inner = [], PATCH, 0
    while size * FOVEA <= side:
        start = (side - size * FOVEA) // 2
        for y in range(start, start + size * FOVEA, size):
            for x in range(start, start + size * FOVEA, size):
                centre = max(abs(2 * x + size - side), abs(2 * y + size - side))  # twice the distance from the middle
                if centre > inner:
                    patches.append((x, y, size))
        size, inner = 2 * size, size * FOVEA
    return patches


def bottleneck_accuracy(n_words: int, generator: torch.Generator, *, width: int = 32, vocabulary: int = 8) -> float:
    """Copy a sentence out of one vector: share of words that the best linear readout finds in the last state.

    The network adds one random vector per word and turns its state by a fixed rotation each step, so that nothing is lost
    but what does not fit. The readout is solved by least squares on other sentences.

    Args:
        n_words: words per sentence.
        generator: source of network and sentences.
        width: numbers in the state.
        vocabulary: different words.

    Returns:
        Accuracy on new sentences in percent.
    """
    words = normal(vocabulary, width, generator=generator)
    rotation = torch.linalg.qr(normal(width, width, generator=generator)).Q
    sentences = torch.randint(vocabulary, (3000, n_words), generator=generator)
    h = torch.zeros(3000, width, dtype=torch.float64)
    for t in range(n_words):
        h = h @ rotation.T + words[sentences[:, t]]
    inputs = torch.cat([h, torch.ones(3000, 1, dtype=torch.float64)], dim=1)
    targets = torch.nn.functional.one_hot(sentences, vocabulary).double().flatten(1)
    gram = inputs[:2000].T @ inputs[:2000] + 1e-9 * torch.eye(width + 1, dtype=torch.float64)
    readout = torch.linalg.solve(gram, inputs[:2000].T @ targets[:2000])
    answers = (inputs[2000:] @ readout).unflatten(1, (n_words, vocabulary)).argmax(dim=-1)
    return 100 * float((answers == sentences[2000:]).double().mean())
