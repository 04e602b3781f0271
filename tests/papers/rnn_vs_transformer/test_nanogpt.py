"""The run that follows nanoGPT's recipe for processors: its network, initial weights and score are nanoGPT's."""

from __future__ import annotations

import math

import pytest
import torch

from replications.engine.text_batches import random_crops
from replications.papers.rnn_vs_transformer.language import mean_random_loss
from replications.papers.rnn_vs_transformer.model import SequenceModel
from replications.papers.rnn_vs_transformer.settings import Network, Settings
from replications.registry.run_grid import find_run

SETTINGS = find_run("rnn_vs_transformer", "cpu", "nanogpt-processor").settings_as(Settings)
CHARACTERS = 65


def network(seeds: int = 2) -> SequenceModel:
    return SequenceModel(
        SETTINGS.network,
        CHARACTERS,
        SETTINGS.width,
        SETTINGS.layers,
        generators=[torch.Generator().manual_seed(seed) for seed in range(seeds)],
        head_width=SETTINGS.head_width,
        n_positions=SETTINGS.text.context,
        initial=SETTINGS.initial,
        tied_output=SETTINGS.tied_output,
        bias=SETTINGS.bias,
    )


def test_the_number_of_parameters_is_the_one_that_nanogpt_prints() -> None:
    """`get_num_params` of nanoGPT's model.py leaves position embeddings out and counts the tied weights once: 0.80M."""
    matrices, gains = 12 * 128**2, 2 * 128
    without_positions = CHARACTERS * 128 + 4 * (matrices + gains) + 128
    found = sum(parameter.numel() for parameter in network(1).parameters()) - 64 * 128
    assert found == without_positions == 795_904


def test_initial_weights_have_the_deviations_of_gpt2() -> None:
    for name, parameter in network().state_dict().items():
        if "gain" in name:
            assert (parameter == 1).all(), name
        else:
            expected = 0.02 / math.sqrt(2 * 4) if "fc_out" in name or "out_proj" in name else 0.02
            for one in parameter:
                assert float(one.std()) == pytest.approx(expected, rel=0.05), name


def test_seeds_start_with_weights_of_their_own() -> None:
    first, second = network().token_embedding.detach()
    assert not torch.equal(first, second)
    torch.testing.assert_close(network(1).token_embedding.detach()[0], first)


def test_a_tied_output_is_the_product_with_the_embedding() -> None:
    model = network()
    features = torch.randn(2, 3, 5, 128)
    normalised = model.norm(features)
    expected = torch.einsum("sbnd,svd->sbnv", normalised, model.token_embedding)
    torch.testing.assert_close(model.output(features), expected, rtol=1e-4, atol=1e-5)


def test_reading_step_by_step_gives_the_logits_of_the_whole_text() -> None:
    model, tokens = network(), torch.randint(CHARACTERS, (2, 3, 6))
    states, logits = model.start(tokens), []
    for position in range(6):
        one, states = model.step(tokens[:, :, position], states, position)
        logits.append(one)
    torch.testing.assert_close(torch.stack(logits, 2), model(tokens), rtol=1e-4, atol=1e-5)


def test_random_batches_are_scored_like_one_crop_after_the_other() -> None:
    model, text = network(), torch.randint(CHARACTERS, (500,), generator=torch.Generator().manual_seed(3))

    def places() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in (7, 8)]

    found = mean_random_loss(model, text, 3, 4, 16, places())
    for seed, generator in enumerate(places()):
        inputs, targets = random_crops(text, 12, 16, generator)
        losses = []
        for tokens, wanted in zip(inputs, targets, strict=True):
            logits = model(tokens.expand(2, 1, 16))[seed, 0].double()
            losses += [-torch.log_softmax(row, 0)[target] for row, target in zip(logits, wanted, strict=True)]
        assert float(found[seed]) == pytest.approx(float(torch.stack(losses).mean().detach()), rel=1e-5)
    assert float(found.mean()) == pytest.approx(math.log(CHARACTERS), abs=0.2)


def test_an_untied_network_of_the_suite_is_as_it_was() -> None:
    """The norms' gains and the biases are among the 12 width^2 parameters of a block, unless there are no biases."""
    model = SequenceModel(Network.model_validate("transformer"), 5, 64, 2, generators=[torch.Generator()])
    assert model.n_parameters / 2 == pytest.approx(12 * 64**2, rel=0.01)
    assert model.head is not None
    assert float(model.token_embedding.detach().std()) == pytest.approx(0.1, rel=0.15)
