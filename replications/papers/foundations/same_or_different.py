"""Are two objects of an image the same? One layer of attention against a stack of convolutions, by the distance of the objects.

An image is a square of cells. Two cells hold a glyph each, the others nothing; the answer is read at the cell of the first object, so that
what is known of the second one has to come there. Distances are those of chess kings: a convolution of 3x3 reaches one further per layer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.context import Context
from replications.papers.foundations.settings import Settings
from replications.papers.foundations.training import descend

SIDE, GLYPHS = 7, 4
CONVOLUTIONS = 2
DISTANCES = tuple(range(1, SIDE))
MIXERS = ("attention", "convolution")


def draw_pairs(n: int, distance: int | None, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw images of two objects.

    Args:
        n: number of images.
        distance: of the two objects in steps of a chess king; None: every distance is equally likely.
        generator: source of all draws.

    Returns:
        Glyphs as one-hot channels (n, GLYPHS, SIDE, SIDE); cell of the first object (n,), counted row by row; whether both are the
        same (n,), as float32, true of one half on average. Every direction at a distance is equally likely, then every place that fits.
    """
    distances = torch.full((n,), distance) if distance else torch.randint(1, SIDE, (n,), generator=generator)
    edge = 8 * distances * torch.rand(n, generator=generator)  # along the square of cells at this distance
    side, along = (edge // (2 * distances)).long(), (edge % (2 * distances)).long() - distances
    right = torch.stack([along, -distances, -along, distances])[side, torch.arange(n)]
    down = torch.stack([-distances, -along, distances, along])[side, torch.arange(n)]
    places = torch.rand(2, n, generator=generator)

    def start(offset: Tensor, uniform: Tensor) -> Tensor:
        return (-offset).clamp(min=0) + (uniform * (SIDE - offset.abs())).long()

    row, column = start(down, places[0]), start(right, places[1])
    first, second = row * SIDE + column, (row + down) * SIDE + column + right
    glyph = torch.randint(GLYPHS, (n,), generator=generator)
    same = torch.rand(n, generator=generator) < 0.5
    other = torch.where(same, glyph, (glyph + torch.randint(1, GLYPHS, (n,), generator=generator)) % GLYPHS)
    images, index = torch.zeros(n, GLYPHS, SIDE * SIDE), torch.arange(n)
    images[index, glyph, first] = 1
    images[index, other, second] = 1
    return images.unflatten(2, (SIDE, SIDE)), first, same.float()


class Comparers(nn.Module):
    """One network per seed that answers at the cell of the first object: a mixer of cells, then two fully connected layers on that cell.

    Args:
        mixer: 'attention': one layer with one head; 'convolution': layers of 3x3 with ReLU.
        width: features per cell.
        generators: sources of the initial weights, one per seed; uniform within 1 / sqrt(inputs), kernels sqrt(6) wider.
    """

    def __init__(self, mixer: str, width: int, generators: list[torch.Generator]) -> None:
        super().__init__()
        self.attends, self.n_seeds = mixer == "attention", len(generators)
        shapes: dict[str, tuple[int, ...]] = {"embedding": (GLYPHS, width)}
        if self.attends:
            shapes |= {"query": (width, width), "key": (width, width), "value": (width, width)}
        else:
            shapes |= {f"kernel_{layer}": (width, width, 3, 3) for layer in range(CONVOLUTIONS)}
        shapes |= {"hidden": (2 * width, 4 * width), "hidden_bias": (1, 4 * width), "answer": (4 * width, 1)}
        for name, shape in shapes.items():
            inputs = math.prod(shape[1:]) if name.startswith("kernel") else 2 * width if name == "hidden_bias" else shape[0]
            drawn = torch.stack([2 * torch.rand(*shape, generator=generator) - 1 for generator in generators])
            gain = math.sqrt(6) if name.startswith("kernel") else 1.0  # He et al. 2015, for the ReLU that follows
            self.register_parameter(name, nn.Parameter(gain * drawn / math.sqrt(inputs)))

    def mix(self, tokens: Tensor, own: Tensor, first: Tensor) -> Tensor:
        """Return what the mixer brings to the cell of the first object.

        Args:
            tokens: of all cells, shape (seeds, n, cells, width).
            own: token of the first object, shape (seeds, n, width).
            first: its cell, shape (seeds, n).

        Returns:
            Shape (seeds, n, width).
        """
        if self.attends:
            query = own @ self.get_parameter("query")
            keys, values = (tokens.flatten(1, 2) @ self.get_parameter(name) for name in ("key", "value"))
            scores = (keys.view_as(tokens) @ query.unsqueeze(3)).squeeze(3) / math.sqrt(query.shape[2])
            return (torch.softmax(scores, dim=2).unsqueeze(2) @ values.view_as(tokens)).squeeze(2)
        x = tokens.permute(1, 0, 3, 2).flatten(1, 2).unflatten(2, (SIDE, SIDE))  # one group of channels per seed
        for layer in range(CONVOLUTIONS):
            kernel = self.get_parameter(f"kernel_{layer}").flatten(0, 1)
            x = functional.conv2d(x, kernel, padding=1, groups=self.n_seeds).relu()
        return _at(x.flatten(2).unflatten(1, (self.n_seeds, -1)).permute(1, 0, 3, 2), first)

    def forward(self, images: Tensor, first: Tensor) -> Tensor:
        """Score 'same' against 'different'.

        Args:
            images: one-hot glyphs, shape (seeds, n, GLYPHS, SIDE, SIDE).
            first: cell of the first object, shape (seeds, n).

        Returns:
            Logits, shape (seeds, n).
        """
        pixels = images.flatten(3).mT  # (seeds, n, cells, GLYPHS)
        tokens = (pixels.flatten(1, 2) @ self.get_parameter("embedding")).unflatten(1, pixels.shape[1:3])
        own = _at(tokens, first)
        both = torch.cat([own, self.mix(tokens, own, first)], dim=2)
        hidden = (both @ self.get_parameter("hidden") + self.get_parameter("hidden_bias")).relu()
        return (hidden @ self.get_parameter("answer")).squeeze(2)


def _at(tokens: Tensor, cells: Tensor) -> Tensor:
    """Return the tokens (seeds, n, width) of one cell per image, from (seeds, n, cells, width)."""
    return tokens.gather(2, cells[..., None, None].expand(-1, -1, 1, tokens.shape[3])).squeeze(2)


def _batch(n: int, distance: int | None, generators: list[torch.Generator]) -> tuple[Tensor, ...]:
    """Return images, first cells and answers of every seed, seed axis first."""
    return tuple(torch.stack(parts) for parts in zip(*(draw_pairs(n, distance, g) for g in generators), strict=True))


def train_comparers(settings: Settings, context: Context) -> None:
    """Train both networks on pairs at all distances, and record accuracy and cross-entropy at each.

    Args:
        settings: of the run.
        context: receives the records.
    """

    def generators(purpose: str) -> list[torch.Generator]:
        return [context.generator(seed, purpose, device="cpu") for seed in context.seeds]

    networks = nn.ModuleDict({mixer: Comparers(mixer, settings.hidden_size, generators(f"start {mixer}")) for mixer in MIXERS})
    drawing = generators("pairs")

    def losses() -> Tensor:
        images, first, same = _batch(settings.batch_size, None, drawing)
        scores = [network(images, first) for network in networks.values()]
        each = [functional.binary_cross_entropy_with_logits(score, same, reduction="none").mean(dim=1) for score in scores]
        return torch.stack(each, dim=1)

    descend(context, settings, networks, losses, drawing, settings.batch_size)
    for distance in DISTANCES:
        images, first, same = _batch(settings.n_vectors, distance, generators(f"test {distance}"))
        for mixer, network in networks.items():
            with torch.no_grad():
                score = network(images, first)
            loss = functional.binary_cross_entropy_with_logits(score, same, reduction="none").mean(dim=1)
            right = 100 * ((score > 0) == (same > 0.5)).double().mean(dim=1)
            for metric, values, unit in (("accuracy", right, "%"), ("cross_entropy", loss, "nats")):
                context.record(metric, values, model=mixer, unit=unit, step=settings.n_steps, axis="distance", at=distance)
    context.record("test_examples", [settings.n_vectors] * len(context.seeds), step=settings.n_steps)
    for mixer, network in networks.items():
        count = sum(parameter[0].numel() for parameter in network.parameters())
        context.record("parameters", [count] * len(context.seeds), model=mixer, step=settings.n_steps)
