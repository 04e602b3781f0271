"""Interpretable units: every unit is scored against every label, selected on one text and scored on another (section 4.2)."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from replications.papers.char_rnn.labels import Labels

GUARD = 1000
"""Smallest circular shift of the permutation test, in characters: a label shifted by less still overlaps with itself."""
OPENINGS = 20
"""A binary label with fewer openings in a text is not scored: with a dozen strings, many units look like detectors by chance."""


@dataclass(frozen=True)
class Probe:
    """One threshold (binary label) or one direction (graded label) per unit, and its scores; every array has shape (units,).

    Attributes:
        sign: +1 where the unit rises with the label, -1 where it falls.
        threshold: threshold on `sign * activation`; nan for graded labels.
        selection: score on the selection text: balanced accuracy of a binary label, sign * r of a graded one.
        score: the same on the scoring text.
        auc: area under the ROC curve on the scoring text in the selected direction; nan for graded labels.
        p: share of circular shifts of the labels that score at least as high. Without permutation p is 1 and auc nan.
    """

    sign: np.ndarray
    threshold: np.ndarray
    selection: np.ndarray
    score: np.ndarray
    auc: np.ndarray
    p: np.ndarray

    @property
    def best(self) -> int:
        """Index of the unit with the highest score on the selection text."""
        return int(np.argmax(self.selection))


class Units:
    """Activations of all units on both texts, sorted once for all labels.

    Args:
        selection: activations on the selection text, (n, units).
        scoring: activations on the scoring text, (m, units), on the same device.
    """

    def __init__(self, selection: Tensor, scoring: Tensor) -> None:
        self.selection, self.scoring = selection.T.contiguous(), scoring.T.contiguous()
        self._sorted, self._order = self.selection.sort(dim=1)

    @functools.cached_property
    def _ranks(self) -> Tensor:
        """Rank of every activation within its unit on the scoring text, (units, m); ties share their mean rank."""
        ascending = self.scoring.sort(dim=1).values
        ties_below, ties_above = (torch.searchsorted(ascending, self.scoring, side=side) for side in ("left", "right"))
        return (ties_below + ties_above + 1) / 2

    def probes(self, selected: Labels, scored: Labels, *, permute: bool = True) -> dict[str, Probe]:
        """Return a probe of every unit for every label, binary labels first.

        Args:
            selected: labels of the selection text.
            scored: labels of the scoring text.
            permute: compute p-values and areas under the curve.

        Returns:
            Name of the label -> its probe.
        """
        binary = {name: self.binary(label, scored.binary[name], permute=permute) for name, label in selected.binary.items()}
        return binary | {name: self.graded(label, scored.graded[name], permute=permute) for name, label in selected.graded.items()}

    def binary(self, selected: np.ndarray, scored: np.ndarray, *, permute: bool = True) -> Probe:
        """Return a probe of every unit for a binary label with one threshold per unit.

        Where either text has fewer than `OPENINGS` openings, all scores are 0.5 and all p-values 1.

        Args:
            selected: bool (n,), the label on the selection text.
            scored: bool (m,), the label on the scoring text.
            permute: compute p-values and areas under the curve.

        Returns:
            Balanced accuracies, areas under the ROC curve and p-values of all units.
        """
        units = len(self.selection)
        if min(np.count_nonzero(np.diff(label.astype(np.int8)) == 1) for label in (selected, scored)) < OPENINGS:
            half, ones = np.full(units, 0.5), np.ones(units)
            return Probe(ones, np.zeros(units), half, half, half, ones)
        label = torch.from_numpy(selected).to(self.selection.device)
        positive_below = label[self._order].cumsum(1)[:, :-1]
        below = torch.arange(1, len(label), device=label.device)
        positives, negatives = int(selected.sum()), int((~selected).sum())
        # A unit is "on" above a threshold between two neighbouring activations: recall and false-positive rate follow from the counts below.
        accuracy = (1 - positive_below.double() / positives + (below - positive_below).double() / negatives) / 2
        accuracy = torch.where(self._sorted.diff(dim=1) > 0, accuracy, 0.5)
        high, low = accuracy.max(1), accuracy.min(1)
        negative = 1 - low.values > high.values
        index = torch.where(negative, low.indices, high.indices).unsqueeze(1)
        sign = torch.where(negative, -1.0, 1.0)
        threshold = sign * (self._sorted.gather(1, index) + self._sorted.gather(1, index + 1))[:, 0] / 2
        selection_score = torch.where(negative, 1 - low.values, high.values)
        on = self.scoring * sign[:, None] > threshold[:, None]
        score, p = _score_shifts(on.double(), scored, binary=True, permute=permute)
        area = _roc_area(self._ranks, torch.from_numpy(scored).to(label.device)) if permute else torch.full_like(score, float("nan"))
        area = torch.where(negative, 1 - area, area)
        return Probe(*(part.cpu().numpy() for part in (sign, threshold, selection_score, score, area, p)))

    def graded(self, selected: np.ndarray, scored: np.ndarray, *, permute: bool = True) -> Probe:
        """Return a probe of every unit for a number by its correlation; the sign is that of the selection text.

        Args:
            selected: (n,), the label on the selection text.
            scored: (m,), the label on the scoring text.
            permute: compute p-values.

        Returns:
            Correlations and p-values of all units.
        """
        label = _standardise(torch.from_numpy(selected).to(self.selection.device))
        r = _standardise(self.selection) @ label / len(label)
        sign = torch.where(r < 0, -1.0, 1.0)
        score, p = _score_shifts(_standardise(self.scoring) * sign[:, None], scored, binary=False, permute=permute)
        undefined = torch.full_like(r, float("nan"))
        return Probe(*(part.cpu().numpy() for part in (sign, undefined, r.abs(), score, undefined, p)))

    def on(self, probe: Probe) -> np.ndarray:
        """Return True at the characters of the scoring text where the selected unit exceeds its threshold.

        Args:
            probe: probe of a binary label.

        Returns:
            bool (m,).
        """
        activation = self.scoring[probe.best].cpu().numpy()
        return np.asarray(activation * probe.sign[probe.best] > probe.threshold[probe.best])


def _roc_area(ranks: Tensor, label: Tensor) -> Tensor:
    """Return the area under the ROC curve of every unit, (units,).

    Args:
        ranks: (units, m), ties sharing their mean rank.
        label: bool (m,).
    """
    positives = label.sum().double()
    u = ranks.double()[:, label].sum(1) - positives * (positives + 1) / 2
    return u / (positives * (len(label) - positives))


def _standardise(rows: Tensor) -> Tensor:
    """Return rows with zero mean and unit variance, float64; constant rows become zero.

    Args:
        rows: (..., n).
    """
    centred = rows.double() - rows.double().mean(-1, keepdim=True)
    deviation = centred.square().mean(-1, keepdim=True).sqrt()
    return centred / torch.where(deviation > 0, deviation, 1.0)


def _score_shifts(rows: Tensor, label: np.ndarray, *, binary: bool, permute: bool) -> tuple[Tensor, Tensor]:
    """Return the score of every unit and its p-value over all circular shifts of the label by at least `GUARD` characters.

    The sum over the text of value(t) * label(t - s) for every shift s at once is a circular correlation, computed by FFT.

    Args:
        rows: float64 (units, m): 0 and 1 for a binary label, standardised for a graded one.
        label: (m,).
        binary: the label is binary: scores are balanced accuracies.
        permute: compute p-values.

    Returns:
        Scores and p-values, each (units,).
    """
    m = rows.shape[1]
    target = torch.from_numpy(label).to(rows.device)
    target = target.double() if binary else _standardise(target)
    sums = torch.fft.irfft(torch.fft.rfft(rows) * torch.fft.rfft(target).conj(), n=m) if permute else (rows @ target)[:, None]
    if binary:
        positives, on = target.sum(), rows.sum(1, keepdim=True)
        scores = (sums / positives + 1 - (on - sums) / (m - positives)) / 2
    else:
        scores = sums / m
    if not permute:
        return scores[:, 0], torch.ones_like(scores[:, 0])
    guard = min(GUARD, m // 4)
    shifts = scores[:, guard : m - guard + 1]
    as_high = (shifts >= scores[:, :1] - 1e-12).sum(1)
    return scores[:, 0], (1 + as_high.double()) / (1 + shifts.shape[1])


def shifted_labels(labels: Labels, shift: int) -> Labels:
    """Return labels shifted circularly along the text: the control for chance.

    Args:
        labels: labels of a text.
        shift: characters to shift by.

    Returns:
        The shifted labels; brackets are unchanged.
    """
    return Labels(
        {name: np.roll(values, shift) for name, values in labels.binary.items()},
        {name: np.roll(values, shift) for name, values in labels.graded.items()},
        {name: np.roll(values, shift) for name, values in labels.since.items()},
        labels.brackets,
    )


def recall_since_opening(on: np.ndarray, label: np.ndarray, since: np.ndarray, edges: list[int]) -> np.ndarray:
    """Return the share of open characters at which the unit is on, by characters since the opening.

    Args:
        on: bool (n,), the unit is on.
        label: bool (n,), the label holds (something is open).
        since: int (n,), characters since the opening.
        edges: k + 1 bounds of the bins; lower bounds are included.

    Returns:
        Shape (k,); nan where a bin is empty.
    """
    bins = [(since >= low) & (since < high) & label for low, high in itertools.pairwise(edges)]
    return np.array([on[in_bin].mean() if in_bin.sum() else np.nan for in_bin in bins])
