"""One run: read the data, compute features, train all seeds (and ensemble members) at once, decode, measure."""

from __future__ import annotations

import copy
import functools

from torch import nn

from replications.engine.context import Context
from replications.papers.show_and_tell import data, metrics, vision
from replications.papers.show_and_tell.data import Split
from replications.papers.show_and_tell.fused import CaptionerGroup
from replications.papers.show_and_tell.search import check_beam
from replications.papers.show_and_tell.settings import Settings
from replications.papers.show_and_tell.trainer import Task, Trainer
from replications.papers.show_and_tell.vision import Scale
from replications.papers.show_and_tell.vocabulary import Vocabulary


def run(settings: Settings, context: Context) -> None:
    """Train and measure one run, or score a baseline.

    Args:
        settings: of the run.
        context: gives seeds and device; receives records, artifacts and checkpoints.

    Raises:
        InputError: a beam is larger than the vocabulary.
    """
    splits = _read(settings, context)
    cnn = vision.build_cnn(context, settings.cnn)
    features = {name: vision.extract(context, cnn, settings.cnn, split) for name, split in splits.items()}
    if settings.mode != "train":
        metrics.record_baseline(context, settings, splits, features)
        return
    train = splits["train"]
    vocabulary = Vocabulary.build((caption for several in train.tokens for caption in several), settings.min_count)
    for beam in {settings.beam_size, *settings.beam_sizes}:
        check_beam(beam, len(vocabulary), 1)
    n_slots = len(context.seeds) * settings.ensemble_size
    moving = settings.cnn_training != "frozen"
    cnns = nn.ModuleList([copy.deepcopy(cnn) for _ in range(n_slots)] if moving else [cnn])
    task = Task(settings, splits, features, Scale.of(features["train"].vector), vocabulary, cnns)
    metrics.record_metrics(context, task, train_decoder(task, context))


def train_decoder(task: Task, context: Context) -> CaptionerGroup:
    """Train all slots, record scores of the last weights, and return the decoders with each slot's best weights.

    Args:
        task: data, features and CNNs.
        context: receives records and checkpoints.

    Returns:
        The decoders with the weights of the lowest validation loss of each slot.
    """
    trainer = Trainer(task, context)
    trainer.train()
    metrics.record_last_weights(context, task, trainer.model)
    trainer.best.restore()
    return trainer.model


def _read(settings: Settings, context: Context) -> dict[str, Split]:
    read = functools.partial(data.read_split, notes=context.data)
    train = read(settings.dataset, "train")
    splits = {
        "train": train.first(max(1, round(len(train) * settings.train_share))),
        "validation": read(settings.dataset, "validation").first(settings.validation_images),
        "test": read(settings.dataset, "test").first(settings.test_images),
    }
    if settings.broken:
        splits["broken"] = read("scenes", "broken").first(settings.test_images)
    for other in settings.transfer:
        splits[other] = read(other, "test").first(settings.test_images)
    return splits
