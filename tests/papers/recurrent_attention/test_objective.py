"""REINFORCE against gradients known in closed form."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from replications.papers.recurrent_attention.model import Outcome
from replications.papers.recurrent_attention.objective import HybridLoss, cross_entropy, log_probabilities, reinforce, rewards
from replications.papers.recurrent_attention.settings import Settings


@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_enumerating_a_discrete_policy_gives_the_analytic_gradient(baseline: float) -> None:
    # Three actions of a softmax policy with rewards r: dJ/dlogit_k = p_k (r_k - sum_j p_j r_j), whatever the baseline.
    logits = torch.tensor([0.3, -0.5, 1.1], dtype=torch.float64, requires_grad=True)
    reward = torch.tensor([1.0, 0.0, 0.25], dtype=torch.float64)
    p = logits.detach().softmax(0)
    # Every action once, weighted by its probability: the expectation over the policy, exactly (3 images, so times 3).
    per_action = [reinforce(logits.log_softmax(0)[k].view(1, 1, 1), reward[k].view(1, 1), baseline) for k in range(3)]
    loss = sum((p[k] * per_action[k].sum() for k in range(3)), torch.zeros((), dtype=torch.float64))
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(-gradient, p * (reward - (p * reward).sum()))


@pytest.mark.parametrize("baseline", [0.0, -1.5])
def test_a_gaussian_policy_climbs_a_parabola_as_calculus_says(baseline: float) -> None:
    # Reward -l^2 under l ~ N(mu, sigma^2): J = -(mu^2 + sigma^2), dJ/dmu = -2 mu. Gauss-Hermite quadrature is exact here.
    mu, sigma = torch.tensor(0.8, dtype=torch.float64, requires_grad=True), 0.3
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    samples = mu.detach() + sigma * torch.from_numpy(nodes)
    log_probability = -((samples - mu) ** 2) / (2 * sigma**2)
    share = torch.from_numpy(weights / weights.sum()) * len(nodes)  # reinforce averages over images
    reward = -(samples**2)
    loss = -((log_probability * share).view(1, 1, -1) * (reward - baseline).view(1, 1, -1)).sum(1).mean(1)
    ours = reinforce((log_probability * share).view(1, 1, -1), reward.view(1, -1), baseline)
    torch.testing.assert_close(ours, loss)
    torch.testing.assert_close(torch.autograd.grad(ours.sum(), mu)[0], torch.tensor(1.6, dtype=torch.float64))


def outcome(logits: Tensor, decisions: int = 2) -> tuple[Outcome, Tensor, Tensor]:
    log_probability = torch.zeros(logits.shape[0], decisions, logits.shape[1], requires_grad=True)
    values = torch.full((logits.shape[0], decisions, logits.shape[1]), 0.25, requires_grad=True)
    return Outcome(logits, log_probability, values), log_probability, values


def test_the_learned_baseline_is_trained_by_its_error_alone_and_subtracted() -> None:
    logits = torch.zeros(1, 2, 10)
    logits[0, 0, 3] = 5.0  # right
    logits[0, 1, 3] = 5.0  # wrong
    labels = torch.tensor([[3, 4]])
    result, log_probability, values = outcome(logits)
    loss, metrics = HybridLoss(Settings(reinforce_weight=0.5), 1)(result, labels)
    to_policy, to_values = torch.autograd.grad(loss, [log_probability, values])
    # -weight * (R - b) / images, for every decision.
    torch.testing.assert_close(to_policy, torch.tensor([[[-0.1875, 0.0625]] * 2]))
    # 2 (b - R) / (decisions x images)
    torch.testing.assert_close(to_values, torch.tensor([[[-0.375, 0.125]] * 2]))
    assert metrics["error"].tolist() == [50.0]


def test_the_moving_average_follows_each_seed_s_reward() -> None:
    loss = HybridLoss(Settings(baseline="moving-average"), 2)
    logits = torch.zeros(2, 4, 10)
    logits[0, :, 1] = 1.0
    for _ in range(1000):
        loss(outcome(logits)[0], torch.ones(2, 4, dtype=torch.long))
    assert loss.get_buffer("average").tolist() == pytest.approx([1 - 0.99**1000, 0.0], abs=1e-4)


def test_cross_entropy_is_per_seed() -> None:
    logits = torch.zeros(2, 3, 10)
    logits[1, :, 0] = 50.0
    values = cross_entropy(logits, torch.zeros(2, 3, dtype=torch.long))
    assert values.tolist() == pytest.approx([math.log(10), 0.0])
    assert rewards(logits, torch.tensor([[1, 1, 1], [0, 0, 9]])).tolist() == [[0, 0, 0], [1, 1, 0]]


def test_shaped_rewards_are_logarithms_of_the_right_probability() -> None:
    logits, labels = torch.tensor([[[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]], dtype=torch.float64), torch.tensor([[2, 1]])
    total = [math.exp(0) + math.exp(1) + math.exp(2), math.exp(3) + 2]
    assert log_probabilities(logits, labels)[0].tolist() == pytest.approx([2 - math.log(total[0]), -math.log(total[1])])
    assert rewards(logits, labels)[0].tolist() == [1, 0]
    outcome = Outcome(logits, torch.ones(1, 1, 2, dtype=torch.float64, requires_grad=True), torch.zeros(1, 1, 2, dtype=torch.float64))
    loss, metrics = HybridLoss(Settings(reward="log-probability", baseline="none", reinforce_weight=1.0), 1)(outcome, labels)
    (gradient,) = torch.autograd.grad(loss, outcome.log_probability)
    torch.testing.assert_close(gradient, -log_probabilities(logits, labels)[:, None] / 2)
    assert float(metrics["error"]) == 50
