"""The recurrent attention model: its plain form against its fast form, gradients, sizes, seeds."""

import pytest
import torch
from torch import Tensor, nn

from replications.papers.recurrent_attention.classifiers import ModernCNN
from replications.papers.recurrent_attention.fused import FusedEpisodes
from replications.papers.recurrent_attention.model import EpisodeNoise, RecurrentAttentionModel, fixed_locations
from replications.papers.recurrent_attention.objective import HybridLoss
from replications.papers.recurrent_attention.settings import Settings

CPU = torch.device("cpu")


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def batch(settings: Settings, n_seeds: int, n_images: int) -> tuple[Tensor, EpisodeNoise]:
    g = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (n_seeds, n_images, settings.canvas, settings.canvas), generator=g).float()
    first = torch.rand(n_seeds, n_images, 2, generator=g) * 2 - 1
    normal = torch.randn(n_seeds, settings.glimpses - 1, n_images, 2, generator=g)
    return images, EpisodeNoise(first, normal)


SMALL = Settings(canvas=20, dataset="digits", glimpse_side=4, scales=2, glimpses=4, glimpse_size=8, hidden_size=12, sigma=0.3)


@pytest.mark.parametrize("reinforce_weight", [0.0, 0.7])
@pytest.mark.parametrize("locations", ["sampled", "means", "random"])
@pytest.mark.parametrize(
    "varied",
    [
        {},
        {"glimpses": 1},
        {"glimpses": 2, "scales": 1},
        {"scales": 3, "glimpse_side": 5},
        {"locator_size": 6},
        {"baseline": "moving-average"},
        {"combination": "multiply"},
        {"sigma_end": 0.1},
    ],
    ids=str,
)
def test_outputs_and_all_gradients_of_the_fast_form_equal_those_of_plain_steps(
    varied: dict[str, object], locations: str, reinforce_weight: float
) -> None:
    policy = "random" if locations == "random" else "learned"
    settings = Settings.model_validate(SMALL.model_dump() | {"policy": policy, "reinforce_weight": reinforce_weight} | varied)
    model = RecurrentAttentionModel(settings, generators(0, 1)).double()
    images, drawn = batch(settings, 2, 7)
    assert drawn.normal is not None
    first, normal = drawn.first.double(), drawn.normal.double()
    noise = {
        "sampled": EpisodeNoise(first, normal=normal),
        "means": EpisodeNoise(first),
        "random": EpisodeNoise(first, uniform=normal.clamp(-1, 1)),
    }[locations]
    labels = torch.randint(0, 10, (2, 7), generator=torch.Generator().manual_seed(1))
    gradients = []
    outcomes = [model(images.double(), noise), FusedEpisodes(model, CPU)(images.double(), noise)]
    for outcome in outcomes:
        loss, _ = HybridLoss(settings, n_seeds=2).double()(outcome, labels)
        # Gradients of every output, whether or not the loss of these settings uses it.
        loss = loss + (outcome.log_probability * 0.1).sum() + outcome.baselines.square().sum()
        gradients.append(torch.autograd.grad(loss, list(model.parameters()), allow_unused=True))
    for plain, fast in zip(*(vars(outcome).values() for outcome in outcomes), strict=True):
        torch.testing.assert_close(fast, plain, rtol=0, atol=1e-10)
    for (name, parameter), plain, fast in zip(model.named_parameters(), *gradients, strict=True):
        zeros = torch.zeros_like(parameter)
        torch.testing.assert_close(
            zeros if fast is None else fast, zeros if plain is None else plain, rtol=1e-10, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_multiplied_glimpses_are_products_of_what_and_where() -> None:
    """By scalar arithmetic: g = ReLU((w_1 h_g + b_1) (w_2 h_l + b_2)), where the published sum has a plus sign."""
    for combination, join in {"add": lambda a, b: a + b, "multiply": lambda a, b: a * b}.items():
        network = RecurrentAttentionModel(SMALL.model_copy(update={"combination": combination}), generators(0)).double().glimpse_network
        patches, location = torch.rand(1, 1, SMALL.patch_pixels).double(), torch.tensor([[[0.3, -0.8]]]).double()
        h_g, h_l = network.patch_fc(patches).relu()[0, 0].tolist(), network.location_fc(location).relu()[0, 0].tolist()
        outputs = network(patches, location)[0, 0].tolist()
        for unit, output in enumerate(outputs):
            sides = []
            for layer, hidden in ((network.glimpse_fc_patch, h_g), (network.glimpse_fc_location, h_l)):
                weights, bias = layer.weight[0, :, unit].tolist(), layer.bias[0, 0, unit].item()
                sides.append(bias + sum(w * h for w, h in zip(weights, hidden, strict=True)))
            assert output == pytest.approx(max(0.0, join(*sides)), abs=1e-12)


def test_an_annealed_deviation_moves_on_a_line_and_ends_where_it_should() -> None:
    model = RecurrentAttentionModel(SMALL.model_copy(update={"sigma": 0.4, "sigma_end": 0.1, "n_steps": 4}), generators(0))
    seen = []
    for step in range(4):
        model.anneal(step)
        seen.append(float(model.sigma))
    assert seen == pytest.approx([0.4, 0.3, 0.2, 0.1])
    constant = RecurrentAttentionModel(SMALL, generators(0))
    constant.anneal(3)
    assert constant.sigma == SMALL.sigma
    assert "annealed_sigma" in model.state_dict()
    assert "annealed_sigma" not in constant.state_dict()


def test_an_episode_is_a_loop_over_steps() -> None:
    model = RecurrentAttentionModel(SMALL, generators(0)).double()
    images, noise = batch(SMALL, 1, 3)
    images, location = images.double(), noise.first.double()
    hidden = torch.zeros(1, 3, SMALL.hidden_size, dtype=torch.float64)
    for _ in range(SMALL.glimpses):
        step = model.step(images, location, hidden)
        hidden, location = step.hidden, step.location_mean.detach()
    torch.testing.assert_close(model(images, EpisodeNoise(noise.first.double())).logits, step.logits, rtol=0, atol=1e-12)


@pytest.mark.parametrize("fast", [False, True])
def test_reinforce_reaches_the_core_and_the_baseline_does_not_shape_it(fast: bool) -> None:
    model = RecurrentAttentionModel(SMALL, generators(0))
    run = FusedEpisodes(model, CPU) if fast else model
    outcome = run(*batch(SMALL, 1, 4))
    core, locator = list(model.core_network.parameters()), list(model.location_network.parameters())
    sensing = list(model.glimpse_network.parameters())
    none = (None,) * len(core + locator + sensing)
    assert torch.autograd.grad(outcome.baselines.sum(), core + locator + sensing, allow_unused=True, retain_graph=True) == none
    assert torch.autograd.grad(outcome.logits.sum(), locator, allow_unused=True, retain_graph=True) == (None, None)
    assert all(gradient.any() for gradient in torch.autograd.grad(outcome.log_probability.sum(), core + locator + sensing))


def test_the_published_network_has_the_number_of_parameters_derived_from_the_paper() -> None:
    model = RecurrentAttentionModel(Settings(canvas=60, glimpse_side=12, scales=3), generators(0))
    assert sum(p.numel() for p in model.parameters()) == 256_781


def test_a_seed_alone_gives_what_it_gives_among_others() -> None:
    settings = Settings(canvas=60, translated=True, glimpse_side=12, scales=3)
    together, alone = (FusedEpisodes(RecurrentAttentionModel(settings, g), CPU) for g in (generators(0, 1, 2), generators(1)))
    images, noise = batch(settings, 3, 16)
    assert noise.normal is not None
    ours = together(images, noise)
    single = alone(images[1:2], EpisodeNoise(noise.first[1:2], noise.normal[1:2]))
    torch.testing.assert_close(ours.logits[1:2], single.logits)
    torch.testing.assert_close(ours.log_probability[1:2], single.log_probability, rtol=1e-3, atol=1e-4)


def test_no_seed_s_loss_reaches_another_s_weights() -> None:
    settings = Settings(canvas=28)
    model = RecurrentAttentionModel(settings, generators(0, 1))
    outcome = FusedEpisodes(model, CPU)(*batch(settings, 2, 4))
    loss = outcome.logits[0].square().sum() + outcome.log_probability[0].sum() + outcome.baselines[0].sum()
    for parameter in torch.autograd.grad(loss, list(model.parameters())):
        assert parameter[0].any()
        assert not parameter[1].any()


def test_reinforce_trains_the_location_network_and_the_core_cross_entropy_not_the_first_and_the_baseline_neither() -> None:
    model = RecurrentAttentionModel(Settings(canvas=28), generators(0))
    outcome = FusedEpisodes(model, CPU)(*batch(Settings(canvas=28), 1, 4))
    locator, core = list(model.location_network.parameters()), list(model.core_network.hidden_to_hidden.parameters())
    assert torch.autograd.grad(outcome.logits.sum(), locator, allow_unused=True, retain_graph=True) == (None, None)
    assert torch.autograd.grad(outcome.baselines.sum(), core + locator, allow_unused=True, retain_graph=True) == (None,) * 4
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


def test_fixed_locations_stay_inside_the_image_and_cover_it_evenly() -> None:
    path = fixed_locations(400)
    radius = path.norm(dim=1)
    assert path.shape == (400, 2)
    assert radius.max() <= 0.8
    # Equal areas: a disc of half the area holds half of the points.
    assert abs((radius < 0.8 / 2**0.5).float().mean() - 0.5) < 0.01
    assert path.mean(0).abs().max() < 0.02
    assert fixed_locations(0).shape == (0, 2)
