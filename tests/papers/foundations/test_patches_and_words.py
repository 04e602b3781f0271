"""One transformer over patches and words: its images, which tokens it lets see which, and its seeds."""

from __future__ import annotations

import pytest
import torch

from replications.papers.foundations.patches_and_words import BLOCKS, PATCHES, SHAPES, START, Captioners, draw_images


def generator(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_caption_says_what_an_image_shows() -> None:
    """Read off the pixels by the largest product with every coloured shape at every place."""
    patches, captions = draw_images(200, generator())
    for image, caption in zip(patches.unflatten(2, (3, -1)), captions.tolist(), strict=True):
        centred = SHAPES.flatten(1) - SHAPES.flatten(1).mean(dim=1, keepdim=True)
        scores = torch.einsum("pcx,sx->pcs", image, centred)
        place, rest = divmod(int(scores.argmax()), 9)
        colour, shape = divmod(rest, 3)
        assert caption == [colour, 3 + shape, 6 + place // 3]


def test_words_see_the_image_and_what_was_said_and_nothing_that_follows() -> None:
    network = Captioners(8, [generator()])
    patches, captions = draw_images(2, generator(1))
    words = torch.cat([torch.full((2, 1), START), captions[:, :2]], dim=1)[None]
    before = network(patches[None], words)
    later = words.clone()
    later[..., 2] = (later[..., 2] + 1) % 9
    after = network(patches[None], later)
    torch.testing.assert_close(after[:, :, :2], before[:, :, :2], rtol=0, atol=0)
    assert (after[:, :, 2] != before[:, :, 2]).any()
    for place in range(PATCHES):
        changed = patches.clone()
        changed[:, place] += 1
        assert (network(changed[None], words)[:, :, 0] != before[:, :, 0]).any()


def test_a_block_is_that_of_the_library() -> None:
    """torch's own encoder layer with our matrices: norms first and without weights, one head, no biases."""
    network = Captioners(8, [generator()]).double()
    patches, captions = draw_images(3, generator(1))
    words = torch.cat([torch.full((3, 1), START), captions[:, :2]], dim=1)
    own = {name: parameter.detach()[0] for name, parameter in network.named_parameters()}
    x = torch.cat([patches.double() @ own["patch"], own["word"][words]], dim=1) + own["position"]
    for block in range(BLOCKS):
        layer = torch.nn.TransformerEncoderLayer(8, 1, 32, dropout=0.0, batch_first=True, norm_first=True, bias=False, dtype=torch.float64)
        layer.self_attn.in_proj_weight.data = torch.cat([own[f"{name}_{block}"].T for name in ("query", "key", "value")])
        layer.self_attn.out_proj.weight.data = own[f"join_{block}"].T
        layer.linear1.weight.data, layer.linear2.weight.data = own[f"expand_{block}"].T, own[f"contract_{block}"].T
        x = layer(x, src_mask=~network.seen)
    expected = torch.nn.functional.layer_norm(x, (8,))[:, PATCHES:] @ own["output"]
    torch.testing.assert_close(network(patches[None].double(), words[None])[0], expected)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_among_others_writes_what_it_writes_alone(seed: int) -> None:
    together = Captioners(8, [generator(0), generator(1)])
    patches = torch.stack([draw_images(5, generator(10 + i))[0] for i in range(2)])
    alone = Captioners(8, [generator(seed)])
    assert (together.write(patches)[seed] == alone.write(patches[seed : seed + 1])[0]).all()
