"""Recall, copying and regular languages: train on made-up sequences, score on fixed ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from replications.engine.context import Context
from replications.papers.rnn_vs_transformer import tasks
from replications.papers.rnn_vs_transformer.fitting import Batch, Fit, make_model
from replications.papers.rnn_vs_transformer.model import SequenceModel
from replications.papers.rnn_vs_transformer.settings import Settings
from replications.papers.rnn_vs_transformer.tasks import IGNORED

TEST_SEED = 1_000_003
"""Held-out sequences come from this seed, the same for all runs of a task; those scored on the way and those reported are different."""


@torch.no_grad()
def accuracies(model: SequenceModel, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Share of scored positions answered right, and of sequences with every one right, both (seeds,).

    Args:
        tokens, targets: (batch, n), the same for every seed.
    """
    logits = model(tokens.expand(model.n_seeds, *tokens.shape))
    right = logits.argmax(-1) == targets
    scored = targets != IGNORED
    return (right & scored).sum((1, 2)) / scored.sum(), (right | ~scored).all(2).float().mean(1)


def _first_reached(context: Context, metric: str, target: float, batch: int, budget: int) -> tuple[list[float], list[float]]:
    """Examples after which each seed's metric, recorded on split 'validation', first reached the target; the budget where it never did."""
    examples, reached = [], []
    for seed in context.seeds:
        rows = [row for row in context.rows if row["seed"] == seed and row["metric"] == metric and row["split"] == "validation"]
        steps = [row["step"] for row in rows if row["value"] >= target]
        examples.append(float(batch * min(steps) if steps else budget))
        reached.append(float(bool(steps)))
    return examples, reached


def _learn(
    settings: Settings,
    context: Context,
    model: SequenceModel,
    draw: Callable[[torch.Generator], Batch],
    test: Batch,
    metric: str,
    length: int,
) -> None:
    """Train, scoring `metric` (accuracy of positions, or string_accuracy) on the way, and record examples to the target."""
    which = {"accuracy": 0, "string_accuracy": 1}[metric]

    def evaluate(step: int) -> None:
        context.record(metric, accuracies(model, *test)[which], split="validation", step=step)

    Fit(settings, context, model, draw).run(evaluate, length=length)
    budget = settings.training.batch * settings.training.steps
    examples, reached = _first_reached(context, metric, settings.task.target, settings.training.batch, budget)
    context.record("examples_to_target", examples, unit="examples")
    context.record("target_reached", reached)
    context.record("parameters", [float(model.n_parameters)] * len(context.seeds))


def train_recall(settings: Settings, context: Context) -> None:
    """Associative recall: trained on all numbers of pairs mixed, scored for each, and by distance between pair and query."""
    task, batch = settings.task, settings.training.batch
    choices = torch.tensor(task.pairs)

    def draw(generator: torch.Generator) -> Batch:
        pairs = int(choices[torch.randint(len(choices), (), generator=generator, device=generator.device)])
        return tasks.recall(batch, pairs, task.length, task.vocabulary, generator)

    def held(pairs: int, split: str = "test") -> Batch:
        return tasks.recall(
            task.test_examples, pairs, task.length, task.vocabulary, context.generator(TEST_SEED, f"{split} recall {pairs}")
        )

    model = make_model(settings, context, task.vocabulary + 1, task.length)
    _learn(settings, context, model, draw, held(max(task.pairs), "validation"), "accuracy", task.length)
    for pairs in task.pairs:
        tokens, targets = held(pairs)
        context.record("accuracy", accuracies(model, tokens, targets)[0], step=pairs)
        if pairs == max(task.pairs):
            context.record("accuracy_most", accuracies(model, tokens, targets)[0])
            context.artifact("accuracy_by_distance", _by_distance(model, tokens, targets, pairs))


