"""The hybrid loss (section 3.2): cross-entropy for the class, REINFORCE for the locations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.papers.recurrent_attention.model import Outcome
from replications.papers.recurrent_attention.settings import Settings


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over images of -log p(label).

    Args:
        logits: (seeds, batch, 10).
        labels: (seeds, batch) int64.

    Returns:
        (seeds,).
    """
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels).mean(1)


def rewards(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the rewards.

    Args:
        logits: (seeds, batch, 10).
        labels: (seeds, batch) int64.

    Returns:
        (seeds, batch), 1 where the most probable class is correct, else 0.
    """
    return (logits.argmax(-1) == labels).float()


def log_probabilities(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute shaped rewards: unlike those of `rewards` they tell a near miss from a gross one.

    Args:
        logits: (seeds, batch, 10).
        labels: (seeds, batch) int64.

    Returns:
        (seeds, batch), log p(label), at most 0.
    """
    return torch.log_softmax(logits, dim=-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)


def reinforce(log_probability: Tensor, reward: Tensor, baseline: Tensor | float) -> Tensor:
    """Return a loss whose gradient is minus the REINFORCE estimate of the reward's gradient (equation 3).

    Args:
        log_probability: (seeds, T - 1, batch) of each decision.
        reward: (seeds, batch), the same for every decision of an episode.
        baseline: subtracted from the reward, broadcastable to (seeds, T - 1, batch); no gradient flows through it.

    Returns:
        (seeds,) summed over decisions, averaged over images.
    """
    advantage = reward.detach()[:, None] - (baseline.detach() if isinstance(baseline, Tensor) else baseline)
    return -(log_probability * advantage).sum(1).mean(1)


class HybridLoss(nn.Module):
    """Cross-entropy plus weighted REINFORCE plus the squared error of the learned baseline.

    Args:
        settings: weight of REINFORCE and kind of baseline.
        n_seeds: number of seeds.
    """

    MEMORY = 0.99
    """Share of the old value that the moving-average baseline keeps per update: about the last hundred batches."""

    def __init__(self, settings: Settings, n_seeds: int) -> None:
        super().__init__()
        self.weight, self.kind = settings.reinforce_weight, settings.baseline
        self.shaped = settings.reward == "log-probability"
        self.learns_policy = settings.policy == "learned" and settings.glimpses > 1
        self.register_buffer("average", torch.zeros(n_seeds))

    def forward(self, outcome: Outcome, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss and the metrics of a batch.

        Args:
            outcome: of the episodes.
            labels: (seeds, batch) int64.

        Returns:
            The loss summed over seeds, so that each seed's gradient is its own, and metrics of shape (seeds,).
        """
        entropy = cross_entropy(outcome.logits, labels)
        reward = rewards(outcome.logits, labels)
        metrics = {"loss": entropy.detach(), "error": 100 * (1 - reward.mean(1))}
        if not self.learns_policy:
            return entropy.sum(), metrics
        if self.shaped:
            reward = log_probabilities(outcome.logits, labels).detach()
        total = entropy
        baseline: Tensor | float = 0.0
        if self.kind == "learned":
            baseline = outcome.baselines
            squared = (outcome.baselines - reward[:, None]).square().mean((1, 2))
            metrics["baseline_error"] = squared.detach()
            total = total + squared
        elif self.kind == "moving-average":
            average = self.get_buffer("average")
            # A copy, because the average is updated in place before the gradient is taken.
            baseline = average.clone()[:, None, None]
            average.mul_(self.MEMORY).add_(reward.mean(1), alpha=1 - self.MEMORY)
        total = total + self.weight * reinforce(outcome.log_probability, reward, baseline)
        return total.sum(), metrics
