"""The recurrent attention model: gradients, sizes, seeds."""

import pytest
import torch
from torch import Tensor, nn

from replications.papers.recurrent_attention.classifiers import ModernCNN
from replications.papers.recurrent_attention.model import Draws, RecurrentAttention
from replications.papers.recurrent_attention.settings import Settings

CPU = torch.device("cpu")


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def batch(settings: Settings, n_seeds: int, n_images: int) -> tuple[Tensor, Draws]:
    g = torch.Generator().manual_seed(5)
    canvases = torch.randint(0, 256, (n_seeds, n_images, settings.canvas, settings.canvas), generator=g).float()
    first = torch.rand(n_seeds, n_images, 2, generator=g) * 2 - 1
    noise = torch.randn(n_seeds, settings.glimpses - 1, n_images, 2, generator=g)
    return canvases, Draws(first, noise)


def plain_hidden(model: RecurrentAttention, glimpses: Tensor, locations: Tensor) -> Tensor:
    """The core's states written down as the paper does, with ordinary autograd."""
    states: list[Tensor] = []
    for step in range(glimpses.shape[1]):
        see, place = model.see(glimpses[:, step]).relu(), model.place(locations[:, step]).relu()
        vector = (model.from_see(see) + model.from_place(place)).relu()
        before = states[-1] if states else vector.new_zeros(*vector.shape[:2], model.settings.hidden_size)
        states.append((model.from_hidden(before) + model.from_glimpse(vector)).relu())
    return torch.stack(states, 1)


@pytest.mark.parametrize("glimpses", [1, 2, 5])
def test_values_and_gradients_equal_those_of_the_plain_recurrence(glimpses: int) -> None:
    settings = Settings(canvas=20, dataset="digits", glimpse_side=4, scales=2, glimpses=glimpses, glimpse_size=8, hidden_size=12)
    model = RecurrentAttention(settings, generators(0, 1), CPU).double()
    canvases, draws = batch(settings, 2, 7)
    episode = model.look(canvases.double(), Draws(draws.first.double(), None if draws.noise is None else draws.noise.double()))
    fast, plain = model.hidden_with_gradients(episode), plain_hidden(model, episode.glimpses, episode.locations)
    torch.testing.assert_close(fast, plain)
    upstream = torch.randn(plain.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    names, parameters = zip(*[(n, p) for n, p in model.named_parameters() if n.startswith(("see", "place", "from"))], strict=True)
    gradients = [torch.autograd.grad((hidden * upstream).sum(), parameters, allow_unused=True) for hidden in (fast, plain)]
    for name, ours, theirs in zip(names, *gradients, strict=True):
        assert ours is not None, name
        torch.testing.assert_close(ours, torch.zeros_like(ours) if theirs is None else theirs)


def test_the_published_network_has_the_number_of_parameters_derived_from_the_paper() -> None:
    model = RecurrentAttention(Settings(canvas=60, glimpse_side=12, scales=3), generators(0), CPU)
    assert sum(p.numel() for p in model.parameters()) == 256_781


def test_a_seed_alone_gives_what_it_gives_among_others() -> None:
    settings = Settings(canvas=60, translated=True, glimpse_side=12, scales=3)
    together, alone = RecurrentAttention(settings, generators(0, 1, 2), CPU), RecurrentAttention(settings, generators(1), CPU)
    canvases, draws = batch(settings, 3, 16)
    assert draws.noise is not None
    ours = together(canvases, draws)
    single = alone(canvases[1:2], Draws(draws.first[1:2], draws.noise[1:2]))
    torch.testing.assert_close(ours.logits[1:2], single.logits)
    torch.testing.assert_close(ours.log_probability[1:2], single.log_probability, rtol=1e-3, atol=1e-4)


def test_no_seed_s_loss_reaches_another_s_weights() -> None:
    settings = Settings(canvas=28)
    model = RecurrentAttention(settings, generators(0, 1), CPU)
    outcome = model(*batch(settings, 2, 4))
    loss = outcome.logits[0].square().sum() + outcome.log_probability[0].sum() + outcome.values[0].sum()
    for parameter in torch.autograd.grad(loss, list(model.parameters())):
        assert parameter[0].any()
        assert not parameter[1].any()


def test_reinforce_trains_the_location_network_and_the_core_cross_entropy_not_the_first_and_the_baseline_neither() -> None:
    model = RecurrentAttention(Settings(canvas=28), generators(0), CPU)
    outcome = model(*batch(Settings(canvas=28), 1, 4))
    locator, core = list(model.locate.parameters()), list(model.from_hidden.parameters())
    assert torch.autograd.grad(outcome.logits.sum(), locator, allow_unused=True, retain_graph=True) == (None, None)
    assert torch.autograd.grad(outcome.values.sum(), core + locator, allow_unused=True, retain_graph=True) == (None,) * 4
    assert all(gradient.any() for gradient in torch.autograd.grad(outcome.log_probability.sum(), core + locator))


def test_the_cnn_equals_library_layers_with_relu_before_pooling() -> None:
    settings = Settings(canvas=20, dataset="digits", model="cnn", cnn_filters=(3, 4, 5))
    ours = ModernCNN(settings, generators(0, 1))
    canvases, _ = batch(settings, 2, 6)
    scores = ours(canvases)
    scores.square().sum().backward()
    for seed in range(2):
        convolutions = [nn.Conv2d(n_in, n_out, 3, padding=1) for n_in, n_out in ((1, 3), (3, 4), (4, 5))]
        for layer, weight, bias in zip(convolutions, ours.weights, ours.biases, strict=True):
            layer.load_state_dict({"weight": weight[seed], "bias": bias[seed]})
        blocks = [nn.Sequential(layer, nn.ReLU(), nn.MaxPool2d(2)) for layer in convolutions]
        top = nn.Sequential(*blocks)(canvases[seed].unsqueeze(1) / 255).amax((2, 3))
        expected = ours.classify(top.expand(2, -1, -1))[seed]
        torch.testing.assert_close(scores[seed], expected)
        expected.square().sum().backward()
        for layer, weight, bias in zip(convolutions, ours.weights, ours.biases, strict=True):
            assert weight.grad is not None and bias.grad is not None
            torch.testing.assert_close(weight.grad[seed], layer.weight.grad)
            torch.testing.assert_close(bias.grad[seed], layer.bias.grad)
