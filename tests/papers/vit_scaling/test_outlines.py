"""The class token's attention against known masks: the cut and the Jaccard index against loops, and what a run records."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from replications.engine.context import Context
from replications.papers.vit_scaling.experiment import run
from replications.papers.vit_scaling.model import VisionTransformer
from replications.papers.vit_scaling.networks import build
from replications.papers.vit_scaling.outlines import jaccard, kept_patches
from replications.papers.vit_scaling.settings import Settings


def _slow_jaccard(attention: list[float], mask: list[list[bool]], grid: int, mass: float) -> float:
    """One head of one image: drop the smallest patches while at most 1 - mass of the attention is dropped, then count pixels."""
    kept, dropped = set(range(len(attention))), 0.0
    for patch in sorted(kept, key=lambda p: attention[p]):
        dropped += attention[patch]
        if dropped > (1 - mass) * sum(attention):
            break
        kept.remove(patch)
    pixels = len(mask) // grid
    both = either = 0
    for y, row in enumerate(mask):
        for x, inside in enumerate(row):
            selected = (y // pixels) * grid + x // pixels in kept
            both += selected and inside
            either += selected or inside
    return both / either if either else 0.0


def test_the_jaccard_index_of_attention_equals_a_slow_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    attention = torch.rand(6, 3, 16, generator=generator, dtype=torch.float64) ** 4
    masks = torch.rand(6, 8, 8, generator=generator) < torch.linspace(0, 1, 6)[:, None, None]  # from empty to nearly full
    for mass in (0.3, 0.6, 0.9):
        fast = jaccard(kept_patches(attention, mass), masks)
        for image in range(6):
            for head in range(3):
                slow = _slow_jaccard(attention[image, head].tolist(), masks[image].tolist(), 4, mass)
                assert float(fast[image, head]) == pytest.approx(slow)


def test_a_map_on_the_object_scores_one_and_one_beside_it_none() -> None:
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, :2, :2] = True
    attention = torch.eye(4)[None] + 1e-4  # head h looks at patch h of four
    assert jaccard(kept_patches(attention), mask).tolist() == [[1, 0, 0, 0]]


def test_the_last_class_attention_is_that_of_all_maps(small: Callable[..., Settings]) -> None:
    network = build(small(), torch.Generator().manual_seed(0)).eval()
    assert isinstance(network, VisionTransformer)
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network.class_attention(images), network.attention_maps(images)[-1][:, :, 0, 1:])


def test_a_run_records_trained_untrained_and_even_attention(
    small: Callable[..., Settings], context: Callable[..., Context], tmp_path: Path
) -> None:
    result = context(tmp_path)
    run(small(outlines=True), result)
    of_all = {(row["model"], row["seed"]): row["value"] for row in result.rows if row["metric"] == "jaccard" and not row["axis"]}
    assert set(of_all) == {(model, seed) for model in ("trained", "untrained", "even") for seed in result.seeds}
    assert all(0 <= value <= 100 for value in of_all.values())
    for (model, seed), value in of_all.items():
        heads = [r["value"] for r in result.rows if (r["model"], r["seed"], r["axis"]) == (model, seed, "head")]
        assert (value in heads) == (model != "even")
    # A selection of any patches is as likely in as outside the object: p q / (p + q - p q), with q = 10 of 16 patches or a little more.
    share = next(row["value"] for row in result.rows if row["metric"] == "object_share") / 100
    assert (
        100 * 0.8 * share * 0.6 / (share + 0.6 - share * 0.6) < of_all["even", 0] < 100 * 1.2 * share * 0.65 / (share + 0.65 - share * 0.65)
    )
    assert result.arrays["outline_patches"].shape == (2, 8, 16)
    assert result.arrays["outline_masks"].shape == (8, 8, 8)


def test_outlines_need_known_masks_and_a_class_token(small: Callable[..., Settings]) -> None:
    for changes in ({"pooling": "average"}, {"family": "resnet"}):
        with pytest.raises(ValueError, match="outlines need"):
            small(outlines=True, **changes)
