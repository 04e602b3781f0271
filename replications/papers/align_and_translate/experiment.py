"""One run: read the pairs, train the networks of all seeds, translate, measure."""

from __future__ import annotations

from replications.engine.context import Context
from replications.papers.align_and_translate.data import LANGUAGES, read_pairs
from replications.papers.align_and_translate.evaluation import record_metrics
from replications.papers.align_and_translate.settings import Settings
from replications.papers.align_and_translate.trainer import Task, Trainer
from replications.papers.align_and_translate.vocabulary import Vocabulary


def run(settings: Settings, context: Context) -> None:
    """Train and measure one run.

    Args:
        settings: of the run.
        context: gives seeds and device; receives records, artifacts and checkpoints.
    """
    pairs = read_pairs(settings, context.load)
    source, target = LANGUAGES[settings.dataset]
    # From all training pairs, so that networks trained on up to 30 and up to 50 words know the same words.
    vocabularies = (
        Vocabulary.build(source, pairs["train"].source, settings.vocabulary_size),
        Vocabulary.build(target, pairs["train"].target, settings.vocabulary_size),
    )
    task = Task(settings, pairs, vocabularies)
    trainer = Trainer(task, context)
    trainer.train()
    record_metrics(context, task, trainer.model)
