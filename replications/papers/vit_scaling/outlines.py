"""How well the class token's attention outlines the object (Caron et al. 2021, arXiv 2104.14294, Figure 4), where its mask is known.

The attention of a head in the last layer is cut at 60 % of its mass, enlarged to pixels and compared with the object's mask by the
Jaccard index. As in Figure 4 the best head counts; here it is chosen on validation images, so that no mask of a test image takes part.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from replications.engine.context import Context
from replications.papers.vit_scaling.augmentation import normalise
from replications.papers.vit_scaling.classifier import Classifier
from replications.papers.vit_scaling.data import evaluation_images, generated_masks
from replications.papers.vit_scaling.model import VisionTransformer
from replications.papers.vit_scaling.networks import build
from replications.papers.vit_scaling.settings import Settings

MASS = 0.6
"""Share of the attention that is kept."""
N_DRAWN, BATCH = 8, 512
"""Number of test images whose masks are stored for the figure, and of images whose attention is computed at once."""


def kept_patches(attention: Tensor, mass: float = MASS) -> Tensor:
    """Return the patches that hold most of the attention, by the rule of the authors' code.

    Patches are added up from the smallest; those are kept at which the sum exceeds 1 - mass of the whole.

    Args:
        attention: not negative, (..., N).
        mass: share to keep, 0 to 1.

    Returns:
        (..., N) bool.
    """
    ascending, order = attention.sort(-1)
    cumulative = ascending.cumsum(-1) / ascending.sum(-1, keepdim=True)
    return torch.zeros_like(attention, dtype=torch.bool).scatter(-1, order, cumulative > 1 - mass)


def jaccard(patches: Tensor, masks: Tensor) -> Tensor:
    """Return the Jaccard index, intersection over union in pixels, of selected patches with masks.

    Args:
        patches: selected patches in raster order, (B, k, N) bool.
        masks: (B, side, side) bool.

    Returns:
        (B, k), in [0, 1]; 0 where both are empty.
    """
    grid = round(patches.shape[-1] ** 0.5)
    pixels = masks.shape[-1] // grid
    enlarged = patches.unflatten(-1, (grid, grid)).repeat_interleave(pixels, -1).repeat_interleave(pixels, -2)
    truth = masks[:, None]
    intersection, union = (enlarged & truth).sum((-2, -1)), (enlarged | truth).sum((-2, -1))
    return intersection / union.clamp(min=1)


def class_attention(network: VisionTransformer, images: Tensor) -> Tensor:
    """Return how the class token attends to the patches of many images in the last layer.

    Args:
        network: in evaluation mode, on the device of the images.
        images: (n, 3, side, side) uint8.

    Returns:
        (n, k, N).
    """
    return torch.cat([network.class_attention(normalise(images[start : start + BATCH])) for start in range(0, len(images), BATCH)])


def record_outlines(settings: Settings, context: Context, networks: list[Classifier]) -> None:
    """Record the Jaccard index of trained networks, of the same networks before training, and of attention spread evenly.

    Even attention holds ties alone, which are broken at random: it selects any 60 % of the patches.

    Args:
        settings: of the run.
        context: seeds and device; receives records and artifacts.
        networks: the trained ones, one per seed.
    """
    images = {split: evaluation_images(settings, context, split).images for split in ("validation", "test")}
    masks = {split: generated_masks(settings, split, context.device) for split in images}
    drawn = []
    for seed, trained in zip(context.seeds, networks, strict=True):
        untrained = build(settings, context.generator(seed, "initialise", device="cpu")).to(context.device)
        for model, network in (("trained", trained), ("untrained", untrained)):
            vit = cast("VisionTransformer", network.eval())
            attention = {split: class_attention(vit, images[split]) for split in images}
            kept = {split: kept_patches(attention[split]) for split in images}
            scores = {split: 100 * jaccard(kept[split], masks[split]).double().mean(0) for split in images}
            best = int(scores["validation"].argmax())
            context.record("jaccard", float(scores["test"][best]), model=model, seed=seed, unit="%")
            for head, score in enumerate(scores["test"].tolist(), start=1):
                context.record("jaccard", score, model=model, axis="head", at=head, seed=seed, unit="%")
            if model == "trained":
                drawn.append(kept["test"][:N_DRAWN, best])
        even = 1 + 1e-6 * torch.rand(len(images["test"]), 1, settings.grid**2, generator=context.generator(seed, "ties", device="cpu"))
        score = 100 * jaccard(kept_patches(even.double().to(context.device)), masks["test"]).double().mean()
        context.record("jaccard", float(score), model="even", seed=seed, unit="%")
    context.record("object_share", [100 * float(masks["test"].double().mean())] * len(context.seeds), unit="%")
    context.artifact("outline_patches", torch.stack(drawn))
    context.artifact("outline_images", images["test"][:N_DRAWN].permute(0, 2, 3, 1))
    context.artifact("outline_masks", masks["test"][:N_DRAWN])
