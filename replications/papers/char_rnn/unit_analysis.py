"""Interpretable units of each trained network: scores against labels, memory, and the effect of clamping (section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from replications.engine.context import Context
from replications.engine.text import Corpus
from replications.papers.char_rnn import cells, clamping
from replications.papers.char_rnn.inference import activations
from replications.papers.char_rnn.labels import Labels, label
from replications.papers.char_rnn.settings import Settings
from replications.papers.char_rnn.trainer import TrainingState
from replications.verdicts.multiplicity import holm

SINCE = (0, 8, 16, 32, 48, 64, 100, 150, 250, 500)
"""Bounds of the bins, in characters since the opening, in which a cell's memory is measured."""
EXPLORED = 4000
"""Characters of text stored for the cell explorer."""
CLAMPED = {"prose": ("quote", '"'), "c": ("comment", "/"), "cpp": ("comment", "\n"), "python": ("string", '"')}
"""By language, the label whose cell is clamped and the character that usually ends it."""
OTHERS = 8
"""Number of randomly selected cells that are clamped for comparison."""
READABLE, CONTROL, SIGNIFICANT = 0.8, 0.7, 0.05
"""Smallest score of a readable unit, largest score in both controls (shifted labels, untrained network), largest p after Holm."""


class UnitAnalysis:
    """The search for interpretable units in the networks of one run.

    Args:
        context: receives records and artifacts.
        settings: settings of the run.
        corpus: the text.
    """

    def __init__(self, context: Context, settings: Settings, corpus: Corpus) -> None:
        self.context, self.settings, self.corpus = context, settings, corpus

    def record(self, name: str, trainees: Sequence[TrainingState]) -> None:
        """Record every unit's score for every label, selected on validation and scored on test text, with both controls (section 4.2).

        Args:
            name: name of the network.
            trainees: its training states, one per seed.
        """
        n = min(self.settings.probe_characters, len(self.corpus.validation), len(self.corpus.test))
        selection_text, scoring_text = self.corpus.validation[:n], self.corpus.test[:n]
        selected, scored = label(selection_text, self.corpus.language), label(scoring_text, self.corpus.language)
        arrays: dict[str, list[np.ndarray]] = {}
        for trainee in trainees:
            self.context.progress.say(f"{name}: scoring every unit against {len(selected.binary) + len(selected.graded)} labels")
            units, untrained_units = self._unit_activations(trainee, n), self._unit_activations(trainee, n, untrained=True)
            generator = self.context.generator(trainee.seed, "shuffled labels", device="cpu")
            guard = min(cells.GUARD, n // 4)
            shifts = torch.randint(guard, n - guard, (2,), generator=generator).tolist()
            shifted = [cells.shifted_labels(each, shift) for each, shift in zip((selected, scored), shifts, strict=True)]
            probes = units.probes(selected, scored)
            shuffled = units.probes(*shifted, permute=False)
            untrained = untrained_units.probes(selected, scored, permute=False)
            del untrained_units
            by_name: dict[str, np.ndarray] = {}
            for key, probe in probes.items():
                best_untrained = np.full_like(probe.score, untrained[key].score.max())
                by_name |= {
                    f"score.{key}": probe.score,
                    f"shuffled.{key}": shuffled[key].score,
                    f"untrained.{key}": best_untrained,
                    f"p.{key}": probe.p,
                }
                by_name |= {f"selection.{key}": probe.selection, f"auc.{key}": probe.auc, f"chosen.{key}": np.array(probe.best)}
            binary = list(selected.binary)
            for quantity, reduce in (("score", np.max), ("shuffled", np.max), ("untrained", np.max), ("p", np.min)):
                by_name[f"{quantity}.any"] = reduce([by_name[f"{quantity}.{key}"] for key in binary], axis=0)
            for key, probe in probes.items():
                passes = (probe.score >= READABLE) & (shuffled[key].score < CONTROL) & (untrained[key].score.max() < CONTROL)
                self._record_one(trainee, f"readable_{key}", (passes & (holm(probe.p) <= SIGNIFICANT)).sum())
            by_name["p.any"] = (by_name["p.any"] * len(binary)).clip(max=1.0)  # Bonferroni: the best of several labels was taken
            by_name |= self._memory(units, probes, scored)
            for key, probe in probes.items():
                self._record_one(trainee, f"unit_score_{key}", probe.score[probe.best])
                self._record_one(trainee, f"shuffled_score_{key}", shuffled[key].score[shuffled[key].best])
                self._record_one(trainee, f"untrained_score_{key}", untrained[key].score.max())
            for key in binary:
                self._record_one(trainee, f"beyond_window_{key}", by_name[f"beyond.{key}"])
                self._record_one(trainee, f"shuffled_beyond_{key}", by_name[f"shuffled_beyond.{key}"])
            if trainee.model.cell == "lstm":
                by_name |= self._clamping_losses(trainee, units, probes, scored)
            for key, value in by_name.items():
                arrays.setdefault(key, []).append(np.asarray(value))
            if trainee is trainees[0]:
                self._store_explorer_text(name, units, scored, scoring_text)
        for key, values in arrays.items():
            self.context.artifact(f"{key}.{name}", np.stack(values))
        self.context.artifact(f"held_edges.{name}", np.array(SINCE))

    def _unit_activations(self, trainee: TrainingState, n: int, *, untrained: bool = False) -> cells.Units:
        """Return the activations of the units of all layers on both texts: tanh(c) of an LSTM, as in the paper's figures, else h.

        Args:
            trainee: the network.
            n: characters of each text.
            untrained: use the weights before the first update.
        """
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

    def _memory(self, units: cells.Units, probes: dict[str, cells.Probe], scored: Labels) -> dict[str, np.ndarray]:
        """Return how long the selected unit of each binary label signals an open label.

        Args:
            units: activations of the trained network.
            probes: probes by label.
            scored: labels of the scoring text.

        Returns:
            For each label 'held' (recall by characters since the opening), 'false_alarms' (false-positive rate), 'beyond' (balanced
            accuracy from 1.5 chunks after the opening on) and 'shuffled_beyond' (the same with shifted labels).
        """
        result = {}
        window = 3 * self.settings.seq_len // 2
        for key, inside in scored.binary.items():
            probe, since = probes[key], scored.since[key]
            on = units.on(probe)
            result[f"held.{key}"] = cells.recall_since_opening(on, inside, since, list(SINCE))
            result[f"false_alarms.{key}"] = on[~inside].mean()
            late = inside & (since >= window)
            result[f"beyond.{key}"] = np.asarray((on[late].mean() + 1 - on[~inside].mean()) / 2 if late.any() else 0.5)
            # Control: the same unit and threshold, with the labels shifted by half the text.
            shifted, shifted_late = np.roll(inside, len(inside) // 2), np.roll(late, len(inside) // 2)
            result[f"shuffled_beyond.{key}"] = np.asarray((on[shifted_late].mean() + 1 - on[~shifted].mean()) / 2 if late.any() else 0.5)
        return result

    def _clamping_losses(
        self, trainee: TrainingState, units: cells.Units, probes: dict[str, cells.Probe], scored: Labels
    ) -> dict[str, np.ndarray]:
        """Return the losses with the selected cell of one label clamped to its out-of-context mean, and with other cells clamped alike.

        Args:
            trainee: an LSTM.
            units: activations of the trained network.
            probes: probes by label.
            scored: labels of the scoring text.
        """
        hidden, vocabulary = trainee.model.hidden, self.corpus.vocabulary.characters
        key, ending = CLAMPED[self.corpus.language]
        inside = scored.binary[key]
        generator = self.context.generator(trainee.seed, "clamped units", device="cpu")
        others = [int(u) for u in torch.randperm(len(units.scoring), generator=generator)[: OTHERS + 1] if u != probes[key].best]
        is_outside = torch.from_numpy(~inside).to(units.scoring.device)
        outside_mean = units.scoring[:, is_outside].double().mean(1).clamp(-0.999, 0.999).arctanh()
        clamped_units = [probes[key].best, *others[:OTHERS]]
        conditions = [None, *((unit // hidden, unit % hidden, float(outside_mean[unit])) for unit in clamped_units)]
        closing = vocabulary.find(ending)
        tokens = self.corpus.tokens("test", self.context.device)[: len(inside)]
        clamped = clamping.clamp(trainee.model, tokens, torch.from_numpy(inside).to(tokens.device), conditions, max(closing, 0))
        within = inside.copy()
        within[0] = False
        loss = -(clamped.log_probability[:, within].mean(axis=1))
        closes = clamped.closing[:, inside].mean(axis=1)
        for quantity, values in (("loss", loss), ("closing", closes)):
            for condition, value in (("free", values[0]), ("clamped", values[1]), ("others", values[2:].mean())):
                self._record_one(trainee, f"{quantity}_{condition}_{key}", value)
        return {"clamped_loss": loss, "clamped_closing": closes}

    def _store_explorer_text(self, name: str, units: cells.Units, scored: Labels, text: str) -> None:
        """Store the section of the scoring text in which labels change most often, and all activations on it, quantised to 8 bits.

        Args:
            name: name of the network.
            units: activations of the trained network.
            scored: labels of the scoring text.
            text: the scoring text.
        """
        changes = sum(np.abs(np.diff(values.astype(np.int8), prepend=0)) for values in scored.binary.values())
        length = min(EXPLORED, len(text))
        totals = np.convolve(np.asarray(changes, dtype=np.float64), np.ones(length), mode="valid")
        start = int(totals.argmax())
        window = slice(start, start + length)
        quantised = ((units.scoring[:, window].clamp(-1, 1) + 1) * 127).round().to(torch.uint8)
        self.context.artifact(f"explorer_text.{name}", np.frombuffer(text[window].encode("latin-1"), dtype=np.uint8))
        self.context.artifact(f"explorer_units.{name}", quantised)
        for key, values in (scored.binary | scored.graded).items():
            self.context.artifact(f"explorer_label.{key}.{name}", values[window].astype(np.int32))

    def _record_one(self, trainee: TrainingState, metric: str, value: float | np.ndarray) -> None:
        """Record the value of one seed of one network on the test split."""
        self.context.record(metric, float(value), model=trainee.name, seed=trainee.seed)
