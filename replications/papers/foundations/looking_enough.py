"""A network that learns when it has looked enough, and how few patches a fovea needs.

Every glimpse of an image shows its class, plus or minus one, under noise of its own. The network adds up what it sees and, after every
glimpse, says how probable each class is and whether it stops. Where to stop is learned with the rest: the loss is the expected
cross-entropy at the stop plus a price for every glimpse, an exact sum over all stops, so that nothing is sampled (after Banino et al. 2021).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.context import Context
from replications.papers.foundations.costs import PATCH, foveated_patches
from replications.papers.foundations.settings import Settings
from replications.papers.foundations.training import descend

GLIMPSES = 24
"""After these many the network must answer."""
NOISE = 2.0
"""Standard deviation of the noise on a glimpse."""
PRICE = 0.02
"""Nats that a glimpse costs."""
SIDES = (16, 32, 64, 128)
"""Sides in pixels of the images that are cut into patches."""


def draw_glimpses(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw images by what their glimpses show.

    Args:
        n: number of images.
        generator: source of all draws.

    Returns:
        Glimpses, shape (n, GLIMPSES), and classes 0 or 1, shape (n,).
    """
    classes = torch.randint(2, (n,), generator=generator)
    return (2 * classes - 1).unsqueeze(1) + NOISE * torch.randn(n, GLIMPSES, generator=generator), classes.float()


class Observers(nn.Module):
    """One network per seed: a sum of glimpses as its state, and two heads that read the state and the share of glimpses used.

    Args:
        hidden_size: hidden units of each head.
        generators: sources of the initial weights, one per seed; uniform within 1 / sqrt(inputs).
    """

    def __init__(self, hidden_size: int, generators: list[torch.Generator]) -> None:
        super().__init__()
        for head in ("answer", "stop"):
            for name, shape in {"in": (2, hidden_size), "bias": (1, hidden_size), "out": (hidden_size, 1)}.items():
                drawn = torch.stack([2 * torch.rand(*shape, generator=generator) - 1 for generator in generators])
                self.register_parameter(f"{head}_{name}", nn.Parameter(drawn / math.sqrt(shape[0])))

    def forward(self, glimpses: Tensor) -> tuple[Tensor, Tensor]:
        """Answer after every glimpse, and say whether to stop there.

        Args:
            glimpses: shape (seeds, n, GLIMPSES).

        Returns:
            Logits of class 1 after each glimpse and logits of stopping there, each (seeds, n, GLIMPSES); the last one stops for certain.
        """
        state = glimpses.cumsum(dim=2) / GLIMPSES
        used = torch.linspace(0, 1, GLIMPSES).expand_as(state)
        x = torch.stack([state, used], dim=3).flatten(1, 2)
        heads = []
        for head in ("answer", "stop"):
            hidden = torch.tanh(x @ self.get_parameter(f"{head}_in") + self.get_parameter(f"{head}_bias"))
            heads.append((hidden @ self.get_parameter(f"{head}_out")).view_as(state))
        return heads[0], heads[1]


def stop_probabilities(stops: Tensor) -> Tensor:
    """Return the probability of stopping at each glimpse, having stopped at none before it.

    Args:
        stops: logits of stopping, shape (..., GLIMPSES); the last one is not read.

    Returns:
        Probabilities of the same shape, which sum to 1.
    """
    going = functional.logsigmoid(-stops[..., :-1]).cumsum(dim=-1)  # log-probability of not having stopped up to a glimpse
    before = torch.cat([torch.zeros_like(going[..., :1]), going], dim=-1).exp()
    return torch.cat([before[..., :-1] * stops[..., :-1].sigmoid(), before[..., -1:]], dim=-1)


def train_observers(settings: Settings, context: Context) -> None:
    """Train the network, and record how often it is right, after how many glimpses, and how often after so many without a choice.

    Args:
        settings: of the run.
        context: receives the records.
    """

    def generators(purpose: str) -> list[torch.Generator]:
        return [context.generator(seed, purpose, device="cpu") for seed in context.seeds]

    def batch(n: int, sources: list[torch.Generator]) -> tuple[Tensor, Tensor]:
        glimpses, classes = zip(*(draw_glimpses(n, source) for source in sources), strict=True)
        return torch.stack(glimpses), torch.stack(classes)

    network, drawing = Observers(settings.hidden_size, generators("start")), generators("glimpses")
    numbers = torch.arange(1.0, GLIMPSES + 1)

    def losses() -> Tensor:
        glimpses, classes = batch(settings.batch_size, drawing)
        answers, stops = network(glimpses)
        each = functional.binary_cross_entropy_with_logits(answers, classes.unsqueeze(2).expand_as(answers), reduction="none")
        # Every glimpse's answer counts a little, so that answers are good wherever the network comes to stop.
        expected = (stop_probabilities(stops) * (each + PRICE * numbers)).sum(dim=2) + 0.1 * each.mean(dim=2)
        return expected.mean(dim=1)

    descend(context, settings, network, losses, drawing, settings.batch_size)
    glimpses, classes = batch(settings.n_vectors, generators("test"))
    with torch.no_grad():
        answers, stops = network(glimpses)
    right = ((answers > 0) == (classes > 0.5).unsqueeze(2)).double()
    last = torch.cat([stops[..., :-1] > 0, torch.ones_like(stops[..., :1], dtype=torch.bool)], dim=2).int().argmax(dim=2)
    mean = (last + 1).double().mean(dim=1)
    whole = mean.floor().long()  # between two numbers of glimpses accuracy is interpolated, so that both look equally often on average
    of_number = right.mean(dim=1)
    low, high = (of_number.gather(1, (whole - 1 + step).clamp(max=GLIMPSES - 1).unsqueeze(1)).squeeze(1) for step in (0, 1))
    context.record("right_answers", 100 * right.gather(2, last.unsqueeze(2)).squeeze(2).mean(dim=1), model="chosen", unit="%")
    context.record("right_answers", 100 * (low + (mean - whole) * (high - low)), model="fixed", unit="%")
    context.record("glimpses_used", mean, model="chosen")
    context.record("test_examples", [settings.n_vectors] * len(context.seeds), step=settings.n_steps)
    for side in SIDES:
        for model, patches in (("foveated", len(foveated_patches(side))), ("even", (side // PATCH) ** 2)):
            context.record("patches", [patches] * len(context.seeds), model=model, axis="side", at=side)
