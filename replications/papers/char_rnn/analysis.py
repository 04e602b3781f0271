"""Measurements after training, network by network: n-grams, errors, brackets, gates, cells, samples."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch

from replications.engine.context import Context
from replications.engine.text import Corpus
from replications.papers.char_rnn import breakdown, cells, clamping
from replications.papers.char_rnn.inference import activations, log_probabilities
from replications.papers.char_rnn.labels import Labels, label
from replications.papers.char_rnn.ngrams import KneserNey
from replications.papers.char_rnn.sampling import sample
from replications.papers.char_rnn.settings import Network, Settings
from replications.papers.char_rnn.trainer import TrainingState
from replications.verdicts.statistics import holm

DISTANCES = (0, 20, 60, 100, 300, 1000)
"""Bounds of the bins in which Figure 5's gain over the 20-gram is summed up."""
SINCE = (0, 8, 16, 32, 48, 64, 100, 150, 250, 500)
"""Bounds of the bins, in characters since the opening, in which a cell's memory is shown."""
SATURATED = 0.1
"""A gate below this is closed (left-saturated), above 1 - this open (right-saturated): section 4.3."""
EXPLORED = 4000
"""Characters of text that the explorer shows."""
CLAMPED = {"prose": ("quote", '"'), "c": ("comment", "/"), "cpp": ("comment", "\n"), "python": ("string", '"')}
"""The label whose cell is clamped, and the character that mostly ends it."""
OTHERS = 8
"""Cells clamped for comparison with the chosen one."""
READABLE, CONTROL, SIGNIFICANT = 0.8, 0.7, 0.05
"""A unit counts as readable in the records when its score, moved labels, the untrained network and Holm's p all agree."""


NGRAM = "ngram"
"""Name of the n-gram model in the records."""


