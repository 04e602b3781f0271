"""The loss: cross-entropy for the class, REINFORCE for the moves (Mnih et al. 2014, section 3.2), squared errors for baseline and Q values."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from replications.papers.unified_attention.model import Outcome


def rewards(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the reward of an episode.

    Args:
        logits: (seeds, batch, 10).
        labels: (seeds, batch) int64.

    Returns:
        (seeds, batch), 1 where the most probable class is right, else 0.
    """
    return (logits.argmax(-1) == labels).float()


def q_error(q: Tensor, cells: Tensor, reward: Tensor) -> Tensor:
    """Return the squared error of the Q values of the cells that were taken.

    The target is the Monte Carlo return. There is no reward before the last glimpse and none is discounted, so that of every decision it is the
    final reward. Cells that were not taken have no target.

    Args:
        q: (seeds, decisions, batch, cells).
        cells: (seeds, decisions, batch) int64.
        reward: (seeds, batch).

    Returns:
        (seeds,) mean over decisions and images.
    """
    taken = q.gather(-1, cells[..., None]).squeeze(-1)
    return (taken - reward[:, None]).square().mean((1, 2))


def loss_and_metrics(outcome: Outcome, labels: Tensor, weight: float) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss, and the metrics of a batch.

    Args:
        outcome: of the episodes.
        labels: (seeds, batch) int64.
        weight: of REINFORCE beside cross-entropy.

    Returns:
        The loss summed over seeds, so that each seed's gradient is its own, and metrics of shape (seeds,): `loss` in nats, `error` in percent,
        `baseline_error`, and with Q-learning `q_error`.
    """
    entropy = functional.cross_entropy(outcome.logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels).mean(1)
    reward = rewards(outcome.logits, labels)
    advantage = reward[:, None] - outcome.baselines.detach()
    reinforce = -(outcome.log_probability * advantage).sum(1).mean(1)
    squared = (outcome.baselines - reward[:, None]).square().mean((1, 2))
    total = entropy + weight * reinforce + squared
    metrics = {"loss": entropy.detach(), "error": 100 * (1 - reward.mean(1)), "baseline_error": squared.detach()}
    if outcome.q.shape[-1]:
        error = q_error(outcome.q, outcome.cells, reward)
        total = total + error
        metrics["q_error"] = error.detach()
    return total.sum(), metrics
