"""The two trainings: how often gradient descent finds the detector of repeated ones, and 'hello', letter by letter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from replications.engine.checkpoints import Stateful
from replications.engine.context import Context
from replications.engine.randomness import Generators
from replications.engine.training import train
from replications.papers.foundations.data import LETTERS, LONGEST, WORD, all_strings, repeated_ones
from replications.papers.foundations.model import Detector, detector_outputs
from replications.papers.foundations.settings import Settings


class Weights(torch.nn.Module):
    """Parameters of networks that train together, uniform within 1 / sqrt(hidden) as torch starts its recurrent layers.

    Args:
        shapes: of each parameter of one network.
        hidden_size: hidden units.
        generators: one per seed.
        n_starts: networks per seed; 0: one, without an axis of its own.
    """

    w_xh: torch.nn.Parameter
    w_hh: torch.nn.Parameter
    w_hy: torch.nn.Parameter

    def __init__(self, shapes: dict[str, tuple[int, ...]], hidden_size: int, generators: list[torch.Generator], n_starts: int = 0) -> None:
        super().__init__()
        axis = (n_starts,) if n_starts else ()
        for name, shape in shapes.items():
            drawn = [torch.rand(*axis, *shape, generator=generator, dtype=torch.float64) for generator in generators]
            self.register_parameter(name, torch.nn.Parameter((2 * torch.stack(drawn) - 1) / math.sqrt(hidden_size)))


def descend(
    context: Context,
    settings: Settings,
    weights: torch.nn.Module,
    losses: Callable[[], Tensor],
    generators: list[torch.Generator],
    examples_per_step: int,
) -> None:
    """Train all networks with Adam; each has a loss of its own, so that none moves another.

    Args:
        context: of the run.
        settings: of the run; number of updates and rate.
        weights: parameters of all networks.
        losses: draws a batch and returns one loss per network, seed axis first.
        generators: sources of the batches, one per seed.
        examples_per_step: examples of one seed in an update.
    """
    optimiser = torch.optim.Adam(weights.parameters(), lr=settings.learning_rate)

    def step(_: int) -> dict[str, Tensor]:
        optimiser.zero_grad()
        each = losses()
        each.sum().backward()
        optimiser.step()
        return {"loss": each.detach().flatten(1).mean(dim=1) if each.ndim > 1 else each.detach()}

    state: dict[str, Stateful] = {"weights": weights, "optimiser": optimiser, "generators": Generators(generators)}
    train(context, step, n_steps=settings.n_steps, state=state, examples_per_step=examples_per_step * len(context.seeds))


def right_starts(detector: Detector) -> Tensor:
    """Return which networks are right on all 8,190 strings of length 1 to 12.

    Every shorter string begins one of length 12, and a network that is right at all of its steps is right on that beginning.

    Args:
        detector: weights of networks of seeds and starts, shape (seeds, starts, ...).

    Returns:
        Booleans, shape (seeds, starts).
    """
    strings = all_strings(LONGEST)
    wanted = repeated_ones(strings) > 0.5
    networks = zip(*(weights.detach().flatten(0, 1) for weights in detector), strict=True)
    right = [bool(((detector_outputs(Detector(*network), strings) > 0.5) == wanted).all()) for network in networks]
    return torch.tensor(right).unflatten(0, detector.w_xh.shape[:2])


def train_detector(settings: Settings, context: Context) -> None:
    """Train the detector's architecture from many random starts, and record the share that becomes perfect.

    Args:
        settings: of the run.
        context: receives the records.
    """
    size = settings.hidden_size
    weights = Weights(
        {"w_xh": (size,), "w_hh": (size, size), "w_hy": (size,)},
        size,
        [context.generator(seed, "start", device="cpu") for seed in context.seeds],
        settings.n_starts,
    )
    detector = Detector(weights.w_xh, weights.w_hh, weights.w_hy)
    generators = [context.generator(seed, "strings", device="cpu") for seed in context.seeds]

    def losses() -> Tensor:
        shape = (settings.batch_size, LONGEST)
        strings = torch.stack([torch.randint(2, shape, generator=g).double() for g in generators]).unsqueeze(1)
        return (detector_outputs(detector, strings) - repeated_ones(strings)).square().mean(dim=(-2, -1))

    descend(context, settings, weights, losses, generators, settings.batch_size)
    right = right_starts(detector).double().mean(dim=1)
    context.record("starts_that_find_it", 100 * right, step=settings.n_steps, unit="%")


def bigram_loss() -> float:
    """Return the least mean cross-entropy, in nats, of a predictor of 'hello' that sees the present letter alone.

    Each letter is followed by what follows it in the word, in proportion: after l come l and o once each.

    Returns:
        2 ln 2 / 4, counted.
    """
    pairs = list(itertools.pairwise(WORD))
    shares = [pairs.count(pair) / [first for first, _ in pairs].count(pair[0]) for pair in pairs]
    return -sum(math.log(share) for share in shares) / len(pairs)


def train_hello(settings: Settings, context: Context) -> None:
    """Train a network to predict the next letter of 'hello', and continue greedily from its first letter.

    Args:
        settings: of the run.
        context: receives the records.
    """
    size, letters = settings.hidden_size, len(LETTERS)
    generators = [context.generator(seed, "start", device="cpu") for seed in context.seeds]
    weights = Weights({"w_xh": (size, letters), "w_hh": (size, size), "w_hy": (letters, size)}, size, generators)
    codes = torch.tensor([LETTERS.index(letter) for letter in WORD])
    one_hot = functional.one_hot(codes, letters).double()

    def step(x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the state after a letter, (seeds, hidden), and the logits of the next one, (seeds, letters)."""
        h = torch.tanh((weights.w_xh @ x.unsqueeze(-1) + weights.w_hh @ h.unsqueeze(-1)).squeeze(-1))
        return h, (weights.w_hy @ h.unsqueeze(-1)).squeeze(-1)

    start = torch.zeros(len(context.seeds), size, dtype=torch.float64)

    def losses() -> Tensor:
        h, total = start, torch.zeros(len(context.seeds), dtype=torch.float64)
        for t in range(len(WORD) - 1):
            h, logits = step(one_hot[t].expand(len(context.seeds), -1), h)
            total = total - torch.log_softmax(logits, dim=-1)[:, codes[t + 1]]
        return total / (len(WORD) - 1)

    descend(context, settings, weights, losses, generators, 1)
    with torch.no_grad():
        context.record("cross_entropy", losses(), step=settings.n_steps, unit="nats")
        h, letter, right = start, one_hot[0].expand(len(context.seeds), -1), torch.ones(len(context.seeds), dtype=torch.float64)
        for t in range(len(WORD) - 1):
            h, logits = step(letter, h)
            chosen = logits.argmax(dim=-1)
            right *= (chosen == codes[t + 1]).double()
            letter = functional.one_hot(chosen, letters).double()
        context.record("continues_with_ello", right, step=settings.n_steps)
    context.record("bigram_cross_entropy", [bigram_loss()] * len(context.seeds), unit="nats")
