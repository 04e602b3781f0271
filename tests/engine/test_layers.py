"""Layers with a seed axis against plain ones, and recomputed gradients against autograd's."""

import pytest
import torch
from torch import Tensor

from replications.engine.layers import SeedLinear, known_linear_relu, known_relu_recurrence, seeded_uniform
from replications.errors import InputError


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@pytest.mark.parametrize("bias", [True, False])
def test_a_seed_linear_is_a_linear_layer_per_seed(bias: bool) -> None:
    layer = SeedLinear(5, 3, generators=generators(0, 1, 2), bias=bias)
    inputs = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(9))
    for seed in range(3):
        plain = torch.nn.functional.linear(inputs[seed], layer.weight[seed].T, None if layer.bias is None else layer.bias[seed, 0])
        torch.testing.assert_close(layer(inputs)[seed], plain)


def test_initial_weights_depend_on_their_own_seed_alone() -> None:
    many, one = SeedLinear(4, 6, generators=generators(0, 1)), SeedLinear(4, 6, generators=generators(1))
    assert torch.equal(many.weight[1], one.weight[0])
    assert not torch.equal(many.weight[0], many.weight[1])
    assert many.weight.abs().max() <= 0.5


def test_zero_seeds_are_refused() -> None:
    with pytest.raises(InputError, match="zero seeds"):
        seeded_uniform((2, 2), 1.0, [])


def test_a_known_layer_has_the_gradients_of_the_layer() -> None:
    inputs, weight, bias = random(2, 6, 4), random(2, 4, 3, seed=1), random(2, 1, 3, seed=2)
    plain = torch.baddbmm(bias, inputs, weight).relu()
    known = known_linear_relu(plain.detach(), inputs, weight, bias)
    upstream = random(2, 6, 3, seed=3).detach()
    leaves = [inputs, weight, bias]
    pairs = zip(torch.autograd.grad(known, leaves, upstream), torch.autograd.grad(plain, leaves, upstream), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("n_steps", [1, 2, 5])
def test_a_known_recurrence_has_the_gradients_of_the_recurrence(n_steps: int) -> None:
    inputs, input_weight = random(2, n_steps, 6, 4), random(2, 4, 3, seed=1)
    weight, bias = random(2, 3, 3, seed=2), random(2, 1, 3, seed=3)
    states: list[Tensor] = []
    for step in range(n_steps):
        before = torch.baddbmm(bias, inputs[:, step], input_weight)
        states.append((before + states[-1] @ weight if states else before).relu())
    plain = torch.stack(states, dim=1)
    known = known_relu_recurrence(plain.detach(), inputs, input_weight, weight, bias)
    upstream = random(2, n_steps, 6, 3, seed=4).detach()
    leaves = [inputs, input_weight, weight, bias]
    theirs = torch.autograd.grad(plain, leaves, upstream, allow_unused=True)
    for ours, expected in zip(torch.autograd.grad(known, leaves, upstream), theirs, strict=True):
        torch.testing.assert_close(ours, torch.zeros_like(ours) if expected is None else expected)
