"""Training on synthetic tasks: recall, copying, selective copying and regular languages, evaluated on fixed held-out sequences."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from replications.engine.context import Context
from replications.papers.rnn_vs_transformer import tasks
from replications.papers.rnn_vs_transformer.model import SequenceModel
from replications.papers.rnn_vs_transformer.settings import Settings
from replications.papers.rnn_vs_transformer.tasks import IGNORED
from replications.papers.rnn_vs_transformer.trainer import Batch, Trainer, make_model

TEST_SEED = 1_000_003
"""Seed of the held-out sequences, equal for all runs of a task; validation and test sequences differ."""


@torch.no_grad()
def accuracies(model: SequenceModel, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the share of scored positions that are predicted correctly, and of sequences in which all of them are.

    Args:
        model: the networks of all seeds.
        tokens: int64 (batch, n), the same for every seed.
        targets: int64 (batch, n); positions with `IGNORED` are not scored.

    Returns:
        Both (seeds,), in [0, 1].
    """
    logits = model(tokens.expand(model.n_seeds, *tokens.shape))
    correct = logits.argmax(-1) == targets
    scored = targets != IGNORED
    return (correct & scored).sum((1, 2)) / scored.sum(), (correct | ~scored).all(2).float().mean(1)


def _examples_to_target(context: Context, metric: str, target: float, batch: int, budget: int) -> tuple[list[float], list[float]]:
    """Return when each seed's validation metric first reached the target.

    Args:
        context: holds the records.
        metric: name of the metric.
        target: value to reach.
        batch: examples per update.
        budget: returned for seeds that never reached the target.

    Returns:
        Number of training examples, and 1.0 (reached) or 0.0, one per seed.
    """
    examples, reached = [], []
    for seed in context.seeds:
        rows = [row for row in context.rows if row["seed"] == seed and row["metric"] == metric and row["split"] == "validation"]
        steps = [row["step"] for row in rows if row["value"] >= target]
        examples.append(float(batch * min(steps) if steps else budget))
        reached.append(float(bool(steps)))
    return examples, reached


def _train(
    settings: Settings,
    context: Context,
    model: SequenceModel,
    draw: Callable[[torch.Generator], Batch],
    validation: Batch,
    metric: str,
    length: int,
) -> None:
    """Train, record the validation metric during training, and record the number of examples to the target.

    Args:
        settings: settings of the run.
        context: receives the records.
        model: the networks of all seeds.
        draw: returns a training batch of one seed.
        validation: sequences and targets.
        metric: accuracy (of positions) or string_accuracy.
        length: tokens per sequence.
    """
    index = {"accuracy": 0, "string_accuracy": 1}[metric]

    def evaluate(step: int) -> None:
        context.record(metric, accuracies(model, *validation)[index], split="validation", step=step)

    Trainer(settings, context, model, draw).run(evaluate, length=length)
    budget = settings.training.batch_size * settings.training.n_steps
    examples, reached = _examples_to_target(context, metric, settings.task.target, settings.training.batch_size, budget)
    context.record("examples_to_target", examples, unit="examples")
    context.record("target_reached", reached)
    context.record("parameters", [float(model.n_parameters)] * len(context.seeds))


def train_recall(settings: Settings, context: Context) -> None:
    """Train on associative recall with all numbers of pairs mixed; record the accuracy of each, and by distance between pair and query.

    Args:
        settings: settings of the run.
        context: receives the records.
    """
    task, batch = settings.task, settings.training.batch_size
    choices = torch.tensor(task.pairs)

    def draw(generator: torch.Generator) -> Batch:
        pairs = int(choices[torch.randint(len(choices), (), generator=generator, device=generator.device)])
        return tasks.recall(batch, pairs, task.length, task.vocabulary, generator)

    def held_out(pairs: int, split: str = "test") -> Batch:
        return tasks.recall(
            task.test_examples, pairs, task.length, task.vocabulary, context.generator(TEST_SEED, f"{split} recall {pairs}")
        )

    model = make_model(settings, context, task.vocabulary + 1, task.length)
    _train(settings, context, model, draw, held_out(max(task.pairs), "validation"), "accuracy", task.length)
    for pairs in task.pairs:
        tokens, targets = held_out(pairs)
        context.record("accuracy", accuracies(model, tokens, targets)[0], axis="pairs", at=pairs)
        if pairs == max(task.pairs):
            context.record("accuracy_most", accuracies(model, tokens, targets)[0])
            context.artifact("accuracy_by_distance", _by_distance(model, tokens, targets, pairs))


@torch.no_grad()
def _by_distance(model: SequenceModel, tokens: Tensor, targets: Tensor, pairs: int) -> Tensor:
    """Return the share of queries answered correctly by the distance to their pair.

    Args:
        model: the networks of all seeds.
        tokens: int64 (batch, length).
        targets: int64 (batch, length).
        pairs: number of key-value pairs.

    Returns:
        (seeds, length); nan for distances that do not occur.
    """
    queries = tokens[:, 2 * pairs : 3 * pairs]
    keys = tokens[:, 0 : 2 * pairs : 2]
    key_position = 2 * (queries.unsqueeze(2) == keys.unsqueeze(1)).long().argmax(2)
    distance = torch.arange(2 * pairs, 3 * pairs, device=tokens.device) - key_position
    correct = (model(tokens.expand(model.n_seeds, *tokens.shape)).argmax(-1) == targets)[:, :, 2 * pairs : 3 * pairs]
    zeros = torch.zeros(model.n_seeds, tokens.shape[1], device=tokens.device)
    index = distance.flatten().expand(model.n_seeds, -1)
    return zeros.scatter_add(1, index, correct.flatten(1).float()) / zeros.scatter_add(
        1, index, torch.ones_like(index, dtype=torch.float32)
    )


