"""Each seed keeps the weights of its own best validation, through checkpoints too."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from replications.engine.best_weights import BestWeights
from replications.engine.layers import SeedLinear

N_SEEDS = 3


def stacked() -> SeedLinear:
    return SeedLinear(4, 2, generators=[torch.Generator().manual_seed(seed) for seed in range(N_SEEDS)])


@torch.no_grad()
def fill(module: nn.Module, value: float) -> None:
    for parameter in module.parameters():
        parameter.fill_(value)


def weights_of(module: SeedLinear) -> list[float]:
    assert all(parameter[seed].unique().numel() == 1 for parameter in module.parameters() for seed in range(N_SEEDS))
    return module.weight[:, 0, 0].tolist()


def validate(best: BestWeights, modules: list[nn.Module], losses_by_step: list[list[float]]) -> None:
    """Step i has weights i + 1 everywhere."""
    for step, losses in enumerate(losses_by_step, start=1):
        for module in modules:
            fill(module, float(step))
        best.update(torch.tensor(losses), step)


def test_seeds_of_one_module_have_their_best_steps_independently() -> None:
    module = stacked()
    best = BestWeights(N_SEEDS, stacked=module)
    validate(best, [module], [[3.0, 1.0, 2.0], [2.0, 2.0, 1.0], [4.0, 3.0, 0.5]])
    best.restore()
    assert weights_of(module) == [2.0, 1.0, 3.0]
    assert best.steps.tolist() == [2, 1, 3]
    assert best.losses.tolist() == [2.0, 1.0, 0.5]


def test_modules_of_their_own_follow_their_seed() -> None:
    module, separate = stacked(), [nn.Linear(3, 2) for _ in range(N_SEEDS)]
    best = BestWeights(N_SEEDS, stacked=module, separate=separate)
    validate(best, [module, *separate], [[1.0, 2.0, 1.0], [2.0, 1.0, 2.0]])
    best.restore()
    assert weights_of(module) == [layer.weight[0, 0].item() for layer in separate] == [1.0, 2.0, 1.0]


def test_the_first_of_equal_losses_is_kept_and_no_number_is_never_best() -> None:
    module = stacked()
    fill(module, 7.0)
    best = BestWeights(N_SEEDS, stacked=module)
    validate(best, [module], [[1.0, math.nan, math.inf], [1.0, math.nan, 5.0]])
    best.restore()
    assert weights_of(module) == [1.0, 7.0, 2.0]


def test_later_updates_do_not_reach_what_is_stored() -> None:
    module = stacked()
    best = BestWeights(N_SEEDS, stacked=module)
    validate(best, [module], [[1.0, 1.0, 1.0]])
    fill(module, 9.0)
    best.restore()
    assert weights_of(module) == [1.0, 1.0, 1.0]


def test_a_checkpoint_brings_weights_losses_and_steps_back() -> None:
    def trained(stop: bool) -> tuple[SeedLinear, BestWeights]:
        module = stacked()
        best = BestWeights(N_SEEDS, stacked=module)
        validate(best, [module], [[3.0, 1.0, 2.0]])
        if stop:
            saved = copy.deepcopy(best.state_dict())
            module = stacked()
            best = BestWeights(N_SEEDS, stacked=module)
            best.load_state_dict(saved)
        fill(module, 2.0)
        best.update(torch.tensor([2.0, 2.0, 2.5]), 2)
        best.restore()
        return module, best

    (whole, kept), (resumed, loaded) = trained(stop=False), trained(stop=True)
    assert weights_of(resumed) == weights_of(whole) == [2.0, 1.0, 1.0]
    pairs: list[tuple[Tensor, Tensor]] = [(loaded.losses, kept.losses), (loaded.steps, kept.steps)]
    assert all(torch.equal(one, other) for one, other in pairs)


def test_modules_that_do_not_fit_the_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="2 separate modules for 3 seeds"):
        BestWeights(N_SEEDS, separate=[nn.Linear(1, 1), nn.Linear(1, 1)])
