"""Schedules, parameter groups and clipping agree with torch's own functions, seed by seed."""

import pytest
import torch
from torch import nn

from replications.engine.optimisation import (
    clip_norm_per_seed,
    clip_value,
    cosine,
    decay_groups,
    gradients_per_seed,
    linear,
    schedule_factor,
)


def parameters_with_gradients(scale: float) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(3)
    parameters = [nn.Parameter(torch.zeros(3, *shape, dtype=torch.float64)) for shape in ((4, 5), (1, 5), (2,))]
    for parameter in parameters:
        size = torch.tensor([0.01, 1.0, 100.0], dtype=torch.float64).view(-1, *[1] * (parameter.ndim - 1))
        parameter.grad = scale * size * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return [*parameters, nn.Parameter(torch.zeros(3, 2))]


def test_each_seed_is_clipped_as_torch_clips_it_alone() -> None:
    parameters, copies = parameters_with_gradients(1.0), parameters_with_gradients(1.0)
    norms = clip_norm_per_seed(gradients_per_seed(parameters), 0.5)
    for seed in range(3):
        alone = [nn.Parameter(copy.detach()[seed]) for copy in copies if copy.grad is not None]
        for parameter, copy in zip(alone, copies, strict=False):
            assert copy.grad is not None
            parameter.grad = copy.grad[seed].clone()
        norm = nn.utils.clip_grad_norm_(alone, 0.5)
        torch.testing.assert_close(norms[seed], norm)
        for parameter, clipped in zip(alone, parameters, strict=False):
            assert clipped.grad is not None
            torch.testing.assert_close(clipped.grad[seed], parameter.grad, rtol=1e-5, atol=0)


def test_values_are_clipped_as_torch_clips_them() -> None:
    parameters, copies = parameters_with_gradients(1.0), parameters_with_gradients(1.0)
    clip_value(parameters, 0.3)
    nn.utils.clip_grad_value_(copies, 0.3)
    for parameter, copy in zip(parameters, copies, strict=True):
        assert (parameter.grad is None) == (copy.grad is None)
        if parameter.grad is not None and copy.grad is not None:
            assert torch.equal(parameter.grad, copy.grad)


def test_only_matrices_that_are_not_excluded_are_decayed() -> None:
    module = nn.ModuleDict({"fc": nn.Linear(2, 3), "norm": nn.LayerNorm(3), "positions": nn.Linear(4, 2, bias=False)})
    decayed, others = decay_groups(module, 0.1, exclude=("positions",))
    assert [id(p) for p in decayed["params"]] == [id(module["fc"].weight)]
    assert len(decayed["params"]) + len(others["params"]) == len(list(module.parameters()))
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_the_rate_rises_for_its_share_and_then_falls(kind: str) -> None:
    factors = [schedule_factor(kind, step, 100, warmup_share=0.1) for step in range(100)]  # type: ignore[arg-type]
    assert factors[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert factors[10] == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True)


def test_schedules() -> None:
    assert [linear(i, 4) for i in range(4)] == [1.0, 0.75, 0.5, 0.25]
    assert linear(0, 10, warmup=5) == pytest.approx(0.2)
    assert cosine(4, 10, warmup=5) == 1.0
    assert cosine(10, 10, floor=0.1) == pytest.approx(0.1)


def test_a_constant_rate_stays_and_a_cosine_ends_near_its_floor() -> None:
    assert {schedule_factor("constant", step, 5, warmup_share=0.5) for step in range(5)} == {1.0}
    assert schedule_factor("cosine", 999, 1000, floor=0.1) == pytest.approx(0.1, abs=1e-4)
