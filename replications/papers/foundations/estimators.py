"""Soft and hard attention on a problem small enough to list every choice: their gradients, exact, sampled, and their variance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from replications.papers.foundations.recurrent_statements import normal

IMAGES, LOCATIONS, WIDTH = 4, 9, 4
BASELINES = ("none", "average", "learned")
"""No baseline; the average reward; the expected reward of each image, which a learned value function approaches."""


class Problem(NamedTuple):
    """Images of a few locations, one of which, or a weighted sum of which, answers a question.

    Attributes:
        features: shape (images, locations, width).
        readout: answer that features give, shape (width,).
        targets: right answers, shape (images,).
        policy: scores a location by its features, shape (width,); the parameter of every gradient here.
    """

    features: Tensor
    readout: Tensor
    targets: Tensor
    policy: Tensor


def make_problem(generator: torch.Generator) -> Problem:
    """Return a random problem.

    Args:
        generator: source of all numbers.

    Returns:
        A problem in float64.
    """
    features = normal(IMAGES, LOCATIONS, WIDTH, generator=generator)
    return Problem(
        features, normal(WIDTH, generator=generator) / 2, normal(IMAGES, generator=generator), normal(WIDTH, generator=generator)
    )


def _reward(answers: Tensor, targets: Tensor) -> Tensor:
    """Return exp(-squared error), between 0 and 1."""
    return torch.exp(-(answers - targets).square())


def probabilities(problem: Problem) -> Tensor:
    """Return the probability, or weight, of each location, shape (images, locations).

    Args:
        problem: the problem.

    Returns:
        Rows that sum to 1.
    """
    return torch.softmax(problem.features @ problem.policy, dim=1)


def location_rewards(problem: Problem) -> Tensor:
    """Return the reward for looking at one location, shape (images, locations).

    Args:
        problem: the problem.

    Returns:
        Between 0 and 1.
    """
    return _reward(problem.features @ problem.readout, problem.targets.unsqueeze(1))


def expected_reward(problem: Problem) -> Tensor:
    """Return what hard attention maximises: the mean over images of sum_l p(l) r(l), listed location by location.

    Args:
        problem: the problem.

    Returns:
        A number, differentiable in the policy.
    """
    return (probabilities(problem) * location_rewards(problem)).sum(dim=1).mean()


def soft_reward(problem: Problem) -> Tensor:
    """Return the mean reward of soft attention, which reads the weighted sum of all locations.

    Args:
        problem: the problem.

    Returns:
        A number, differentiable in the policy.
    """
    read = (probabilities(problem).unsqueeze(-1) * problem.features).sum(dim=1)
    return _reward(read @ problem.readout, problem.targets).mean()


def policy_gradient(objective: Callable[[Problem], Tensor], problem: Problem) -> Tensor:
    """Return the gradient of an objective in the policy by automatic differentiation.

    Args:
        objective: `expected_reward` or `soft_reward`.
        problem: the problem.

    Returns:
        Shape (width,).
    """
    policy = problem.policy.clone().requires_grad_()
    value = objective(problem._replace(policy=policy))
    return torch.autograd.grad(value, policy)[0]


def reinforce_terms(problem: Problem, baseline: str) -> Tensor:
    """Return (r - b) grad log p for every image and location (Williams 1992).

    Args:
        problem: the problem.
        baseline: one of `BASELINES`.

    Returns:
        Shape (images, locations, width).
    """
    p, rewards = probabilities(problem), location_rewards(problem)
    per_image = (p * rewards).sum(dim=1, keepdim=True)
    b = {"none": torch.zeros_like(per_image), "average": per_image.mean().expand_as(per_image), "learned": per_image}[baseline]
    score = problem.features - (p.unsqueeze(-1) * problem.features).sum(dim=1, keepdim=True)  # gradient of log p(l)
    return (rewards - b).unsqueeze(-1) * score


def reinforce_expectation(problem: Problem, baseline: str) -> Tensor:
    """Return the expectation of the estimator, each location weighted with its probability.

    Args:
        problem: the problem.
        baseline: one of `BASELINES`.

    Returns:
        Shape (width,).
    """
    return (probabilities(problem).unsqueeze(-1) * reinforce_terms(problem, baseline)).sum(dim=1).mean(dim=0)


def reinforce_draws(problem: Problem, baseline: str, n_draws: int, generator: torch.Generator) -> Tensor:
    """Return estimates of the gradient, each from one sampled location per image.

    Args:
        problem: the problem.
        baseline: one of `BASELINES`.
        n_draws: number of estimates.
        generator: source of the locations.

    Returns:
        Shape (n_draws, width).
    """
    chosen = torch.multinomial(probabilities(problem), n_draws, replacement=True, generator=generator)  # (images, n_draws)
    terms = reinforce_terms(problem, baseline)
    return torch.stack([terms[i, chosen[i]] for i in range(IMAGES)]).mean(dim=0)


def relative_bias(draws: Tensor, exact: Tensor) -> float:
    """Return how much longer the mean estimate is than the exact gradient, along the latter.

    Args:
        draws: estimates, shape (n, width).
        exact: shape (width,).

    Returns:
        0 where they are equal, 0.01 where the mean is one percent too long.
    """
    return float(draws.mean(dim=0) @ exact / (exact @ exact)) - 1


def noise(draws: Tensor) -> float:
    """Return the variance of estimates, summed over components.

    Args:
        draws: shape (n, width).

    Returns:
        0 or more.
    """
    return float(draws.var(dim=0).sum())


def soft_draws(problem: Problem, n_draws: int) -> Tensor:
    """Return the gradient of soft attention from several passes over the same images.

    Args:
        problem: the problem.
        n_draws: number of passes.

    Returns:
        Shape (n_draws, width), rows equal bit by bit.
    """
    return torch.stack([policy_gradient(soft_reward, problem) for _ in range(n_draws)])


def reinforce_variance(problem: Problem, baseline: str) -> float:
    """Return the variance of the estimator, summed over components, by listing every location of every image.

    Args:
        problem: the problem.
        baseline: one of `BASELINES`.

    Returns:
        0 or more; images are drawn independently, so that the variance of their mean is the mean variance over their number.
    """
    p, terms = probabilities(problem).unsqueeze(-1), reinforce_terms(problem, baseline)
    of_image = (p * terms.square()).sum(dim=1) - (p * terms).sum(dim=1).square()
    return float(of_image.sum() / len(p) ** 2)


def hard_gradient_varies(generator: torch.Generator) -> float:
    """Hard attention is not deterministic: even with a learned baseline its gradient has a variance.

    Args:
        generator: source of the problem.

    Returns:
        The variance, exact.
    """
    return reinforce_variance(make_problem(generator), "learned")


def expectation_is_gradient(generator: torch.Generator) -> float:
    """REINFORCE is unbiased with any baseline that does not depend on the location: its expectation is the gradient.

    Args:
        generator: source of the problem.

    Returns:
        Largest difference over the baselines.
    """
    problem = make_problem(generator)
    exact = policy_gradient(expected_reward, problem)
    return max(float((reinforce_expectation(problem, baseline) - exact).abs().max()) for baseline in BASELINES)


def soft_passes_are_equal(generator: torch.Generator) -> float:
    """Soft attention is deterministic: two passes give the same gradient, bit by bit.

    Args:
        generator: source of the problem.

    Returns:
        Largest difference.
    """
    first, second = soft_draws(make_problem(generator), 2)
    return float((first - second).abs().max())


def soft_agrees_with_finite_differences(generator: torch.Generator) -> float:
    """Soft attention is differentiable: central differences give the gradient of back-propagation.

    Args:
        generator: source of the problem.

    Returns:
        Largest difference.
    """
    problem, h = make_problem(generator), 1e-5
    steps = h * torch.eye(WIDTH, dtype=torch.float64)
    slopes = [
        (soft_reward(problem._replace(policy=problem.policy + e)) - soft_reward(problem._replace(policy=problem.policy - e))) / (2 * h)
        for e in steps
    ]
    return float((torch.stack(slopes) - policy_gradient(soft_reward, problem)).abs().max())


def _episode_variance(problem: Problem, image: int, episodes: int) -> float:
    """Return the variance of the mean of some episodes on one image, by listing every combination of locations."""
    p, terms = probabilities(problem)[image], reinforce_terms(problem, "none")[image]
    listed = torch.tensor(list(itertools.product(range(LOCATIONS), repeat=episodes)))  # (combinations, episodes)
    weights, estimates = p[listed].prod(dim=1, keepdim=True), terms[listed].mean(dim=1)
    return float((weights * estimates.square()).sum() - (weights * estimates).sum(dim=0).square().sum())


def two_episodes_halve_variance(generator: torch.Generator) -> float:
    """Two episodes on an image have half the variance of one, whatever the policy.

    Args:
        generator: source of the problem.

    Returns:
        Difference between the variance of two episodes, from all 81 pairs of locations, and half of that of one.
    """
    problem = make_problem(generator)
    return abs(_episode_variance(problem, 0, 2) - _episode_variance(problem, 0, 1) / 2)


def new_images_beat_new_episodes(generator: torch.Generator) -> float:
    """As many glimpses spent on other images lower the variance further: images differ as well, and a second episode repeats the image.

    The estimate of one image has a variance over images, V, and a mean variance over episodes, E. Two images give (V + E) / 2, two
    episodes on one image V + E / 2. Images are drawn with replacement.

    Args:
        generator: source of the problem.

    Returns:
        Variance of two episodes on one image less that of one episode on each of two images.
    """
    problem = make_problem(generator)
    expected = (probabilities(problem).unsqueeze(-1) * reinforce_terms(problem, "none")).sum(dim=1)
    between = float((expected - expected.mean(dim=0)).square().sum(dim=1).mean())
    within = [_episode_variance(problem, image, 1) for image in range(IMAGES)]
    episodes = [_episode_variance(problem, image, 2) for image in range(IMAGES)]
    return (between + sum(episodes) / IMAGES) - (between + sum(within) / IMAGES) / 2


def entropy_does_not_move_the_mean(generator: torch.Generator) -> float:
    """The entropy of a normal policy depends on its deviation alone: where that is fixed, a bonus for entropy has no gradient.

    Args:
        generator: source of two mean locations and of a deviation between 0.05 and 0.5.

    Returns:
        Difference of the two entropies, from integrals of -p log p over a fine grid.
    """
    sigma = 0.05 + 0.45 * torch.rand((), generator=generator, dtype=torch.float64)
    means = 2 * torch.rand(2, 1, generator=generator, dtype=torch.float64) - 1
    grid = torch.linspace(-6, 6, 24001, dtype=torch.float64)
    logarithms = -((grid - means) / sigma).square() / 2 - torch.log(sigma * math.sqrt(2 * math.pi))
    entropies = -(logarithms.exp() * logarithms).sum(dim=1) * (grid[1] - grid[0])
    return float((entropies[0] - entropies[1]).abs())
