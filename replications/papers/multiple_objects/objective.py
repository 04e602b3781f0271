"""The training criterion: cross-entropy of every target, and REINFORCE for the locations (sections 3.2 and 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from replications.papers.multiple_objects.model import Outcome


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return -log p(y_s) of every target.

    Args:
        logits: (seeds, S, batch, classes).
        targets: (seeds, S, batch) int64.

    Returns:
        (seeds, S, batch).
    """
    return functional.cross_entropy(logits.flatten(0, 2), targets.flatten(), reduction="none").view_as(targets)


def counted_targets(correct: Tensor, targets: Tensor, end: int) -> Tensor:
    """Return which targets count: those up to the first wrong answer, itself included, and up to the first end symbol.

    Args:
        correct: (seeds, S, batch) boolean.
        targets: (seeds, S, batch) int64.
        end: number of the end symbol; a number that no target has where there is none.

    Returns:
        (seeds, S, batch) float, 1 or 0.
    """
    stops = (~correct | (targets == end)).float()
    before = torch.cat([torch.zeros_like(stops[:, :1]), stops.cumsum(1)[:, :-1]], dim=1)
    return (before == 0).float()


def bound_loss(outcome: Outcome, targets: Tensor, *, glimpses: int, weight: float, end: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Return a loss whose gradient is minus the estimate of the bound's gradient.

    For every target s that counts it is the gradient of log p(y_s) plus lambda (R_s - b_n) times that of log p(l_n) for each of its
    glimpses n, where R_s is the number of right answers up to s; the squared error of the baselines is added.

    Args:
        outcome: of the episodes.
        targets: (seeds, S, batch) int64.
        glimpses: N, glimpses per target; 0 for a network without any.
        weight: lambda.
        end: number of the end symbol; a number that no target has where there is none.

    Returns:
        The loss summed over seeds, so that each seed's gradient is its own, and metrics of shape (seeds,): `loss` in nats per image,
        `error` in percent of images with a wrong answer, `baseline_error`.
    """
    entropy = cross_entropy(outcome.logits, targets)
    correct = outcome.logits.argmax(-1) == targets
    counts = counted_targets(correct, targets, end)
    likelihood = (entropy * counts).sum(1).mean(1)
    wrong = (~correct & (counts == 1)).any(1).float().mean(1)
    metrics = {"loss": likelihood.detach(), "error": 100 * wrong}
    if not glimpses:
        return likelihood.sum(), metrics
    reward = (correct * counts).cumsum(1).repeat_interleave(glimpses, dim=1)
    of_glimpse = counts.repeat_interleave(glimpses, dim=1)
    reinforce = -((reward - outcome.baselines.detach()) * outcome.log_probability * of_glimpse).sum(1).mean(1)
    squared = ((reward - outcome.baselines).square() * of_glimpse).sum(1).mean(1) / outcome.baselines.shape[1]
    return (likelihood + weight * reinforce + squared).sum(), metrics | {"baseline_error": squared.detach()}