@torch.no_grad()
def _by_distance(model: SequenceModel, tokens: Tensor, targets: Tensor, pairs: int) -> Tensor:
    """Share of queries answered right by the distance to their pair in positions, (seeds, length); nan where none lies so far."""
    queries = tokens[:, 2 * pairs : 3 * pairs]
    keys = tokens[:, 0 : 2 * pairs : 2]
    place = 2 * (queries.unsqueeze(2) == keys.unsqueeze(1)).long().argmax(2)
    distance = torch.arange(2 * pairs, 3 * pairs, device=tokens.device) - place
    right = (model(tokens.expand(model.n_seeds, *tokens.shape)).argmax(-1) == targets)[:, :, 2 * pairs : 3 * pairs]
    ones = torch.zeros(model.n_seeds, tokens.shape[1], device=tokens.device)
    index = distance.flatten().expand(model.n_seeds, -1)
    return ones.scatter_add(1, index, right.flatten(1).float()) / ones.scatter_add(1, index, torch.ones_like(index, dtype=torch.float32))


def train_copying(settings: Settings, context: Context) -> None:
    """Copying: examples until 99 % of strings of the longest length are copied whole, and accuracy at longer lengths."""
    task, batch = settings.task, settings.training.batch

    def draw(generator: torch.Generator) -> Batch:
        return tasks.copying(batch, max(1, task.length // 2), task.length, task.vocabulary, generator)

    def held(length: int, split: str = "test") -> Batch:
        return tasks.copying(task.test_examples, length, length, task.vocabulary, context.generator(TEST_SEED, f"{split} copying {length}"))

    model = make_model(settings, context, task.vocabulary + 3, 2 * task.length + 1)
    _learn(settings, context, model, draw, held(task.length, "validation"), "string_accuracy", 2 * task.length + 1)
    _score_lengths(settings, context, model, held)


def _score_lengths(settings: Settings, context: Context, model: SequenceModel, held: Callable[[int], Batch]) -> None:
    """Accuracy of positions and of whole strings at the trained length and at longer ones, and the mean over the longer ones."""
    longer = []
    for length in (settings.task.length, *settings.task.longer):
        characters, strings = accuracies(model, *held(length))
        context.record("character_accuracy", characters, step=length)
        context.record("string_accuracy", strings, step=length)
        if length != settings.task.length:
            longer.append(characters)
    if longer:
        context.record("character_accuracy_longer", torch.stack(longer).mean(0))


def train_regular(settings: Settings, context: Context) -> None:
    """A regular language: its state after every symbol, at the trained length and at longer ones.

    With `examples`, every seed trains on that many fixed sequences, drawn anew for each seed; otherwise each is fresh.
    """
    task, batch, language = settings.task, settings.training.batch, settings.task.language
    pools: dict[torch.Generator, Batch] = {}
    made = [tasks.regular(language, task.examples, task.length, context.generator(s, "pool")) for s in context.seeds if task.examples]

    def draw(generator: torch.Generator) -> Batch:
        if not task.examples:
            return tasks.regular(language, batch, task.length, generator)
        tokens, targets = pools[generator]
        chosen = torch.randint(task.examples, (batch,), generator=generator, device=generator.device)
        return tokens[chosen], targets[chosen]

    def held(length: int, split: str = "test") -> Batch:
        return tasks.regular(language, task.test_examples, length, context.generator(TEST_SEED, f"{split} {language} {length}"))

    vocabulary = max(tasks.SYMBOLS[language], tasks.STATES[language])
    model = make_model(settings, context, vocabulary, task.length)
    fit = Fit(settings, context, model, draw)
    pools.update(zip(fit.data, made, strict=False))
    watched = held(task.length, "validation")
    fit.run(lambda step: context.record("accuracy", accuracies(model, *watched)[0], split="validation", step=step), length=task.length)
    examples, reached = _first_reached(context, "accuracy", task.target, batch, batch * settings.training.steps)
    context.record("examples_to_target", examples, unit="examples")
    context.record("target_reached", reached)
    _score_lengths(settings, context, model, held)
    context.record("accuracy", accuracies(model, *held(task.length))[0])
    if task.longer:
        longer = [row["value"] for row in context.rows if row["metric"] == "character_accuracy_longer"]
        context.record("accuracy_longer", longer)
