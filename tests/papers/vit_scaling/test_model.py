"""Networks against what was published about them, and against torch's own operations."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from replications.papers.vit_scaling.counting import counts
from replications.papers.vit_scaling.fused import ATTENTION, AutoAttention
from replications.papers.vit_scaling.model import MultiHeadSelfAttention, PatchEmbedding, PositionEmbedding, VisionTransformer, sincos
from replications.papers.vit_scaling.networks import assemble, build, replace_head
from replications.papers.vit_scaling.resnet import ResNet, ResNetShape, StandardisedConv2d
from replications.papers.vit_scaling.settings import Settings
from replications.paths import ROOT

SmallSettings = Callable[..., Settings]
R50: dict[str, Any] = {"family": "resnet", "block": "bottleneck", "large_stem": True, "stages": (3, 4, 6, 3), "channels": 64}


def at_224(**changes: Any) -> Settings:
    return Settings.model_validate({"dataset": "imagenet-1k", "n_images": 1_281_167, "image_size": 224} | changes)


@pytest.mark.parametrize(
    ("changes", "millions"),
    [  # Table 1 of the paper; DeiT's table for Ti and S; torchvision's documentation for ResNet-50
        ({"size": "base", "patch_size": 16}, 86.6),
        ({"size": "large", "patch_size": 16}, 304.3),
        ({"size": "huge", "patch_size": 14}, 632.0),
        ({"size": "tiny", "patch_size": 16}, 5.7),
        ({"size": "small", "patch_size": 16}, 22.05),
        (R50, 25.557),
    ],
)
def test_parameters_are_the_published_ones(changes: dict[str, Any], millions: float) -> None:
    assert counts(at_224(**changes))[0] / 1e6 == pytest.approx(millions, rel=0.005)


@pytest.mark.parametrize(
    ("changes", "epochs", "exaflops", "within"),
    [  # Table 6 of the paper, at 303 million images per epoch
        ({"size": "base", "patch_size": 32}, 7, 55, 0.025),
        ({"size": "base", "patch_size": 16}, 7, 224, 0.005),
        ({"size": "large", "patch_size": 16}, 14, 1567, 0.005),
        ({"size": "huge", "patch_size": 14}, 14, 4262, 0.005),
        (R50, 7, 50, 0.05),
        (R50 | {"channels": 128}, 7, 199, 0.05),
        (R50 | {"stages": (3, 24, 36, 3), "channels": 192}, 14, 3306, 0.05),
        (R50 | {"family": "hybrid", "stages": (3, 4, 9), "size": "base", "patch_size": 1}, 7, 274, 0.005),
    ],
)
def test_counted_compute_is_that_of_table_6(changes: dict[str, Any], epochs: int, exaflops: float, within: float) -> None:
    result = 6 * counts(at_224(**changes))[1] * epochs * 303e6 / 1e18
    assert result == pytest.approx(exaflops, rel=within)


def test_resnet_50_has_its_published_4_1_gflops() -> None:
    assert counts(at_224(**R50))[1] / 1e9 == pytest.approx(4.09, abs=0.02)


def test_both_attention_products_equal_torchs_multi_head_attention() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(3, 7, 24, generator=generator)
    reference = nn.MultiheadAttention(24, 4, batch_first=True)
    expected, weights = reference(tokens, tokens, tokens, average_attn_weights=False)
    for kind in (MultiHeadSelfAttention, *ATTENTION.values()):
        ours = kind(24, 4)
        with torch.no_grad():
            ours.qkv.weight.copy_(reference.in_proj_weight)
            ours.qkv.bias.copy_(reference.in_proj_bias)
        ours.out.load_state_dict(reference.out_proj.state_dict())
        torch.testing.assert_close(ours(tokens), expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ours.weights(tokens), weights, atol=1e-6, rtol=1e-4)


def test_bf16_products_on_a_cpu_are_explicit_and_near_fp32() -> None:
    layer = AutoAttention(32, 4)
    tokens = torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(1), requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = layer(tokens)
    assert "ScaledDotProduct" not in _operations(result.grad_fn)
    torch.testing.assert_close(result.float(), layer(tokens), atol=0.02, rtol=0.05)


def _operations(node: Any) -> str:
    seen, waiting = "", [node]
    while waiting:
        current = waiting.pop()
        if current is not None:
            seen += type(current).__name__
            waiting += [parent for parent, _ in current.next_functions]
    return seen


def test_the_patch_embedding_is_a_linear_map_of_flattened_patches(small: SmallSettings) -> None:
    network = build(small(), torch.Generator().manual_seed(0))
    assert isinstance(network, VisionTransformer)
    images = torch.randn(2, 3, 8, 8)
    patches = images.view(2, 3, 4, 2, 4, 2).permute(0, 2, 4, 1, 3, 5).reshape(2, 16, 12)
    embedding = network.patches
    assert isinstance(embedding, PatchEmbedding)
    expected = functional.linear(patches, embedding.projection.weight.flatten(1), embedding.projection.bias)
    torch.testing.assert_close(embedding(images).flatten(2).mT, expected, atol=1e-5, rtol=1e-4)


def permuted_features(settings: Settings) -> float:
    """How far features move when two patches change places."""
    network = build(settings, torch.Generator().manual_seed(0)).eval()
    images = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    swapped = images.clone()
    swapped[..., :2, :2], swapped[..., 4:6, 6:8] = images[..., 4:6, 6:8], images[..., :2, :2]
    with torch.no_grad():
        return float((network.features(images) - network.features(swapped)).abs().max())


@pytest.mark.parametrize("pooling", ["token", "average"])
def test_without_positions_the_order_of_patches_is_invisible_and_with_any_kind_it_is_not(small: SmallSettings, pooling: str) -> None:
    assert permuted_features(small(positions="none", pooling=pooling)) < 1e-5
    for kind in ("learned-1d", "learned-2d", "sincos-2d"):
        assert permuted_features(small(positions=kind, pooling=pooling)) > 1e-4


def test_learned_2d_positions_share_rows_and_columns() -> None:
    places = PositionEmbedding("learned-2d", (3, 5), 8, class_token=False)
    for parameter in places.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    table = places.table()
    assert table is not None
    grid = table.view(3, 5, 8)
    assert torch.equal(grid[0, :, :4], grid[2, :, :4])  # the half that tells the column
    assert torch.equal(grid[:, 1, 4:], grid[:, 3, 4:])  # the half that tells the row


def test_sines_and_cosines_follow_their_formula() -> None:
    table = sincos(2, 3, 8)
    place = 1 * 3 + 2  # row 1, column 2
    frequencies = torch.tensor([1.0, 1e-4])
    expected = torch.cat([(2 * frequencies).sin(), (2 * frequencies).cos(), frequencies.sin(), frequencies.cos()])
    torch.testing.assert_close(table[place], expected)


def test_standardised_filters_have_mean_0_and_variance_1_over_fan_in(small: SmallSettings) -> None:
    layer = StandardisedConv2d(5, 6, 3, bias=False)
    scaled = StandardisedConv2d(5, 6, 3, bias=False)
    scaled.load_state_dict({"weight": 3 * layer.weight + 1})
    images = torch.randn(2, 5, 7, 7)
    torch.testing.assert_close(layer(images), scaled(images), atol=1e-4, rtol=1e-3)  # scale and shift of filters do not matter
    network = assemble(small(family="resnet", norm="group"))
    kinds = {type(module) for module in network.modules()}
    assert StandardisedConv2d in kinds
    assert not kinds & {nn.Conv2d, nn.BatchNorm2d}


@pytest.mark.parametrize(
    "changes",
    [
        {"stem": "convolution"},
        {"family": "hybrid", "patch_size": 1},
        {"family": "resnet"},
        {"pooling": "average", "positions": "sincos-2d", "head": "mlp"},
    ],
)
def test_every_variant_starts_from_even_logits_and_takes_a_new_head(small: SmallSettings, changes: dict[str, Any]) -> None:
    network = build(small(**changes), torch.Generator().manual_seed(0))
    images = torch.randn(3, 3, 8, 8)
    assert torch.equal(network(images), torch.zeros(3, 4))
    replace_head(network, 7)
    assert network(images).shape == (3, 7)


def test_initial_weights_come_from_the_generator_alone(small: SmallSettings) -> None:
    one, two, other = (build(small(), torch.Generator().manual_seed(seed)).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["blocks.0.mlp.0.weight"], other["blocks.0.mlp.0.weight"])


@pytest.mark.parametrize("kind", list(ATTENTION))
def test_fast_attention_agrees_with_the_plain_one_in_outputs_and_gradients(kind: str) -> None:
    plain = MultiHeadSelfAttention(24, 4).double()
    fast = ATTENTION[kind](24, 4).double()
    fast.load_state_dict(plain.state_dict())
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(3, 7, 24, dtype=torch.float64, generator=generator)
    weights = torch.randn(3, 7, 24, dtype=torch.float64, generator=generator)
    outputs, gradients = [], []
    for layer in (plain, fast):
        tokens = z.clone().requires_grad_()
        out = layer(tokens)
        outputs.append(out)
        gradients.append(torch.autograd.grad((out * weights).sum(), [tokens, *layer.parameters()]))
    torch.testing.assert_close(outputs[1], outputs[0], atol=1e-10, rtol=0)
    for fast_gradient, plain_gradient in zip(gradients[1], gradients[0], strict=True):
        torch.testing.assert_close(fast_gradient, plain_gradient, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("block", "name"), [("basic", "resnet18"), ("bottleneck", "resnet50")])
def test_residual_blocks_compute_what_those_of_torchvision_do(block: str, name: str) -> None:
    import torchvision

    theirs = getattr(torchvision.models, name)(num_classes=5).eval()
    stages = (2, 2, 2, 2) if block == "basic" else (3, 4, 6, 3)
    ours = ResNet(ResNetShape(block=block, stages=stages, channels=64, n_classes=5, norm="batch", large_stem=True)).eval()
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        own.data = other.data
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("channels", [4, 6, 8])
def test_a_resnet_of_any_width_trains_on_this_processor(channels: int) -> None:
    # In a process of its own: what this guards against ends the process.
    code = (
        "import torch\n"
        "from replications.papers.vit_scaling.networks import build, to_channels_last\n"
        "from replications.papers.vit_scaling.settings import Settings\n"
        f"settings = Settings(family='resnet', channels={channels}, image_size=16, n_classes=64, n_images=64)\n"
        "network = to_channels_last(build(settings, torch.Generator().manual_seed(0)))\n"
        "for _ in range(60):\n"
        "    images = torch.rand(64, 3, 16, 16)\n"
        "    torch.autograd.grad(network(images).square().mean(), list(network.parameters()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
