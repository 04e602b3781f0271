"""Statements on attention, sets, positions and estimators, each beside a plain loop or a worked number."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from replications.papers.foundations import attention_statements as statements
from replications.papers.foundations import estimators
from replications.papers.foundations.model import attention


def generator(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_worked_example_has_the_numbers_of_the_lecture() -> None:
    """Scores 1, 0, 1; scaled .707, 0, .707; exponentials 2.028, 1, 2.028 with sum 5.056; output .802, .599."""
    output, weights = statements.worked_example()
    powers = [math.exp(1 / math.sqrt(2)), 1.0, math.exp(1 / math.sqrt(2))]
    assert sum(powers) == pytest.approx(5.056, abs=5e-4)
    assert weights.tolist() == pytest.approx([power / sum(powers) for power in powers], abs=1e-12)
    assert output.tolist() == pytest.approx([0.802, 0.599], abs=5e-4)


def test_attention_agrees_with_loops() -> None:
    q, k, v = (torch.randn(n, 3, generator=generator(n)).double() for n in (2, 4, 5))
    v = v[:4]
    output, _ = attention(q, k, v)
    for i in range(2):
        powers = [math.exp(sum(float(q[i, d] * k[j, d]) for d in range(3)) / math.sqrt(3)) for j in range(4)]
        expected = [sum(powers[j] * float(v[j, d]) for j in range(4)) / sum(powers) for d in range(3)]
        assert output[i].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("statement", "tolerance"),
    [
        (statements.embedding_is_one_hot_product, 0.0),
        (statements.attention_is_equivariant, 1e-12),
        (statements.pooled_output_is_invariant, 1e-12),
        (statements.causal_outputs_equal_prefixes, 1e-12),
        (statements.tokenwise_layer_is_convolution, 1e-12),
        (statements.convolution_is_fixed_attention, 1e-6),
        (statements.set_network_is_invariant, 1e-12),
        (statements.attention_is_message_passing, 1e-12),
        (statements.uniform_attention_is_set_network, 1e-12),
        (statements.fourier_shift_is_rotation, 1e-12),
        (statements.fourier_product_depends_on_offset, 1e-12),
        (estimators.expectation_is_gradient, 1e-12),
        (estimators.soft_passes_are_equal, 0.0),
        (estimators.soft_agrees_with_finite_differences, 1e-6),
    ],
)
def test_both_sides_agree(statement: Callable[[torch.Generator], float], tolerance: float) -> None:
    assert max(statement(generator(seed)) for seed in range(5)) <= tolerance


def test_positions_and_a_causal_mask_break_equivariance() -> None:
    assert min(statements.positions_break_equivariance(generator(seed)) for seed in range(5)) > 0.01
    assert min(statements.causal_mask_breaks_equivariance(generator(seed)) for seed in range(5)) > 0.01


def test_every_token_moves_so_that_equivariance_is_not_trivial() -> None:
    for seed in range(20):
        order = statements._permutation(7, generator(seed))
        assert sorted(order.tolist()) == list(range(7))
        assert all(order[i] != i for i in range(7))


def test_dot_products_spread_as_the_root_of_their_length() -> None:
    ratios = [statements.dot_product_deviation(d, 20000, generator()) / math.sqrt(d) for d in (4, 64, 256)]
    assert ratios == pytest.approx([1, 1, 1], abs=0.03)


def test_a_code_has_the_product_of_a_worked_offset() -> None:
    """At one frequency of pi / 3 per step, codes three steps apart are opposite."""
    code = statements.fourier_code(torch.tensor([2.0, 5.0]).double(), torch.tensor([math.pi / 3]).double())
    assert float((code[0] * code[1]).sum()) == pytest.approx(-1, abs=1e-12)


def test_expectation_and_variance_of_the_estimator_agree_with_every_joint_choice() -> None:
    """All 9 ** 2 joint choices for two images, each with its probability; the problem is cut to two images."""
    whole = estimators.make_problem(generator())
    problem = whole._replace(features=whole.features[:2], targets=whole.targets[:2])
    p = estimators.probabilities(problem)
    terms = estimators.reinforce_terms(problem, "average")
    mean, second = torch.zeros(4).double(), 0.0
    for i in range(9):
        for j in range(9):
            estimate = (terms[0, i] + terms[1, j]) / 2
            mean += p[0, i] * p[1, j] * estimate
            second += float(p[0, i] * p[1, j] * estimate.square().sum())
    torch.testing.assert_close(mean, estimators.policy_gradient(estimators.expected_reward, problem))
    variance = second - float(mean.square().sum())
    assert estimators.reinforce_variance(problem, "average") == pytest.approx(variance, rel=1e-9)


def test_sampled_estimates_have_the_listed_mean_and_variance() -> None:
    problem = estimators.make_problem(generator())
    exact = estimators.policy_gradient(estimators.expected_reward, problem)
    for baseline in estimators.BASELINES:
        draws = estimators.reinforce_draws(problem, baseline, 100_000, generator(3))
        error = (draws.mean(dim=0) - exact) / (draws.std(dim=0) / math.sqrt(len(draws)))
        assert float(error.abs().max()) < 4  # standard errors
        assert estimators.noise(draws) == pytest.approx(estimators.reinforce_variance(problem, baseline), rel=0.05)


def test_hard_attention_varies_in_every_problem_and_soft_in_none() -> None:
    assert min(estimators.hard_gradient_varies(generator(seed)) for seed in range(10)) > 1e-4
    assert estimators.noise(estimators.soft_draws(estimators.make_problem(generator()), 5)) == 0
