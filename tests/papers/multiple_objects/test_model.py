"""The networks and their gradients, against slow loops and the library."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal

from replications.papers.multiple_objects.model import DRAM, LSTM, RAM, AttentionModel, EpisodeNoise, GlimpseSensor, SeedConv
from replications.papers.multiple_objects.networks import build, forward_flops
from replications.papers.multiple_objects.objective import bound_loss, counted_targets
from replications.papers.multiple_objects.settings import Settings

SIZES = {
    "dataset": "digits",
    "canvas": 24,
    "glimpses": 3,
    "glimpse_side": 4,
    "glimpse_size": 9,
    "hidden_size": 7,
    "classifier_size": 6,
    "context_side": 11,
    "context_filters": (2, 3, 2),
}
SEEDS, BATCH = 2, 5
KINDS: dict[str, dict[str, object]] = {
    "pairs": {},
    "sequence": {"task": "sequence", "glimpse_filters": (3, 4)},
    "one glimpse": {"glimpses": 1},
    "sums without context": {"task": "sums", "model": "no-context"},
    "ram": {"model": "ram"},
}


def generators(n: int = SEEDS) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(n)]


def make(kind: str) -> tuple[AttentionModel, torch.Tensor, EpisodeNoise, torch.Tensor]:
    settings = Settings.model_validate(SIZES | KINDS[kind])
    model = build(settings, generators()).double()
    assert isinstance(model, AttentionModel)
    (draw,) = generators(1)
    images = 255 * torch.rand(SEEDS, BATCH, 24, 24, generator=draw, dtype=torch.float64)
    noise = EpisodeNoise(
        2 * torch.rand(SEEDS, BATCH, 2, generator=draw, dtype=torch.float64) - 1,
        torch.randn(SEEDS, settings.n_glimpses, BATCH, 2, generator=draw, dtype=torch.float64),
    )
    return model, images, noise, torch.randint(3, (SEEDS, settings.n_targets, BATCH), generator=draw)


@pytest.mark.parametrize("location", [(0.0, 0.0), (-1.0, 1.0), (0.99, -0.3), (-0.51, 0.77)])
def test_a_glimpse_is_the_mean_of_pixels_around_its_centre(location: tuple[float, float]) -> None:
    side, g = 10, 3
    image = torch.rand(side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 255
    patches = GlimpseSensor(g, 2)(image[None, None], torch.tensor([[location]], dtype=torch.float64))
    centre_x, centre_y = (math.floor((place + 1) / 2 * side) for place in location)
    for scale in (0, 1):
        width = g * 2**scale
        for row in range(g):
            for column in range(g):
                total = 0.0
                for y in range(2**scale):
                    for x in range(2**scale):
                        pixel_y = centre_y - width // 2 + row * 2**scale + y
                        pixel_x = centre_x - width // 2 + column * 2**scale + x
                        if 0 <= pixel_y < side and 0 <= pixel_x < side:
                            total += float(image[pixel_y, pixel_x])
                assert float(patches[0, 0, scale, row, column]) == pytest.approx(total / 4**scale / 255, abs=1e-12)


def test_the_lstm_is_the_librarys() -> None:
    ours = LSTM(3, 4, generators()).double()
    for seed in range(SEEDS):
        theirs = nn.LSTMCell(3, 4).double()
        with torch.no_grad():
            theirs.weight_ih.copy_(ours.input_fc.weight[seed].T)
            theirs.weight_hh.copy_(ours.hidden_fc.weight[seed].T)
            theirs.bias_ih.copy_(ours.biases[seed, 0])
            theirs.bias_hh.zero_()
        x, hidden, cell = (torch.randn(SEEDS, BATCH, n, generator=torch.Generator().manual_seed(n), dtype=torch.float64) for n in (3, 4, 4))
        found = ours(x, hidden, cell)
        for a, b in zip(found, theirs(x[seed], (hidden[seed], cell[seed])), strict=True):
            torch.testing.assert_close(a[seed], b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_grouped_convolution_is_one_convolution_per_seed(stride: int) -> None:
    ours = SeedConv(2, 3, generators(), stride=stride).double()
    x = torch.randn(SEEDS, BATCH, 2, 7, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for seed in range(SEEDS):
        expected = nn.functional.conv2d(x[seed], ours.weight[seed], ours.bias[seed], stride=stride, padding=1)
        torch.testing.assert_close(ours(x)[seed], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_networks_that_run_together_are_those_that_run_alone(kind: str) -> None:
    model, images, noise, targets = make(kind)
    together = model(images, noise)
    loss, _ = bound_loss(together, targets, glimpses=model.settings.glimpses, weight=0.7, end=-1)
    gradients = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True, allow_unused=True)
    for seed in range(SEEDS):
        one = build(model.settings, generators(1)).double()
        for own, shared in zip(one.parameters(), model.parameters(), strict=True):
            own.data.copy_(shared[seed : seed + 1])
        assert noise.normal is not None
        alone = one(images[seed : seed + 1], EpisodeNoise(noise.first[seed : seed + 1], noise.normal[seed : seed + 1]))
        torch.testing.assert_close(alone.logits[0], together.logits[seed], rtol=1e-10, atol=1e-10)
        loss, _ = bound_loss(alone, targets[seed : seed + 1], glimpses=model.settings.glimpses, weight=0.7, end=-1)
        own_gradients = torch.autograd.grad(loss, list(one.parameters()), materialize_grads=True, allow_unused=True)
        for found, expected in zip(own_gradients, gradients, strict=True):
            torch.testing.assert_close(found[0], expected[seed], rtol=1e-10, atol=1e-10)


def test_log_probabilities_are_those_of_the_normal_distribution() -> None:
    model, images, noise, _ = make("pairs")
    outcome = model(images, noise)
    assert isinstance(model, DRAM)
    assert noise.normal is not None
    state = model.initial_state(images)
    sigma = model.settings.sigma
    constant = 2 * math.log(sigma * math.sqrt(2 * math.pi))
    for n in range(model.settings.n_glimpses):
        mean = model.heads.emission(state.upper)
        sample = mean + sigma * noise.normal[:, n]
        expected = Normal(mean, sigma).log_prob(sample).sum(-1) + constant
        torch.testing.assert_close(outcome.log_probability[:, n], expected)
        torch.testing.assert_close(outcome.locations[:, n], sample.clamp(-1, 1))
        state = model.recur(model.glimpse_sensor(images, outcome.locations[:, n]), outcome.locations[:, n], state)


def test_what_and_where_are_multiplied() -> None:
    model, images, _, _ = make("pairs")
    assert isinstance(model, DRAM)
    network, place = model.glimpse_network, torch.zeros(SEEDS, BATCH, 2, dtype=torch.float64)
    patches = model.glimpse_sensor(images, place)
    at_one = network(patches, place)  # "where" is its bias there, which starts at one
    network.where_fc.bias.data.fill_(0.5)
    torch.testing.assert_close(network(patches, place), 0.5 * at_one)


def test_cross_entropy_reaches_neither_the_upper_layer_nor_the_context() -> None:
    model, images, noise, targets = make("sequence")
    assert isinstance(model, DRAM)
    assert model.context_network is not None
    outcome = model(images, noise)
    loss, _ = bound_loss(outcome, targets, glimpses=3, weight=0.0, end=-1)
    placing = [*model.upper.parameters(), *model.context_network.parameters(), *model.heads.emission_fc.parameters()]
    assert all(not gradient.any() for gradient in torch.autograd.grad(loss, placing, retain_graph=True, materialize_grads=True))
    reading = [*model.lower.parameters(), *model.glimpse_network.parameters()]
    assert all(gradient.any() for gradient in torch.autograd.grad(loss, reading))


def test_without_a_context_the_first_glimpse_is_at_the_same_place_on_every_canvas() -> None:
    for kind, spread in (("sums without context", False), ("pairs", True)):
        model, images, noise, _ = make(kind)
        first = model(images, EpisodeNoise(noise.first)).locations[:, 0]
        assert bool((first != first[:, :1]).any()) == spread


def test_the_first_glimpse_of_ram_is_random_and_nothing_learns_to_place_it() -> None:
    model, images, noise, _ = make("ram")
    assert isinstance(model, RAM)
    outcome = model(images, noise)
    torch.testing.assert_close(outcome.locations[:, 0], noise.first)
    assert not outcome.log_probability[:, 0].any()
    assert outcome.log_probability[:, 1:].all()


def test_targets_count_up_to_the_first_wrong_one_and_the_first_end() -> None:
    end = 9
    targets = torch.tensor([[3, 4, end, end], [3, 4, end, end], [end, end, end, end]]).T[None]
    correct = torch.tensor([[True, True, True, True], [True, False, True, True], [True, True, True, True]]).T[None]
    expected = torch.tensor([[1.0, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]]).T[None]
    torch.testing.assert_close(counted_targets(correct, targets, end), expected)


def test_the_gradient_is_that_of_the_papers_sum_written_out() -> None:
    model, images, noise, targets = make("sequence")
    weight, glimpses, end = 0.3, 3, 2
    outcome = model(images, noise)
    total = torch.zeros((), dtype=torch.float64)
    for seed in range(SEEDS):
        for i in range(BATCH):
            reward = 0
            for s in range(model.settings.n_targets):
                log_p = outcome.logits[seed, s, i].log_softmax(-1)
                target = int(targets[seed, s, i])
                right = int(log_p.argmax()) == target
                reward += right
                total = total - log_p[target] / BATCH
                for n in range(s * glimpses, (s + 1) * glimpses):
                    baseline = outcome.baselines[seed, n, i]
                    advantage = float(reward - baseline.detach())
                    total = total - weight * advantage * outcome.log_probability[seed, n, i] / BATCH
                    total = total + (reward - baseline) ** 2 / (BATCH * model.settings.n_glimpses)
                if not right or target == end:
                    break
    loss, _ = bound_loss(model(images, noise), targets, glimpses=glimpses, weight=weight, end=end)
    found, expected = (torch.autograd.grad(value, list(model.parameters())) for value in (loss, total))
    torch.testing.assert_close(loss, total)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_operations_of_dram_are_those_of_its_layers_and_do_not_depend_on_the_image() -> None:
    settings = Settings.model_validate(SIZES | {"model": "no-context"})
    glimpse, hidden, answers = 9, 7, 55
    of_glimpse = 2 * 16 * glimpse + glimpse**2 + 2 * glimpse + 4 * hidden * (glimpse + hidden) + 4 * hidden * (hidden + hidden) + hidden * 3
    assert forward_flops(settings, 24) == 2 * (3 * of_glimpse + hidden * 6 + 6 * answers)
    for model in ("dram", "no-context", "ram"):
        of_model = settings.model_copy(update={"model": model})
        assert forward_flops(of_model, 24) == forward_flops(of_model, 97)