def train_copying(settings: Settings, context: Context) -> None:
    """Train on copying; record the examples until 99 % of the longest strings are copied correctly, and the accuracy at longer lengths.

    Args:
        settings: settings of the run.
        context: receives the records.
    """
    task, batch = settings.task, settings.training.batch_size

    def draw(generator: torch.Generator) -> Batch:
        return tasks.copying(batch, max(1, task.length // 2), task.length, task.vocabulary, generator)

    def held_out(length: int, split: str = "test") -> Batch:
        return tasks.copying(task.test_examples, length, length, task.vocabulary, context.generator(TEST_SEED, f"{split} copying {length}"))

    model = make_model(settings, context, task.vocabulary + 3, 2 * task.length + 1)
    _train(settings, context, model, draw, held_out(task.length, "validation"), "string_accuracy", 2 * task.length + 1)
    _score_lengths(settings, context, model, held_out)


def train_selective(settings: Settings, context: Context) -> None:
    """Train on selective copying; record the share of letters and of whole strings that are copied correctly.

    Args:
        settings: settings of the run.
        context: receives the records.
    """
    task, batch = settings.task, settings.training.batch_size

    def draw(generator: torch.Generator) -> Batch:
        return tasks.selective_copying(batch, task.length, task.letters, task.vocabulary, generator)

    def held_out(split: str) -> Batch:
        generator = context.generator(TEST_SEED, f"{split} selective copying {task.length}")
        return tasks.selective_copying(task.test_examples, task.length, task.letters, task.vocabulary, generator)

    length = task.length + task.letters
    model = make_model(settings, context, task.vocabulary + 2, length)
    _train(settings, context, model, draw, held_out("validation"), "accuracy", length)
    letters, strings = accuracies(model, *held_out("test"))
    context.record("accuracy", letters)
    context.record("string_accuracy", strings)


def _score_lengths(settings: Settings, context: Context, model: SequenceModel, held_out: Callable[[int], Batch]) -> None:
    """Record the accuracy of positions and of whole strings at the trained and at longer lengths, and the mean over the longer ones.

    Args:
        settings: settings of the run.
        context: receives the records.
        model: the networks of all seeds.
        held_out: returns sequences and targets of a length.
    """
    longer = []
    for length in (settings.task.length, *settings.task.longer):
        characters, strings = accuracies(model, *held_out(length))
        context.record("character_accuracy", characters, axis="length", at=length)
        context.record("string_accuracy", strings, axis="length", at=length)
        if length != settings.task.length:
            longer.append(characters)
    if longer:
        context.record("character_accuracy_longer", torch.stack(longer).mean(0))


def train_regular(settings: Settings, context: Context) -> None:
    """Train on a regular language; record the accuracy of its predicted states, at the trained and at longer lengths.

    With `task.examples`, every seed trains on that many fixed sequences of its own; otherwise on new ones in every update.

    Args:
        settings: settings of the run.
        context: receives the records.
    """
    task, batch, language = settings.task, settings.training.batch_size, settings.task.language
    pools: dict[torch.Generator, Batch] = {}
    pool_batches = [
        tasks.regular(language, task.examples, task.length, context.generator(s, "pool")) for s in context.seeds if task.examples
    ]

    def draw(generator: torch.Generator) -> Batch:
        if not task.examples:
            return tasks.regular(language, batch, task.length, generator)
        tokens, targets = pools[generator]
        rows = torch.randint(task.examples, (batch,), generator=generator, device=generator.device)
        return tokens[rows], targets[rows]

    def held_out(length: int, split: str = "test") -> Batch:
        return tasks.regular(language, task.test_examples, length, context.generator(TEST_SEED, f"{split} {language} {length}"))

    vocabulary = max(tasks.SYMBOLS[language], tasks.STATES[language])
    model = make_model(settings, context, vocabulary, task.length)
    trainer = Trainer(settings, context, model, draw)
    pools.update(zip(trainer.data, pool_batches, strict=False))
    validation = held_out(task.length, "validation")
    trainer.run(
        lambda step: context.record("accuracy", accuracies(model, *validation)[0], split="validation", step=step), length=task.length
    )
    examples, is_reached = _examples_to_target(context, "accuracy", task.target, batch, batch * settings.training.n_steps)
    context.record("examples_to_target", examples, unit="examples")
    context.record("target_reached", is_reached)
    _score_lengths(settings, context, model, held_out)
    context.record("accuracy", accuracies(model, *held_out(task.length))[0])
    if task.longer:
        longer = [row["value"] for row in context.rows if row["metric"] == "character_accuracy_longer"]
        context.record("accuracy_longer", longer)