class Analysis:
    """The analyses of one run, and what they share: the held-out text, its labels, the n-grams.

    Args:
        context: receives records and artifacts.
        settings: of the run.
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
        """Probability of every test character under every order of n-gram, shape (max_order, n)."""
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
        """Record the test cross-entropy of every order, and of the order that is best on validation text."""
        losses = -np.log(self.ngrams[:, 1:]).mean(axis=1)
        for order, loss in enumerate(losses, start=1):
            repeated = [loss] * len(self.context.seeds)
            self._record("cross_entropy", repeated, NGRAM, "nats/char", axis="order", at=order)
        self._record("best_cross_entropy", [losses[self._best_order - 1]] * len(self.context.seeds), NGRAM, "nats/char")

    def of(self, name: str, trainees: Sequence[TrainingState]) -> None:
        """Make the analyses that were asked for on one network.

        Args:
            name: of the network.
            trainees: its training states, one per seed.
        """
        wanted = self.settings.analyses
        probability = np.stack([np.exp(log_probabilities(t.model, self.test).cpu().numpy()) for t in trainees])
        if "errors" in wanted:
            self.errors(name, probability)
        if "brackets" in wanted:
            self.brackets(name, probability)
        if "gates" in wanted and Network.parse(name).cell == "lstm":
            self.gates(name, trainees)
        if "cells" in wanted:
            self.units(name, trainees)
        if "samples" in wanted:
            self.temperatures(name, trainees)

    def errors(self, name: str, probability: np.ndarray) -> None:
        """Record the number of characters that got less than half of the probability, by what would have repaired them (section 4.4).

        Args:
            name: of the network.
            probability: of every test character, shape (seeds, n).
        """
        trained = breakdown.word_counts(self.corpus.train)
        kinds = np.stack([breakdown.errors_by_kind(self.text, p, self.ngrams, trained) for p in probability])
        self._record("scored_characters", [kinds.shape[1]] * len(kinds), name)
        self._record("errors", (kinds >= 0).sum(axis=1), name)
        for index, kind in enumerate(breakdown.KINDS):
            self._record(f"errors_{kind}", (kinds == index).sum(axis=1), name)

    def brackets(self, name: str, probability: np.ndarray) -> None:
        """Record the probability of a closing bracket against the longest n-gram, by the distance to its opening (Figure 5).

        Args:
            name: of the network.
            probability: of every test character, shape (seeds, n).
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
            chosen = (distance > low) & (distance <= high)
            if chosen.any():
                self._record("bracket_gain", (ours - ngram)[:, chosen].mean(axis=1), name, axis="distance", at=high)

    def gates(self, name: str, trainees: Sequence[TrainingState]) -> None:
        """Record the share of time for which each gate is shut or open, and the cells that forget nothing or all (section 4.3).

        Args:
            name: of an LSTM.
            trainees: its training states, one per seed.
        """
        tokens = self.test[: self.settings.probe_characters]
        found = [activations(t.model, tokens, ("input", "forget", "output")) for t in trainees]
        shares = {}
        for gate in ("input", "forget", "output"):
            values = torch.stack([each[gate] for each in found])  # (seeds, layers, n, hidden)
            shut, opened = (values < SATURATED).float().mean(2), (values > 1 - SATURATED).float().mean(2)
            shares[gate] = torch.stack([shut, opened], dim=-1).cpu().numpy()
            self.context.artifact(f"saturation.{gate}.{name}", shares[gate])
        for layer in range(shares["forget"].shape[1]):
            self._record("forget_gate_open", shares["forget"][:, layer, :, 1].mean(axis=1), name, axis="layer", at=layer + 1)
        self._record("integrators", (shares["forget"][..., 1] > 1 - SATURATED).sum(axis=(1, 2)), name)
        self._record("feed_forward", (shares["forget"][..., 0] > 1 - SATURATED).sum(axis=(1, 2)), name)

    def units(self, name: str, trainees: Sequence[TrainingState]) -> None:
        """Score every unit against every label: chosen on validation text, scored on test text, with both controls (section 4.2).

        Args:
            name: of the network.
            trainees: its training states, one per seed.
        """
        n = min(self.settings.probe_characters, len(self.corpus.validation), len(self.corpus.test))
        selection_text, scoring_text = self.corpus.validation[:n], self.corpus.test[:n]
        selected, scored = label(selection_text, self.corpus.language), label(scoring_text, self.corpus.language)
        arrays: dict[str, list[np.ndarray]] = {}
        for trainee in trainees:
            self.context.progress.say(f"{name}: scoring every unit against {len(selected.binary) + len(selected.graded)} labels")
            trained, control = self._probed(trainee, n), self._probed(trainee, n, untrained=True)
            generator = self.context.generator(trainee.seed, "shuffled labels", device="cpu")
            guard = min(cells.GUARD, n // 4)
            shifts = torch.randint(guard, n - guard, (2,), generator=generator).tolist()
            moved = [cells.shifted_labels(each, shift) for each, shift in zip((selected, scored), shifts, strict=True)]
            probes = trained.probes(selected, scored)
            shuffled = trained.probes(*moved, permute=False)
            untrained = control.probes(selected, scored, permute=False)
            del control
            one: dict[str, np.ndarray] = {}
            for key, probe in probes.items():
                worst = np.full_like(probe.score, untrained[key].score.max())
                one |= {f"score.{key}": probe.score, f"shuffled.{key}": shuffled[key].score, f"untrained.{key}": worst, f"p.{key}": probe.p}
                one |= {f"selection.{key}": probe.selection, f"auc.{key}": probe.auc, f"chosen.{key}": np.array(probe.best)}
            binary = list(selected.binary)
            for what, pick in (("score", np.max), ("shuffled", np.max), ("untrained", np.max), ("p", np.min)):
                one[f"{what}.any"] = pick([one[f"{what}.{key}"] for key in binary], axis=0)
            for key, probe in probes.items():
                passes = (probe.score >= READABLE) & (shuffled[key].score < CONTROL) & (untrained[key].score.max() < CONTROL)
                self._record_one(trainee, f"readable_{key}", (passes & (holm(probe.p) <= SIGNIFICANT)).sum())
            one["p.any"] = (one["p.any"] * len(binary)).clip(max=1.0)  # the best of several labels was taken
            one |= self._memory(trained, probes, scored)
            for key, probe in probes.items():
                self._record_one(trainee, f"unit_score_{key}", probe.score[probe.best])
                self._record_one(trainee, f"shuffled_score_{key}", shuffled[key].score[shuffled[key].best])
                self._record_one(trainee, f"untrained_score_{key}", untrained[key].score.max())
            for key in binary:
                self._record_one(trainee, f"beyond_window_{key}", one[f"beyond.{key}"])
                self._record_one(trainee, f"shuffled_beyond_{key}", one[f"shuffled_beyond.{key}"])
            if trainee.model.cell == "lstm":
                one |= self._clamped(trainee, trained, probes, scored)
            for key, value in one.items():
                arrays.setdefault(key, []).append(np.asarray(value))
            if trainee is trainees[0]:
                self._explorer(name, trained, scored, scoring_text)
        for key, values in arrays.items():
            self.context.artifact(f"{key}.{name}", np.stack(values))
        self.context.artifact(f"held_edges.{name}", np.array(SINCE))

    def _probed(self, trainee: TrainingState, n: int, *, untrained: bool = False) -> cells.Units:
        """Return activations of the units of all layers on both texts: tanh(c) of an LSTM, as the paper draws it, else h."""
        key = "c" if trainee.model.cell == "lstm" else "h"
        if untrained:
            trainee.model.load_state_dict(trainee.initial)
        texts = []
        for split in ("validation", "test"):
            values = activations(trainee.model, self.corpus.tokens(split, self.context.device)[:n], (key,))[key]
            values = torch.cat(list(values), dim=1)
            texts.append(values.tanh() if key == "c" else values)
        trainee.best.restore()
        return cells.Units(*texts)

    def _memory(self, trained: cells.Units, probes: dict[str, cells.Probe], scored: Labels) -> dict[str, np.ndarray]:
        """Return, for the chosen unit of each binary label, the share of open characters it tells, by time since the opening."""
        result = {}
        window = 3 * self.settings.seq_len // 2
        for key, inside in scored.binary.items():
            probe, since = probes[key], scored.since[key]
            on = trained.on(probe)
            result[f"held.{key}"] = cells.held(on, inside, since, list(SINCE))
            result[f"false_alarms.{key}"] = on[~inside].mean()
            late = inside & (since >= window)
            result[f"beyond.{key}"] = np.asarray((on[late].mean() + 1 - on[~inside].mean()) / 2 if late.any() else 0.5)
            # The control: the same unit and rule where the labels are moved half-way round the text.
            moved, moved_late = np.roll(inside, len(inside) // 2), np.roll(late, len(inside) // 2)
            result[f"shuffled_beyond.{key}"] = np.asarray((on[moved_late].mean() + 1 - on[~moved].mean()) / 2 if late.any() else 0.5)
        return result

    def _clamped(
        self, trainee: TrainingState, trained: cells.Units, probes: dict[str, cells.Probe], scored: Labels
    ) -> dict[str, np.ndarray]:
        """Clamp the chosen cell of one label to its mean outside the label, and other cells likewise; return the losses."""
        hidden, vocabulary = trainee.model.hidden, self.corpus.vocabulary.characters
        key, ending = CLAMPED[self.corpus.language]
        inside = scored.binary[key]
        generator = self.context.generator(trainee.seed, "clamped units", device="cpu")
        others = [int(u) for u in torch.randperm(len(trained.scoring), generator=generator)[: OTHERS + 1] if u != probes[key].best]
        elsewhere = torch.from_numpy(~inside).to(trained.scoring.device)
        outside = trained.scoring[:, elsewhere].double().mean(1).clamp(-0.999, 0.999).arctanh()
        units = [probes[key].best, *others[:OTHERS]]
        held = [None, *((unit // hidden, unit % hidden, float(outside[unit])) for unit in units)]
        closing = vocabulary.find(ending)
        tokens = self.test[: len(inside)]
        clamped = clamping.clamp(trainee.model, tokens, torch.from_numpy(inside).to(tokens.device), held, max(closing, 0))
        within = inside.copy()
        within[0] = False
        cost = -(clamped.log_probability[:, within].mean(axis=1))
        closes = clamped.closing[:, inside].mean(axis=1)
        for what, values in (("loss", cost), ("closing", closes)):
            for condition, value in (("free", values[0]), ("clamped", values[1]), ("others", values[2:].mean())):
                self._record_one(trainee, f"{what}_{condition}_{key}", value)
        return {"clamped_loss": cost, "clamped_closing": closes}

    def _explorer(self, name: str, trained: cells.Units, scored: Labels, text: str) -> None:
        """Store the stretch of the scoring text where labels change most, and the activation of every unit on it in 255 steps."""
        changes = sum(np.abs(np.diff(values.astype(np.int8), prepend=0)) for values in scored.binary.values())
        length = min(EXPLORED, len(text))
        totals = np.convolve(np.asarray(changes, dtype=np.float64), np.ones(length), mode="valid")
        start = int(totals.argmax())
        window = slice(start, start + length)
        steps = ((trained.scoring[:, window].clamp(-1, 1) + 1) * 127).round().to(torch.uint8)
        self.context.artifact(f"explorer_text.{name}", np.frombuffer(text[window].encode("latin-1"), dtype=np.uint8))
        self.context.artifact(f"explorer_units.{name}", steps)
        for key, values in (scored.binary | scored.graded).items():
            self.context.artifact(f"explorer_label.{key}.{name}", values[window].astype(np.int32))

    def temperatures(self, name: str, trainees: Sequence[TrainingState]) -> None:
        """Record known words and repetition of samples by temperature; 0 is greedy choice.

        Args:
            name: of the network.
            trainees: its training states, one per seed.
        """
        known = set(breakdown.word_counts(self.corpus.train))
        for temperature in (0.0, 0.5, 1.0):
            words, repeats = [], []
            for trainee in trainees:
                generator = self.context.generator(trainee.seed, f"sample at {temperature}", device="cpu")
                text = sample(trainee.model, self.corpus.vocabulary, 1000, temperature=temperature, generator=generator)
                words.append(known_words(text, known))
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

    def _record_one(self, trainee: TrainingState, metric: str, value: float | np.ndarray) -> None:
        """Record the value of one seed of one network on the test split."""
        self.context.record(metric, float(value), model=trainee.name, seed=trainee.seed)


def known_words(text: str, known: set[str]) -> float:
    """Return the share of a sample's words of three letters or more that occur in the training text; 0 where it has no such word.

    Args:
        text: the sample.
        known: words of the training text.
    """
    words = [word for word in breakdown.word_counts(text).elements() if len(word) >= 3]
    return sum(word in known for word in words) / len(words) if words else 0.0


def repetition(text: str, order: int = 20) -> float:
    """Return the share of a text's n-grams that occurred earlier in it.

    Args:
        text: the sample.
        order: length of the n-grams in characters.
    """
    grams = [text[i : i + order] for i in range(len(text) - order + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
