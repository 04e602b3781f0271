"""Analysis of a trained ViT: attention distance (Figure 7, right), rollout (Figure 6), position similarity and filters (Figure 7)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from replications.engine.context import Context
from replications.engine.precision import matmul_precision
from replications.papers.vit_scaling.augmentation import normalise
from replications.papers.vit_scaling.classifier import Classifier
from replications.papers.vit_scaling.data import evaluation_images
from replications.papers.vit_scaling.model import PatchEmbedding, VisionTransformer
from replications.papers.vit_scaling.settings import Settings

N_ROLLOUTS, N_DISTANCES = 12, 128
"""Number of images whose rollout is stored, and over which distances are averaged."""


def patch_maps(maps: Tensor, n_patches: int) -> Tensor:
    """Return the attention among patches only, renormalised so that rows sum to 1.

    Args:
        maps: (..., T, T).
        n_patches: N.

    Returns:
        (..., N, N).
    """
    inner = maps[..., -n_patches:, -n_patches:]
    return inner / inner.sum(-1, keepdim=True)


def attention_distance(maps: Tensor, grid: int, patch_pixels: int) -> Tensor:
    """Return the mean distance between a query patch and the patches its head attends to, weighted by attention (appendix D.7).

    Args:
        maps: (L, B, k, T, T).
        grid: patches per side.
        patch_pixels: side of a patch in pixels.

    Returns:
        (L, k), in pixels.
    """
    index = torch.arange(grid, device=maps.device, dtype=maps.dtype)
    centres = torch.stack(torch.meshgrid(index, index, indexing="ij"), -1).view(-1, 2) * patch_pixels
    distance = torch.cdist(centres, centres)
    return (patch_maps(maps, grid**2) * distance).sum(-1).mean((1, 3))


def rollout(maps: Tensor) -> Tensor:
    """Return attention rollout (Abnar and Zuidema 2020): the product over layers of 0.5 A + 0.5 I, with A averaged over heads.

    Args:
        maps: (L, B, k, T, T).

    Returns:
        (B, T, T): share of each input token in each output token.
    """
    identity = torch.eye(maps.shape[-1], device=maps.device, dtype=maps.dtype)
    total = identity.expand(maps.shape[1], -1, -1)
    for layer in maps.mean(2):
        total = (0.5 * layer + 0.5 * identity) @ total
    return total


def position_similarity(table: Tensor) -> Tensor:
    """Return the cosine similarity of every pair of position embeddings.

    Args:
        table: (1, N, D).

    Returns:
        (N, N), in [-1, 1].
    """
    unit = functional.normalize(table[0].detach().float(), dim=-1)
    return unit @ unit.mT


def principal_filters(weight: Tensor, n: int = 28) -> Tensor:
    """Return the first principal components of the patch embedding's filters as images.

    Args:
        weight: (D, 3, P, P).
        n: number of components.

    Returns:
        (n, 3, P, P), in [0, 1].
    """
    flat = weight.detach().float().flatten(1)
    _, _, components = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    first = components[:n]
    low, high = first.amin(1, keepdim=True), first.amax(1, keepdim=True)
    # The sign of a component is arbitrary; fixing it makes the image independent of the solver.
    first = torch.where((first.sum(1, keepdim=True) < 0), high + low - first, first)
    scaled = (first - first.amin(1, keepdim=True)) / (high - low).clamp(min=1e-12)
    return scaled.view(-1, *weight.shape[1:])


def patch_shares(network: VisionTransformer, maps: Tensor) -> Tensor:
    """Return the share of each patch in the input of the head, by attention rollout.

    Args:
        network: its pooling determines which output tokens count.
        maps: (L, B, k, T, T).

    Returns:
        (B, N); rows sum to 1.
    """
    total = rollout(maps)
    n_patches = network.positions.grid[0] * network.positions.grid[1]
    shares = total[:, 0] if network.shape.pooling == "token" else total.mean(1)
    shares = shares[:, -n_patches:]
    return shares / shares.sum(-1, keepdim=True)


@torch.no_grad()
def record_attention(settings: Settings, context: Context, networks: list[Classifier]) -> None:
    """Store the analyses of trained ViTs as artifacts (leading seed axis) and record the attention distance by layer.

    Other networks have no attention, so nothing is stored for them.

    Args:
        settings: settings of the run.
        context: seeds and device; receives records and artifacts.
        networks: one per seed, on the device.
    """
    vits = [network.eval() for network in networks if isinstance(network, VisionTransformer)]
    if len(vits) < len(networks):
        return
    images = evaluation_images(settings, context, "test").images
    patch_pixels = settings.image_size // settings.grid
    distances, shares, similarities, filters = [], [], [], []
    for network in vits:
        with matmul_precision(settings.precision, context.device):
            maps = network.attention_maps(normalise(images[:N_DISTANCES])).float()
        distances.append(attention_distance(maps, settings.grid, patch_pixels))
        shares.append(patch_shares(network, maps[:, :N_ROLLOUTS]))
        table = network.positions.table()
        if table is not None:
            similarities.append(position_similarity(table))
        if isinstance(network.patches, PatchEmbedding):
            filters.append(principal_filters(network.patches.projection.weight))
    context.artifact("attention_distance", torch.stack(distances))
    context.artifact("rollout", torch.stack(shares))
    context.artifact("rollout_images", images[:N_ROLLOUTS].permute(0, 2, 3, 1))
    for name, arrays in (("position_similarity", similarities), ("filters", filters)):
        if arrays:
            context.artifact(name, torch.stack(arrays))
    by_layer = torch.stack(distances).mean(2)  # (seeds, L)
    for layer in range(by_layer.shape[1]):
        context.record("attention_distance", by_layer[:, layer], axis="layer", at=layer + 1, step=settings.n_steps, unit="px")
