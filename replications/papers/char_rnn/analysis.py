"""Analyses of each trained network: n-grams, errors, brackets, gates, cells, samples."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch

from replications.engine.context import Context
from replications.engine.text import Corpus
from replications.papers.char_rnn import breakdown
from replications.papers.char_rnn.inference import activations, log_probabilities
from replications.papers.char_rnn.labels import Labels, label
from replications.papers.char_rnn.ngrams import KneserNey
from replications.papers.char_rnn.sampling import sample
from replications.papers.char_rnn.settings import Network, Settings
from replications.papers.char_rnn.trainer import TrainingState
from replications.papers.char_rnn.unit_analysis import UnitAnalysis

DISTANCES = (0, 20, 60, 100, 300, 1000)
"""Bounds of the bins, in characters, over which the gain over the 20-gram is averaged (Figure 5)."""
SATURATED = 0.1
"""A gate below this value is left-saturated (closed), above 1 minus this value right-saturated (open): section 4.3."""

NGRAM = "ngram"
"""Name of the n-gram model in the records."""


class Analysis:
    """The analyses of one run, with what they share: held-out text, its labels and the n-gram probabilities.

    Args:
        context: receives records and artifacts.
        settings: settings of the run.
        corpus: the text.
    """

    def __init__(self, context: Context, settings: Settings, corpus: Corpus) -> None:
        self.context, self.settings, self.corpus = context, settings, corpus
        self.test = corpus.tokens("test", context.device)[: settings.evaluation_characters]
        self.text = corpus.test[: settings.evaluation_characters]
        self._ngrams: np.ndarray | None = None
        self._labels: Labels | None = None

    @property
    def labels(self) -> Labels:
        """Ground truth of the test text."""
        self._labels = self._labels or label(self.text, self.corpus.language)
        return self._labels

    @property
    def ngrams(self) -> np.ndarray:
        """Probability of every test character under every order of n-gram, (max_order, n)."""
        if self._ngrams is None:
            self.context.progress.say(f"counting n-grams up to {self.settings.max_order}")
            train = self.corpus.tokens("train", self.context.device)
            validation = self.corpus.tokens("validation", self.context.device)
            model = KneserNey(train, len(self.corpus.vocabulary), self.settings.max_order)
            history = torch.cat([train, validation])[-self.settings.max_order :]
            self._ngrams = model.probabilities(self.test, history).cpu().numpy()
            limit = self.settings.evaluation_characters
            held_out = model.probabilities(validation[:limit], train[-self.settings.max_order :]).log()[:, 1:].mean(1)
            self._best_order = int(held_out.argmax()) + 1
        return self._ngrams

    def record_ngrams(self) -> None:
        """Record the test cross-entropy of every order, and of the order with the lowest validation cross-entropy."""
        losses = -np.log(self.ngrams[:, 1:]).mean(axis=1)
        for order, loss in enumerate(losses, start=1):
            repeated = [loss] * len(self.context.seeds)
            self._record("cross_entropy", repeated, NGRAM, "nats/char", axis="order", at=order)
        self._record("best_cross_entropy", [losses[self._best_order - 1]] * len(self.context.seeds), NGRAM, "nats/char")

    def of(self, name: str, trainees: Sequence[TrainingState]) -> None:
        """Run the requested analyses on one network.

        Args:
            name: name of the network.
            trainees: its training states, one per seed.
        """
        wanted = self.settings.analyses
        probability = np.stack([np.exp(log_probabilities(t.model, self.test).cpu().numpy()) for t in trainees])
        if "errors" in wanted:
            self.record_errors(name, probability)
        if "brackets" in wanted:
            self.record_brackets(name, probability)
        if "gates" in wanted and Network.parse(name).cell == "lstm":
            self.record_gates(name, trainees)
        if "cells" in wanted:
            UnitAnalysis(self.context, self.settings, self.corpus).record(name, trainees)
        if "samples" in wanted:
            self.record_temperatures(name, trainees)

    def record_errors(self, name: str, probability: np.ndarray) -> None:
        """Record the number of errors (probability below 0.5) by the kind that explains them (section 4.4).

        Args:
            name: name of the network.
            probability: probability of every test character, (seeds, n).
        """
        trained = breakdown.word_counts(self.corpus.train)
        kinds = np.stack([breakdown.errors_by_kind(self.text, p, self.ngrams, trained) for p in probability])
        self._record("scored_characters", [kinds.shape[1]] * len(kinds), name)
        self._record("errors", (kinds >= 0).sum(axis=1), name)
        for index, kind in enumerate(breakdown.KINDS):
            self._record(f"errors_{kind}", (kinds == index).sum(axis=1), name)

    def record_brackets(self, name: str, probability: np.ndarray) -> None:
        """Record the probability of closing brackets against the longest n-gram, by the distance to the opening bracket (Figure 5).

        Args:
            name: name of the network.
            probability: probability of every test character, (seeds, n).
        """
        pairs = self.labels.brackets
        if self.corpus.language in ("c", "cpp"):
            pairs = pairs[[self.text[closing] == "}" for closing, _ in pairs]]
        closing, distance = pairs[:, 0], pairs[:, 0] - pairs[:, 1]
        ours, ngram = probability[:, closing], self.ngrams[-1, closing]
        self.context.artifact(f"bracket_distance.{name}", np.repeat(distance[None], len(ours), axis=0))
        self.context.artifact(f"bracket_ngram.{name}", np.repeat(ngram[None], len(ours), axis=0).astype(np.float32))
        self.context.artifact(f"bracket_network.{name}", ours.astype(np.float32))
        for low, high in itertools.pairwise(DISTANCES):
            in_bin = (distance > low) & (distance <= high)
            if in_bin.any():
                self._record("bracket_gain", (ours - ngram)[:, in_bin].mean(axis=1), name, axis="distance", at=high)

    def record_gates(self, name: str, trainees: Sequence[TrainingState]) -> None:
        """Record the share of time each gate is saturated, and the number of cells that never forget or always forget (section 4.3).

        Args:
            name: name of an LSTM.
            trainees: its training states, one per seed.
        """
        tokens = self.test[: self.settings.probe_characters]
        gates_by_seed = [activations(t.model, tokens, ("input", "forget", "output")) for t in trainees]
        shares = {}
        for gate in ("input", "forget", "output"):
            values = torch.stack([gates[gate] for gates in gates_by_seed])  # (seeds, layers, n, hidden)
            left_saturated, right_saturated = (values < SATURATED).float().mean(2), (values > 1 - SATURATED).float().mean(2)
            shares[gate] = torch.stack([left_saturated, right_saturated], dim=-1).cpu().numpy()
            self.context.artifact(f"saturation.{gate}.{name}", shares[gate])
        for layer in range(shares["forget"].shape[1]):
            self._record("forget_gate_open", shares["forget"][:, layer, :, 1].mean(axis=1), name, axis="layer", at=layer + 1)
        self._record("integrators", (shares["forget"][..., 1] > 1 - SATURATED).sum(axis=(1, 2)), name)
        self._record("feed_forward", (shares["forget"][..., 0] > 1 - SATURATED).sum(axis=(1, 2)), name)

    def record_temperatures(self, name: str, trainees: Sequence[TrainingState]) -> None:
        """Record known words and repetition of samples by temperature; 0 is greedy decoding.

        Args:
            name: name of the network.
            trainees: its training states, one per seed.
        """
        training_words = set(breakdown.word_counts(self.corpus.train))
        for temperature in (0.0, 0.5, 1.0):
            words, repeats = [], []
            for trainee in trainees:
                generator = self.context.generator(trainee.seed, f"sample at {temperature}", device="cpu")
                text = sample(trainee.model, self.corpus.vocabulary, 1000, temperature=temperature, generator=generator)
                words.append(known_words(text, training_words))
                repeats.append(repetition(text))
                if trainee is trainees[0]:
                    self.context.artifact(f"sample_at_{temperature}.{name}", np.asarray(text))
            self._record("known_words", words, name, axis="temperature", at=temperature)
            self._record("repetition", repeats, name, axis="temperature", at=temperature)

    def _record(
        self,
        metric: str,
        values: Sequence[float] | np.ndarray,
        model: str,
        unit: str = "",
        *,
        axis: str = "",
        at: float | None = None,
    ) -> None:
        """Record one value per seed of one network on the test split."""
        self.context.record(metric, np.asarray(values, dtype=float), model=model, unit=unit, axis=axis, at=at)


def known_words(text: str, training_words: set[str]) -> float:
    """Return the share of a sample's words of three letters or more that occur in the training text; 0 without such a word.

    Args:
        text: the sample.
        training_words: words of the training text.

    Returns:
        Share in [0, 1].
    """
    words = [word for word in breakdown.word_counts(text).elements() if len(word) >= 3]
    return sum(word in training_words for word in words) / len(words) if words else 0.0


def repetition(text: str, order: int = 20) -> float:
    """Return the share of a text's n-grams that occurred earlier in it.

    Args:
        text: the sample.
        order: length of the n-grams in characters.

    Returns:
        Share in [0, 1]; 0 for a text shorter than `order`.
    """
    grams = [text[i : i + order] for i in range(len(text) - order + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
