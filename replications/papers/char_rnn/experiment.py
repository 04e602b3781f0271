"""Train the networks of a run in parallel, evaluate them on held-out text, and analyse some of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from replications.engine.context import Context
from replications.engine.text import Corpus, load_corpus
from replications.engine.training import train
from replications.papers.char_rnn.analysis import Analysis, known_words
from replications.papers.char_rnn.breakdown import word_counts
from replications.papers.char_rnn.data import CORPORA
from replications.papers.char_rnn.inference import log_probabilities
from replications.papers.char_rnn.sampling import sample
from replications.papers.char_rnn.settings import Network, Settings
from replications.papers.char_rnn.trainer import ModelGroup

Losses = Mapping[tuple[str, int], float]
"""(network, seed) -> cross-entropy in nats per character."""
SAMPLED = 300
"""Characters of a sample along training."""
WIN = 0.03
"""Nats by which a gated network must beat the tanh RNN for the comparison to count (claim gated-beats-plain)."""


def run(settings: Settings, context: Context) -> None:
    """Train, evaluate, analyse and record one chunk of a run.

    Args:
        settings: of the run.
        context: seeds, device, data and records.
    """
    corpus = load_corpus(settings.corpus, CORPORA, context.load)
    analysis = Analysis(context, settings, corpus)
    if settings.models:
        group = ModelGroup(context, settings, corpus)
        train_models(settings, context, corpus, group)
        for name in settings.analysed:
            analysis.of(name, group.of(name))
    if "ngrams" in settings.analyses:
        analysis.record_ngrams()


def train_models(settings: Settings, context: Context, corpus: Corpus, group: ModelGroup) -> None:
    """Train every network, keep its weights with the lowest validation loss, and record the test cross-entropy of best and last weights.

    Args:
        settings: settings of the run.
        context: seeds and device; receives the records.
        corpus: the text.
        group: the networks of all seeds.
    """
    limit = settings.evaluation_characters
    validation = corpus.tokens("validation", context.device)[:limit]
    test = corpus.tokens("test", context.device)[:limit]
    known = set(word_counts(corpus.train)) if "samples" in settings.analyses else set()

    def evaluate(step: int) -> None:
        losses = {(t.name, t.seed): -float(log_probabilities(t.model, validation)[1:].mean()) for t in group.trainees}
        group.keep_best(losses)
        _record(context, settings, "cross_entropy", losses, split="validation", step=step)
        for name in settings.analysed if "samples" in settings.analyses else ():
            texts = {}
            for trainee in group.of(name):
                generator = context.generator(trainee.seed, f"sample at step {step}", device="cpu")
                texts[trainee.seed] = sample(trainee.model, corpus.vocabulary, SAMPLED, generator=generator)
            for key, value in (("sample_steps", step), ("samples", texts[context.seeds[0]])):
                array = f"{key}.{name}"
                context.artifact(array, np.append(context.arrays[array], value) if array in context.arrays else np.array([value]))
            shares = [known_words(texts[seed], known) for seed in context.seeds]
            context.record("known_words", shares, split="train", step=step, model=name)

    evaluate(0)
    train(
        context,
        group.update,
        n_steps=group.n_steps,
        state={"networks": group, "vocabulary": corpus.vocabulary},
        examples_per_step=settings.batch_size * len(group.trainees),
        tokens_per_step=settings.batch_size * settings.seq_len * len(group.trainees),
        flops_per_step=group.flops_per_step,
        evaluate=evaluate,
        evaluate_every=max(1, -(-group.n_steps // settings.evaluations)),
    )

    def test_losses() -> Losses:
        return {(t.name, t.seed): -float(log_probabilities(t.model, test)[1:].mean()) for t in group.trainees}

    _record(context, settings, "cross_entropy_last", test_losses(), step=group.n_steps)
    for trainee in group.trainees:
        trainee.best.restore()
    best = test_losses()
    _record(context, settings, "cross_entropy", best, step=group.n_steps)
    _record_comparisons(settings, context, group, best)
    for name in settings.models:
        model = group.of(name)[0].model
        parameters = float(sum(p.numel() for p in model.parameters()))
        for metric, value in (("parameters", parameters), ("hidden", float(model.hidden))):
            context.record(metric, [value] * len(context.seeds), model=name, step=group.n_steps)


def _record_comparisons(settings: Settings, context: Context, group: ModelGroup, losses: Losses) -> None:
    """Record what concerns a whole row: means over depths, wins at equal depth, the network that validation text would choose."""
    step = group.n_steps
    networks = {name: Network.parse(name) for name in settings.models}
    families = {cell: [name for name, network in networks.items() if network.cell == cell] for cell in ("lstm", "gru", "rnn")}

    def pairs(cell: str, other: str) -> list[tuple[str, str]]:
        """Return the networks of two kinds of cell with equal numbers of layers."""
        return [(a, b) for a in families[cell] for b in families[other] if networks[a].layers == networks[b].layers]

    for seed in context.seeds:

        def loss(name: str, seed: int = seed) -> float:
            return losses[name, seed]

        for cell, names in families.items():
            if len(names) > 1:
                mean = float(np.mean([loss(name) for name in names]))
                context.record("mean_cross_entropy", mean, model=cell, step=step, unit="nats/char", seed=seed)
        against_plain = [*pairs("lstm", "rnn"), *pairs("gru", "rnn")]
        against_gru = pairs("lstm", "gru")
        if against_plain:
            wins = np.mean([loss(plain) - loss(gated) >= WIN for gated, plain in against_plain])
            context.record("gated_wins", float(wins), step=step, seed=seed)
        if against_gru:
            context.record("lstm_wins", float(np.mean([loss(lstm) < loss(gru) for lstm, gru in against_gru])), step=step, seed=seed)
        if {"lstm-2", "lstm-3"} <= set(settings.models):
            context.record("third_layer_gain", loss("lstm-2") - loss("lstm-3"), step=step, unit="nats/char", seed=seed)
        chosen = min((t for t in group.trainees if t.seed == seed), key=lambda t: t.best.losses.item())
        context.record("best_cross_entropy", loss(chosen.name), step=step, unit="nats/char", seed=seed)


def _record(context: Context, settings: Settings, metric: str, values: Losses, *, split: str = "test", step: int) -> None:
    """Record one value for each network and seed, in nats per character."""
    for name in settings.models:
        per_seed = [values[name, seed] for seed in context.seeds]
        context.record(metric, per_seed, model=name, split=split, step=step, unit="nats/char")
