"""Random numbers of a seed depend on the seed and the purpose alone, and dropout draws from them."""

import copy

import pytest
import torch
from torch import nn

from replications.engine.randomness import (
    Generators,
    SeededDropout,
    seeded_dropout,
    seeded_generator,
    seeded_library,
    set_dropout_generator,
)


def generator(seed: int) -> torch.Generator:
    return seeded_generator(seed, "dropout", "cpu")


def test_a_seeds_mask_does_not_depend_on_its_company() -> None:
    inputs = torch.ones(3, 40, 50)
    together = seeded_dropout(inputs, 0.25, [generator(seed) for seed in (5, 6, 7)])
    alone = seeded_dropout(inputs[:1], 0.25, [generator(6)])
    assert torch.equal(together[1], alone[0])
    assert not torch.equal(together[0], together[1])


def test_the_kept_elements_are_scaled_so_that_the_mean_stays() -> None:
    outputs = seeded_dropout(torch.ones(1, 400, 500), 0.25, [generator(0)])
    assert outputs.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert float(outputs.mean()) == pytest.approx(1.0, abs=0.01)  # 200,000 elements: four standard errors are 0.005


def test_a_rate_of_zero_draws_nothing() -> None:
    source = generator(0)
    before = source.get_state()
    inputs = torch.ones(1, 3)
    assert seeded_dropout(inputs, 0.0, [source]) is inputs
    assert torch.equal(source.get_state(), before)


def test_dropout_layers_of_a_network_draw_from_their_generator_and_resume_with_it() -> None:
    network = nn.Sequential(SeededDropout(0.5), nn.Sequential(SeededDropout(0.5)))
    source = generator(1)
    set_dropout_generator(network, source)
    network(torch.ones(20, 20))
    saved = copy.deepcopy(Generators([source]).state_dict())
    expected = network(torch.ones(20, 20))
    other = generator(2)
    Generators([other]).load_state_dict(saved)
    set_dropout_generator(network, other)
    torch.manual_seed(5)
    assert torch.equal(network(torch.ones(20, 20)), expected)


def test_dropout_passes_its_input_in_evaluation_and_refuses_to_train_unseeded() -> None:
    layer = SeededDropout(0.5)
    inputs = torch.ones(2, 2)
    assert layer.eval()(inputs) is inputs
    with pytest.raises(RuntimeError, match="set_dropout_generator"):
        layer.train()(inputs)


def test_a_library_layer_is_seeded_within_the_block_alone() -> None:
    torch.manual_seed(0)
    undisturbed = torch.rand(3)
    torch.manual_seed(0)
    draws = []
    for _ in range(2):
        with seeded_library(7, torch.device("cpu")):
            draws.append(nn.functional.dropout(torch.ones(30)))
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(torch.rand(3), undisturbed)
