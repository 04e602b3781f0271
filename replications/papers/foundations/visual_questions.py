"""A network over images and words that answers questions: what colour is the ring?

An image is three by three patches; ring, cross and bar stand in different places and have different colours. The question names one of
them, and the answer is its colour. Every colour is then as likely whatever the image shows, and whatever the question says, so that
either alone is right once in three times.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from replications.engine.context import Context
from replications.papers.foundations.patches_and_words import NOISE, PATCHES, PIXELS, SHAPES, START, WORDS, Captioners
from replications.papers.foundations.settings import Settings
from replications.papers.foundations.training import descend


def draw_questions(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw images, a question on each, and the answers.

    Args:
        n: number of images.
        generator: source of all draws.

    Returns:
        Patches, shape (n, PATCHES, 3 * PIXELS), row by row; words of the questions, the start and a shape 3-5, shape (n, 2); answers,
        colours 0-2, shape (n,).
    """
    places = torch.rand(n, PATCHES, generator=generator).argsort(dim=1)[:, :3]  # of ring, cross and bar
    colours = torch.rand(n, 3, generator=generator).argsort(dim=1)
    patches = NOISE * torch.randn(n, PATCHES, 3, PIXELS, generator=generator)
    for shape in range(3):
        patches[torch.arange(n), places[:, shape], colours[:, shape]] += SHAPES[shape].flatten()
    asked = torch.randint(3, (n,), generator=generator)
    answers = colours.gather(1, asked.unsqueeze(1)).squeeze(1)
    return patches.flatten(2), torch.stack([torch.full_like(asked, START), WORDS + asked], dim=1), answers


def best_guess(known: str) -> float:
    """Return how often the best answer to the image alone, or to the question alone, is right; over all cases, which are equally likely.

    Args:
        known: 'image', the colours of ring, cross and bar, or 'question', which of them is asked about.

    Returns:
        Accuracy in percent.
    """
    cases = [(colours, asked) for colours in itertools.permutations(range(3)) for asked in range(3)]
    answers: dict[object, list[int]] = {}
    for colours, asked in cases:
        answers.setdefault(colours if known == "image" else asked, []).append(colours[asked])
    return 100 * sum(max(map(given.count, given)) for given in answers.values()) / len(cases)


def train_answerers(settings: Settings, context: Context) -> None:
    """Train the transformer over patches and words to answer, and record how often it is right, and the best guess from one side alone.

    Args:
        settings: of the run.
        context: receives the records.
    """

    def generators(purpose: str) -> list[torch.Generator]:
        return [context.generator(seed, purpose, device="cpu") for seed in context.seeds]

    def batch(n: int, sources: list[torch.Generator]) -> tuple[Tensor, ...]:
        return tuple(torch.stack(parts) for parts in zip(*(draw_questions(n, source) for source in sources), strict=True))

    network, drawing = Captioners(settings.hidden_size, generators("start")), generators("questions")

    def losses() -> Tensor:
        patches, words, answers = batch(settings.batch_size, drawing)
        logarithms = torch.log_softmax(network(patches, words)[:, :, -1, :WORDS], dim=-1)
        return -logarithms.gather(2, answers.unsqueeze(2)).squeeze(2).mean(dim=1)

    descend(context, settings, network, losses, drawing, settings.batch_size)
    patches, words, answers = batch(settings.n_vectors, generators("test"))
    with torch.no_grad():
        right = (network(patches, words)[:, :, -1, :WORDS].argmax(dim=-1) == answers).double()
    context.record("answers_right", 100 * right.mean(dim=1), unit="%", step=settings.n_steps)
    context.record("test_examples", [settings.n_vectors] * len(context.seeds), step=settings.n_steps)
    for known in ("image", "question"):
        context.record("best_guess", [best_guess(known)] * len(context.seeds), model=known, unit="%")
