"""What a ViT looks at: attention distance (Figure 7, right), rollout (Figure 6), position similarity and filters (Figure 7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.context import Context
from replications.papers.vit_scaling.augmentation import normalise
from replications.papers.vit_scaling.data import evaluation_pictures
from replications.papers.vit_scaling.model import Classifier, VisionTransformer
from replications.papers.vit_scaling.settings import Settings
from replications.papers.vit_scaling.trainer import precision

N_SHOWN, N_MEASURED = 12, 128
"""Pictures whose rollout is kept, and pictures over which distances are averaged."""


def patch_maps(maps: Tensor, n_patches: int) -> Tensor:
    """Attention among patches alone, rows summing to 1 again: (..., N, N) from (..., T, T)."""
    inner = maps[..., -n_patches:, -n_patches:]
    return inner / inner.sum(-1, keepdim=True)


def attention_distance(maps: Tensor, grid: int, patch_pixels: int) -> Tensor:
    """Mean distance in pixels between a query patch and where its head attends, weighted by attention (appendix D.7).

    Args:
        maps: (L, B, k, T, T).
        grid: patches along a side.
        patch_pixels: side of a patch.

    Returns:
        (L, k).
    """
    at = torch.arange(grid, device=maps.device, dtype=maps.dtype)
    places = torch.stack(torch.meshgrid(at, at, indexing="ij"), -1).view(-1, 2) * patch_pixels
    distance = torch.cdist(places, places)
    return (patch_maps(maps, grid**2) * distance).sum(-1).mean((1, 3))


def rollout(maps: Tensor) -> Tensor:
    """Attention rollout (Abnar and Zuidema 2020): heads averaged, half of each step stays, layers multiplied.

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
    """Cosine similarity of every pair of position embeddings: (N, N) from (1, N, D)."""
    unit = functional.normalize(table[0].detach().float(), dim=-1)
    return unit @ unit.mT


def principal_filters(weight: Tensor, n: int = 28) -> Tensor:
    """The first principal components of the patch embedding's filters as pictures in [0, 1]: (n, 3, P, P) from (D, 3, P, P)."""
    flat = weight.detach().float().flatten(1)
    _, _, components = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    shown = components[:n]
    low, high = shown.amin(1, keepdim=True), shown.amax(1, keepdim=True)
    # The sign of a component is arbitrary; fix it so that the picture does not depend on the solver.
    shown = torch.where((shown.sum(1, keepdim=True) < 0), high + low - shown, shown)
    scaled: Tensor = (shown - shown.amin(1, keepdim=True)) / (high - low).clamp(min=1e-12)
    return scaled.view(-1, *weight.shape[1:])


def seen_by_head(network: VisionTransformer, maps: Tensor) -> Tensor:
    """Share of each patch in what the head reads, summing to 1: (B, N)."""
    total = rollout(maps)
    n_patches = network.positions.grid[0] * network.positions.grid[1]
    seen = total[:, 0] if network.pooling == "token" else total.mean(1)
    seen = seen[:, -n_patches:]
    return seen / seen.sum(-1, keepdim=True)


@torch.no_grad()
def look(settings: Settings, context: Context, networks: list[Classifier]) -> None:
    """Keep what the trained ViTs look at as artifacts (seed axis first) and record the distance by layer."""
    vits = [network.eval() for network in networks if isinstance(network, VisionTransformer)]
    if len(vits) < len(networks):
        return
    pictures = evaluation_pictures(settings, context, "test")
    patch = settings.image_size // settings.grid
    distances, seen, similar, filters = [], [], [], []
    for network in vits:
        with precision(settings, context.device):
            maps = network.attention_maps(normalise(pictures.images[:N_MEASURED])).float()
        distances.append(attention_distance(maps, settings.grid, patch))
        seen.append(seen_by_head(network, maps[:, :N_SHOWN]))
        table = network.positions.table()
        if table is not None:
            similar.append(position_similarity(table))
        if isinstance(network.patches, nn.Conv2d):
            filters.append(principal_filters(network.patches.weight))
    context.artifact("attention_distance", torch.stack(distances))
    context.artifact("rollout", torch.stack(seen))
    context.artifact("shown", pictures.images[:N_SHOWN].permute(0, 2, 3, 1))
    for name, arrays in (("position_similarity", similar), ("filters", filters)):
        if arrays:
            context.artifact(name, torch.stack(arrays))
    by_layer = torch.stack(distances).mean(2)
    for layer in range(by_layer.shape[1]):
        context.record(f"attention_distance_layer_{layer + 1}", by_layer[:, layer], step=settings.n_steps, unit="px")
