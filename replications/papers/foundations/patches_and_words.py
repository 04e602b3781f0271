"""One kind of block for patches of an image and words: a small transformer that reads both as one sequence and writes a caption.

An image is three by three patches, one of which holds a coloured shape. Its caption is three words: colour, shape and row. The tokens of
patches and words differ in how they are embedded and in nothing else; every block is the same for both.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.context import Context
from replications.papers.foundations.settings import Settings
from replications.papers.foundations.training import descend

ROWS, PIXELS = 3, 16
PATCHES = ROWS * ROWS
WORDS = 3
START = 3 * WORDS
"""Vocabulary: three colours, three shapes, three rows, and the word that starts a caption."""
SHAPES = torch.tensor(
    [
        [[1.0, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]],  # ring
        [[1.0, 0, 0, 1], [0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]],  # cross
        [[0.0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]],  # bar
    ]
)
BLOCKS = 2
NOISE = 0.2
"""Standard deviation of the noise on every pixel, whose signal is 0 or 1."""


def draw_images(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw images and their captions; colour, shape and place are independent and uniform.

    Args:
        n: number of images.
        generator: source of all draws.

    Returns:
        Patches, shape (n, PATCHES, 3 * PIXELS), row by row; words of the captions, shape (n, 3): colour 0-2, shape 3-5, row 6-8.
    """
    colour, shape = torch.randint(WORDS, (2, n), generator=generator)
    place = torch.randint(PATCHES, (n,), generator=generator)
    patches = NOISE * torch.randn(n, PATCHES, 3, PIXELS, generator=generator)
    patches[torch.arange(n), place, colour] += SHAPES[shape].flatten(1)
    return patches.flatten(2), torch.stack([colour, WORDS + shape, 2 * WORDS + place // ROWS], dim=1)


class Captioners(nn.Module):
    """One transformer per seed over patches and words.

    Args:
        width: features per token.
        generators: sources of the initial weights, one per seed; uniform within 1 / sqrt(inputs).
    """

    def __init__(self, width: int, generators: list[torch.Generator]) -> None:
        super().__init__()
        vocabulary = START + 1
        shapes = {
            "patch": (3 * PIXELS, width),
            "word": (vocabulary, width),
            "position": (PATCHES + WORDS, width),
            "output": (width, vocabulary),
        }
        for block in range(BLOCKS):
            shapes |= {f"{name}_{block}": (width, width) for name in ("query", "key", "value", "join")}
            shapes |= {f"expand_{block}": (width, 4 * width), f"contract_{block}": (4 * width, width)}
        for name, shape in shapes.items():
            inputs = width if name in ("word", "position") else shape[0]
            drawn = torch.stack([2 * torch.rand(*shape, generator=generator) - 1 for generator in generators])
            self.register_parameter(name, nn.Parameter(drawn / math.sqrt(inputs)))
        # Every token sees all patches; a word sees the words before it and itself.
        self.seen = torch.ones(PATCHES + WORDS, PATCHES + WORDS).tril().bool()
        self.seen[:, :PATCHES] = True

    def forward(self, patches: Tensor, words: Tensor) -> Tensor:
        """Score the word that follows each word.

        Args:
            patches: shape (seeds, n, PATCHES, 3 * PIXELS).
            words: the caption so far, from `START` on, shape (seeds, n, words) with at most three words.

        Returns:
            Logits, shape (seeds, n, words, vocabulary).
        """
        tables = self.get_parameter("word")
        spoken = torch.stack([table[of_seed] for table, of_seed in zip(tables, words, strict=True)])
        length = PATCHES + words.shape[2]
        x = torch.cat([self._linear(patches, "patch"), spoken], dim=2) + self.get_parameter("position")[:, None, :length]
        for block in range(BLOCKS):
            y = functional.layer_norm(x, x.shape[-1:])
            query, key, value = (self._linear(y, f"{name}_{block}") for name in ("query", "key", "value"))
            scores = (query @ key.mT / math.sqrt(x.shape[3])).masked_fill(~self.seen[:length, :length], -math.inf)
            x = x + self._linear(torch.softmax(scores, dim=-1) @ value, f"join_{block}")
            y = functional.layer_norm(x, x.shape[-1:])
            x = x + self._linear(self._linear(y, f"expand_{block}").relu(), f"contract_{block}")
        return self._linear(functional.layer_norm(x, x.shape[-1:])[:, :, PATCHES:], "output")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        """Return x times the matrix of each seed, for x of shape (seeds, n, tokens, features)."""
        return (x.flatten(1, 2) @ self.get_parameter(name)).unflatten(1, x.shape[1:3])

    @torch.no_grad()
    def write(self, patches: Tensor) -> Tensor:
        """Write captions, the most probable word at every step.

        Args:
            patches: shape (seeds, n, PATCHES, 3 * PIXELS).

        Returns:
            Words, shape (seeds, n, 3).
        """
        words = torch.full((*patches.shape[:2], 1), START)
        for _ in range(WORDS):
            words = torch.cat([words, self(patches, words)[:, :, -1:].argmax(dim=-1)], dim=2)
        return words[:, :, 1:]


def train_captioners(settings: Settings, context: Context) -> None:
    """Train the transformer on images with captions, and one that gets blank images instead; record which captions are right.

    Args:
        settings: of the run.
        context: receives the records.
    """

    def generators(purpose: str) -> list[torch.Generator]:
        return [context.generator(seed, purpose, device="cpu") for seed in context.seeds]

    def batch(n: int, sources: list[torch.Generator]) -> tuple[Tensor, Tensor]:
        images, captions = zip(*(draw_images(n, source) for source in sources), strict=True)
        return torch.stack(images), torch.stack(captions)

    networks = nn.ModuleDict({name: Captioners(settings.hidden_size, generators(f"start {name}")) for name in ("images", "blank")})
    drawing = generators("images")

    def shown(name: str, patches: Tensor) -> Tensor:
        return patches if name == "images" else torch.zeros_like(patches)

    def losses() -> Tensor:
        patches, captions = batch(settings.batch_size, drawing)
        words = torch.cat([torch.full_like(captions[:, :, :1], START), captions[:, :, :-1]], dim=2)
        each = []
        for name, network in networks.items():
            logarithms = torch.log_softmax(network(shown(name, patches), words), dim=-1)
            each.append(-logarithms.gather(3, captions.unsqueeze(3)).flatten(1).mean(dim=1))
        return torch.stack(each, dim=1)

    descend(context, settings, networks, losses, drawing, settings.batch_size)
    patches, captions = batch(settings.n_vectors, generators("test"))
    for name, network in networks.items():
        right = (network.write(shown(name, patches)) == captions).double()  # type: ignore[operator]  # a ModuleDict forgets the class
        context.record("captions_right", 100 * right.prod(dim=2).mean(dim=1), model=name, unit="%", step=settings.n_steps)
        for i, kind in enumerate(("colours", "shapes", "rows")):
            context.record(f"{kind}_right", 100 * right[:, :, i].mean(dim=1), model=name, unit="%", step=settings.n_steps)
    context.record("test_examples", [settings.n_vectors] * len(context.seeds), step=settings.n_steps)
