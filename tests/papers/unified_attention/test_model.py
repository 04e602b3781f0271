"""The model and its gradients, against slow loops, the distribution of the library, and recurrent attention of the other paper."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal

from replications.papers.recurrent_attention import model as ram
from replications.papers.recurrent_attention.settings import Settings as RamSettings
from replications.papers.unified_attention.model import EpisodeNoise, Pyramid, QNetwork, UnifiedAttentionModel
from replications.papers.unified_attention.objective import loss_and_metrics, q_error
from replications.papers.unified_attention.settings import Settings

SIZES = {
    "dataset": "digits",
    "canvas": 24,
    "glimpses": 4,
    "glimpse_side": 4,
    "scales": 2,
    "glimpse_size": 6,
    "hidden_size": 7,
    "q_size": 5,
    "sigma": 0.2,
}
SEEDS, BATCH = 2, 5
MODELS = ["unified", "ram", "random-cell", "q-only"]


def generators(n: int = SEEDS) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(n)]


def make(model: str, grid: int = 3) -> tuple[UnifiedAttentionModel, torch.Tensor, EpisodeNoise, torch.Tensor]:
    settings = Settings.model_validate(SIZES | {"model": model, "grid": grid})
    network = UnifiedAttentionModel(settings, generators()).double()
    (draw,) = generators(1)
    later = (SEEDS, settings.decisions, BATCH)
    noise = EpisodeNoise(
        2 * torch.rand(SEEDS, BATCH, 2, generator=draw, dtype=torch.float64) - 1,
        torch.randint(grid**2, later, generator=draw),
        torch.rand(later, generator=draw) < 0.4,
        torch.randn(*later, 2, generator=draw, dtype=torch.float64),
    )
    images = 255 * torch.rand(SEEDS, BATCH, 24, 24, generator=draw, dtype=torch.float64)
    return network, images, noise, torch.randint(10, (SEEDS, BATCH), generator=draw)


def one_seed(noise: EpisodeNoise, seed: int) -> EpisodeNoise:
    part = slice(seed, seed + 1)
    assert noise.explore is not None
    assert noise.normal is not None
    return EpisodeNoise(noise.first[part], noise.cells[part], noise.explore[part], noise.normal[part])


@pytest.mark.parametrize("grid", [1, 2, 3, 6])
def test_cells_hold_the_mean_brightness_below_them_and_lie_where_their_centres_say(grid: int) -> None:
    image = 255 * torch.rand(24, 24, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    pyramid = Pyramid(4, grid)
    cells, width = pyramid(image[None, None])[0, 0], 24 // grid
    for row in range(grid):
        for column in range(grid):
            cell = row * grid + column
            x, y = ((pyramid.centres[cell] + 1) * 12).tolist()
            assert (x, y) == pytest.approx((column * width + width / 2, row * width + width / 2), abs=1e-5)
            pixels = image[row * width : (row + 1) * width, column * width : (column + 1) * width]
            for i in range(width // 4):
                for j in range(width // 4):
                    expected = float(pixels[4 * i : 4 * i + 4, 4 * j : 4 * j + 4].mean()) / 255
                    assert float(cells[cell, i * (width // 4) + j]) == pytest.approx(expected)


def test_the_retina_is_that_of_recurrent_attention() -> None:
    network, images, noise, _ = make("ram")
    expected = ram.GlimpseSensor(4, 2)(images, noise.first)
    torch.testing.assert_close(network.glimpse_sensor(images, noise.first), expected)


def recurrent_attention(network: UnifiedAttentionModel) -> ram.RecurrentAttentionModel:
    """The other paper's model with the weights of this one's bottom-up branch."""
    sizes = {
        name: SIZES[name] for name in ("dataset", "canvas", "glimpses", "glimpse_side", "scales", "glimpse_size", "hidden_size", "sigma")
    }
    other = ram.RecurrentAttentionModel(RamSettings.model_validate(sizes | {"translated": True}), generators()).double()
    heads = network.heads
    pairs = [
        (other.glimpse_network, network.glimpse_network),
        (other.core_network, network.core_network),
        (other.action_network.fc, heads.action_fc),
        (other.baseline_network.fc, heads.baseline_fc),
        (other.location_network.mean_fc, heads.location_fc),
    ]
    for target, source in pairs:
        target.load_state_dict(source.state_dict())
    return other


@pytest.mark.parametrize(("model", "grid"), [("ram", 3), ("unified", 1), ("random-cell", 1)])
def test_with_one_cell_the_model_is_recurrent_attention_in_values_and_gradients(model: str, grid: int) -> None:
    network, images, noise, labels = make(model, grid)
    other = recurrent_attention(network)
    found, expected = network(images, noise), other(images, ram.EpisodeNoise(noise.first, noise.normal))
    for name in ("logits", "log_probability", "baselines"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=1e-10, atol=1e-10)
    bottom_up = [*network.glimpse_network.parameters(), *network.core_network.parameters(), *network.heads.location_fc.parameters()]
    theirs = [*other.glimpse_network.parameters(), *other.core_network.parameters(), *other.location_network.parameters()]
    loss, _ = loss_and_metrics(found, labels, 0.3)
    entropy = torch.nn.functional.cross_entropy(expected.logits.flatten(0, 1), labels.flatten(), reduction="sum") / BATCH
    reward = (expected.logits.argmax(-1) == labels).double()
    advantage = reward[:, None] - expected.baselines.detach()
    total = entropy - 0.3 * (advantage * expected.log_probability).sum() / BATCH
    for ours, reference in zip(torch.autograd.grad(loss, bottom_up), torch.autograd.grad(total, theirs), strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-12)


def test_initial_weights_of_the_bottom_up_branch_do_not_depend_on_the_model() -> None:
    first = UnifiedAttentionModel(Settings.model_validate(SIZES | {"grid": 3}), generators())
    for model in MODELS[1:]:
        other = UnifiedAttentionModel(Settings.model_validate(SIZES | {"grid": 3, "model": model}), generators())
        for name, weight in other.state_dict().items():
            assert torch.equal(weight, first.state_dict()[name]), name


def test_q_values_are_those_of_a_network_that_reads_one_cell_at_a_time() -> None:
    settings = Settings.model_validate(SIZES | {"grid": 3})
    network, pyramid = QNetwork(settings, generators()).double(), Pyramid(4, 3).double()
    (draw,) = generators(1)
    images = 255 * torch.rand(SEEDS, BATCH, 24, 24, generator=draw, dtype=torch.float64)
    hidden = torch.randn(SEEDS, BATCH, 7, generator=draw, dtype=torch.float64)
    cells = pyramid(images)
    found = network(hidden, network.of_cells(cells, pyramid.centres))
    layers = network.state_fc, network.pixels_fc, network.centre_fc
    for seed in range(SEEDS):
        for i in range(BATCH):
            for c in range(9):
                inputs = hidden[seed, i], cells[seed, i, c], pyramid.centres[c]
                units = sum(x @ layer.weight[seed] + layer.bias[seed, 0] for x, layer in zip(inputs, layers, strict=True))
                value = units.relu() @ network.value_fc.weight[seed] + network.value_fc.bias[seed, 0]
                torch.testing.assert_close(found[seed, i, c], value[0])


def test_the_cell_of_the_highest_value_is_taken_but_where_the_episode_explores() -> None:
    network, images, noise, _ = make("unified")
    outcome = network(images, noise)
    assert noise.explore is not None
    greedy = outcome.q.argmax(-1)
    assert torch.equal(outcome.cells, torch.where(noise.explore, noise.cells, greedy))
    assert (outcome.cells != greedy).any()
    greedy_only = network(images, EpisodeNoise(noise.first, noise.cells))
    assert torch.equal(greedy_only.cells, greedy_only.q.argmax(-1))
    random_network, images, noise, _ = make("random-cell")
    assert torch.equal(random_network(images, noise).cells, noise.cells)


def test_log_probabilities_are_those_of_the_normal_distribution_around_the_guided_mean() -> None:
    network, images, noise, _ = make("unified")
    outcome = network(images, noise)
    assert noise.normal is not None
    sigma, constant = network.settings.sigma, 2 * math.log(network.settings.sigma * math.sqrt(2 * math.pi))
    hidden = network.see(images, noise.first, images.new_zeros(SEEDS, BATCH, 7))
    for t in range(network.settings.decisions):
        column, row = outcome.cells[:, t] % 3, outcome.cells[:, t] // 3
        centre = torch.stack([column, row], dim=-1) * (2 / 3) - 2 / 3
        mean = centre + torch.tanh(network.heads.location_fc(hidden)) / 3
        sample = mean + sigma * noise.normal[:, t]
        torch.testing.assert_close(
            outcome.log_probability[:, t], Normal(mean, sigma).log_prob(sample).sum(-1) + constant, rtol=1e-6, atol=1e-6
        )
        torch.testing.assert_close(outcome.locations[:, t + 1], sample.clamp(-1, 1), rtol=1e-6, atol=1e-6)
        hidden = network.see(images, outcome.locations[:, t + 1], hidden)
    torch.testing.assert_close(outcome.logits, network.heads.classify(hidden))


def test_without_a_move_the_glimpse_is_at_the_centre_of_the_cell_and_nothing_moves_it() -> None:
    network, images, noise, labels = make("q-only")
    outcome = network(images, noise)
    assert network.pyramid is not None
    assert torch.equal(outcome.locations[:, 1:], network.pyramid.centres[outcome.cells])
    loss, _ = loss_and_metrics(outcome, labels, 1.0)
    assert torch.autograd.grad(loss, list(network.heads.location_fc.parameters()), allow_unused=True) == (None, None)


def test_the_target_of_every_q_value_is_the_final_reward_written_out() -> None:
    network, images, noise, labels = make("unified")
    outcome = network(images, noise)
    labels[:, 0] = outcome.logits.argmax(-1)[:, 0]  # at least one right answer of each seed
    expected = torch.zeros(SEEDS, dtype=torch.float64)
    n = 0
    for t in range(network.settings.decisions):
        for i in range(BATCH):
            n += 1
            for seed in range(SEEDS):
                right = int(outcome.logits[seed, i].argmax()) == int(labels[seed, i])
                # Rewards after this decision: none but the last, which is not discounted.
                target = sum(
                    float(right) if later == network.settings.decisions - 1 else 0.0 for later in range(t, network.settings.decisions)
                )
                expected[seed] += (float(outcome.q[seed, t, i, outcome.cells[seed, t, i]].detach()) - target) ** 2
    reward = (outcome.logits.argmax(-1) == labels).double()
    torch.testing.assert_close(q_error(outcome.q, outcome.cells, reward).detach(), expected / n)
    (gradient,) = torch.autograd.grad(q_error(outcome.q, outcome.cells, reward).sum(), outcome.q, retain_graph=True)
    taken = torch.nn.functional.one_hot(outcome.cells, 9).bool()
    assert not gradient[~taken].any(), "cells that were not taken have no target"
    assert gradient[taken].all()


def test_each_loss_reaches_its_own_part() -> None:
    network, images, noise, labels = make("unified")
    assert network.q_network is not None
    outcome = network(images, noise)
    reward = (outcome.logits.argmax(-1) == labels).double()
    of_q, core, moves = (
        list(network.q_network.parameters()),
        list(network.core_network.parameters()),
        list(network.heads.location_fc.parameters()),
    )

    def reached(loss: torch.Tensor, parameters: list[torch.nn.Parameter]) -> list[bool]:
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True, allow_unused=True)
        return [bool(gradient.any()) for gradient in gradients]

    q = q_error(outcome.q, outcome.cells, reward).sum()
    assert all(reached(q, of_q))
    assert not any(reached(q, [*core, *moves, *network.glimpse_network.parameters()]))
    assert not any(reached(outcome.logits.sum(), [*of_q, *moves]))
    assert all(reached(outcome.log_probability.sum(), [*moves, *core]))
    assert not any(reached(outcome.baselines.sum(), [*of_q, *moves, *core]))


class CellValues(nn.Module):
    """Q values of given cells."""

    def __init__(self, network: UnifiedAttentionModel) -> None:
        super().__init__()
        assert network.q_network is not None
        assert network.pyramid is not None
        self.q_network, self.centres = network.q_network, network.pyramid.centres.double()

    def forward(self, hidden: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = self.q_network(hidden, self.q_network.of_cells(cells, self.centres))
        return values


class Reader(nn.Module):
    """Class logits and moves after two glimpses at given places."""

    def __init__(self, network: UnifiedAttentionModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = images.new_zeros(SEEDS, BATCH, 7)
        for place in places:
            hidden = self.network.see(images, place, hidden)
        return self.network.heads.classify(hidden), self.network.heads.move(hidden)


@pytest.mark.parametrize("part", ["q", "reader"])
def test_gradients_of_the_parts_are_finite_differences(part: str) -> None:
    network, images, noise, _ = make("unified")
    assert network.pyramid is not None
    module = CellValues(network) if part == "q" else Reader(network)
    hidden = torch.randn(SEEDS, BATCH, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    inputs = (hidden, network.pyramid(images)) if part == "q" else (images, torch.stack([noise.first, -noise.first]))
    weights = {name: value.detach().clone().requires_grad_() for name, value in module.named_parameters()}

    def of_weights(*values: torch.Tensor) -> object:
        return torch.func.functional_call(module, dict(zip(weights, values, strict=True)), inputs)

    assert torch.autograd.gradcheck(of_weights, tuple(weights.values()), fast_mode=True)


@pytest.mark.parametrize("model", MODELS)
def test_networks_that_run_together_are_those_that_run_alone(model: str) -> None:
    network, images, noise, labels = make(model)
    together = network(images, noise)
    loss, _ = loss_and_metrics(together, labels, 0.7)
    gradients = torch.autograd.grad(loss, list(network.parameters()), materialize_grads=True, allow_unused=True)
    for seed in range(SEEDS):
        one = UnifiedAttentionModel(network.settings, generators(1)).double()
        for own, shared in zip(one.parameters(), network.parameters(), strict=True):
            own.data.copy_(shared[seed : seed + 1])
        alone = one(images[seed : seed + 1], one_seed(noise, seed))
        torch.testing.assert_close(alone.logits[0], together.logits[seed], rtol=1e-10, atol=1e-10)
        loss, _ = loss_and_metrics(alone, labels[seed : seed + 1], 0.7)
        own_gradients = torch.autograd.grad(loss, list(one.parameters()), materialize_grads=True, allow_unused=True)
        for found, expected in zip(own_gradients, gradients, strict=True):
            torch.testing.assert_close(found[0], expected[seed], rtol=1e-10, atol=1e-10)


def test_the_gradient_is_that_of_the_sum_written_out() -> None:
    network, images, noise, labels = make("unified")
    weight, decisions = 0.3, network.settings.decisions
    outcome = network(images, noise)
    total = torch.zeros((), dtype=torch.float64)
    for seed in range(SEEDS):
        for i in range(BATCH):
            log_p, label = outcome.logits[seed, i].log_softmax(-1), int(labels[seed, i])
            reward = float(int(log_p.argmax()) == label)
            total = total - log_p[label] / BATCH
            for t in range(decisions):
                baseline, value = outcome.baselines[seed, t, i], outcome.q[seed, t, i, outcome.cells[seed, t, i]]
                total = total - weight * (reward - float(baseline.detach())) * outcome.log_probability[seed, t, i] / BATCH
                total = total + ((reward - baseline) ** 2 + (reward - value) ** 2) / (BATCH * decisions)
    loss, _ = loss_and_metrics(network(images, noise), labels, weight)
    torch.testing.assert_close(loss, total)
    found, expected = (torch.autograd.grad(value, list(network.parameters())) for value in (loss, total))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
