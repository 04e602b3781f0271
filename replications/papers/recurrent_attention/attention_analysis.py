"""Analysis of attention: statistics of glimpse locations, heat maps, and the arrays that figures draw."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from replications.papers.recurrent_attention.classifiers import SoftAttention
from replications.papers.recurrent_attention.evaluation import Evaluation
from replications.papers.recurrent_attention.fused import FusedEpisodes
from replications.papers.recurrent_attention.model import pixel_centres
from replications.papers.recurrent_attention.settings import Settings

HEAT_BINS = 24
"""Bins of a heat map along each side."""
N_IMAGES = 24
"""Test images whose glimpse paths or attention weights are stored."""


def _episodes(evaluation: Evaluation) -> FusedEpisodes:
    assert evaluation.episodes is not None  # noqa: S101 (only the recurrent attention model is analysed here)
    return evaluation.episodes


@torch.no_grad()
def glimpse_statistics(evaluation: Evaluation) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return statistics of the glimpse locations on a data set, from one episode per image at the policy's means.

    Args:
        evaluation: of a recurrent attention model.

    Returns:
        Statistics (seeds,): `touch`, percentage of glimpses whose finest patch overlaps the digit's ink box; `spread_within`, root
        mean square distance of an episode's glimpses from their mean, in pixels; `spread_between`, the same of one step's glimpses
        over images, averaged over steps (near zero: the path is the same for every image); `pixels_seen`, percentage of the canvas
        inside any finest patch; where digits are translated, `followed`, percentage of the variance of the digit's place that an
        episode's mean location explains (zero: locations do not depend on the digit's place). All but `pixels_seen` leave out the
        first, random, glimpse where there are more.
        Heat maps (seeds, T, bins, bins), rows are y: `heat`, over the canvas; `heat_digit`, relative to the digit's centre, over a
        square of the canvas's size.
    """
    s = evaluation.settings
    episodes = _episodes(evaluation)
    generators = evaluation.generators("evaluate 1 False")
    overlaps, covered, locations, relative, centres = [], [], [], [], []
    for images, labels, boxes in evaluation.chunks():
        chunk = episodes.rollout(images, evaluation.noise(generators, len(labels), sampled=False)).locations
        corner = pixel_centres(_policy_locations(chunk), s.canvas) - s.glimpse_side // 2
        overlap = ((corner < boxes[:, 2:]) & (corner + s.glimpse_side > boxes[:, :2])).all(-1)
        overlaps.append(overlap.float().mean(1))
        covered.append(100 * _covered_share(s, chunk))
        locations.append(chunk)
        centre = (boxes[:, :2] + boxes[:, 2:]).float() / s.canvas - 1
        relative.append(chunk - centre)
        centres.append(centre)
    all_locations = torch.cat(locations, dim=2)
    half = s.canvas / 2
    by_policy = _policy_locations(all_locations)
    statistics = {
        "touch": 100 * torch.cat(overlaps, dim=1).mean(1),
        "spread_within": half * _spread(by_policy, 1),
        "spread_between": half * _spread(by_policy, 2),
        "pixels_seen": torch.cat(covered, dim=1).mean(1),
    }
    if s.translated:
        statistics["followed"] = 100 * _explained_variance(torch.cat(centres), by_policy.mean(1))
    return statistics, {"heat": _heat_map(all_locations), "heat_digit": _heat_map(torch.cat(relative, dim=2))}


def _policy_locations(locations: Tensor) -> Tensor:
    """Return locations (seeds, T, batch, 2) without the first, random, one where there are more."""
    return locations[:, 1:] if locations.shape[1] > 1 else locations


def _covered_share(settings: Settings, locations: Tensor) -> Tensor:
    """Return the share of each canvas inside any finest patch: (seeds, T, batch, 2) to (seeds, batch)."""
    pixel = torch.arange(settings.canvas, device=locations.device)
    corner = (pixel_centres(locations, settings.canvas) - settings.glimpse_side // 2)[..., None]
    inside = (pixel >= corner) & (pixel < corner + settings.glimpse_side)
    covered = inside.new_zeros(locations.shape[0], locations.shape[2], settings.canvas, settings.canvas)
    for t in range(locations.shape[1]):
        covered |= inside[:, t, :, 1, :, None] & inside[:, t, :, 0, None, :]
    return covered.float().mean((2, 3))


@torch.no_grad()
def glimpse_paths(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """Return the first images of a data set with the glimpse locations and class probabilities of one episode each.

    Args:
        evaluation: of a recurrent attention model.

    Returns:
        `images` (n, canvas, canvas) uint8, `labels` (n,), `boxes` (n, 4), `paths` (seeds, n, T, 2), `beliefs` (seeds, n, T, 10)
        class probabilities after each glimpse; the action network was trained on the last glimpse only.
    """
    data, episodes = evaluation.data, _episodes(evaluation)
    images = data.canvases[:N_IMAGES]
    canvases = images.float()
    noise = evaluation.noise(evaluation.generators("paths"), len(images), sampled=False)
    episode = episodes.rollout(canvases.expand(evaluation.n_seeds, *canvases.shape), noise)
    logits = episodes.model.action_network(episode.hidden.flatten(1, 2))
    beliefs = logits.softmax(-1).view(*episode.hidden.shape[:3], -1)
    return {
        "images": images.cpu().numpy(),
        "labels": data.labels[:N_IMAGES].cpu().numpy(),
        "boxes": data.boxes[:N_IMAGES].cpu().numpy(),
        "paths": episode.locations.transpose(1, 2).cpu().numpy(),
        "beliefs": beliefs.transpose(1, 2).cpu().numpy(),
    }


@torch.no_grad()
def soft_attention_weights(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """Return the attention weights of the soft attention network on the first images of a data set.

    Args:
        evaluation: of a soft attention network.

    Returns:
        `images` (n, canvas, canvas), `labels` (n,), `weights` (seeds, n, T, patches), `positions` (patches, 2).
    """
    network, data = evaluation.network, evaluation.data
    assert isinstance(network, SoftAttention)  # noqa: S101
    images = data.canvases[:N_IMAGES]
    canvases = images.float()
    _, weights = network.attend(canvases.expand(evaluation.n_seeds, *canvases.shape))
    return {
        "images": images.cpu().numpy(),
        "labels": data.labels[:N_IMAGES].cpu().numpy(),
        "weights": weights.transpose(1, 2).cpu().numpy(),
        "positions": network.get_buffer("positions").cpu().numpy(),
    }


def _spread(locations: Tensor, axis: int) -> Tensor:
    """Return the root mean square distance from the mean along one axis, averaged over the rest: (seeds, T, batch, 2) to (seeds,)."""
    distance = (locations - locations.mean(axis, keepdim=True)).square().sum(-1)
    return distance.mean(axis).sqrt().mean(1)


def _explained_variance(centres: Tensor, locations: Tensor) -> Tensor:
    """Return the squared correlation of digit centres and mean locations, averaged over x and y; 0 where nothing varies.

    Args:
        centres: (batch, 2).
        locations: (seeds, batch, 2).

    Returns:
        (seeds,).
    """
    centres, locations = centres - centres.mean(0), locations - locations.mean(1, keepdim=True)
    variances = centres.square().mean(0) * locations.square().mean(1)
    return ((centres * locations).mean(1).square() / variances.clamp(min=1e-12)).mean(1)


def _heat_map(locations: Tensor) -> Tensor:
    """Return the share of glimpses by bin of [-1, 1]^2; those outside are left out.

    Args:
        locations: (seeds, T, batch, 2).

    Returns:
        (seeds, T, bins, bins), rows are y.
    """
    n_seeds, n_steps, n_images = locations.shape[:3]
    cell = ((locations + 1) * (HEAT_BINS / 2)).floor().long()
    # The right and lower border belong to the last bin.
    cell = torch.where(locations == 1, HEAT_BINS - 1, cell)
    inside = ((cell >= 0) & (cell < HEAT_BINS)).all(-1).float()
    clamped = cell.clamp(0, HEAT_BINS - 1)
    index = clamped[..., 1] * HEAT_BINS + clamped[..., 0]
    counts = torch.zeros(n_seeds, n_steps, HEAT_BINS**2, device=locations.device).scatter_add_(2, index, inside)
    return (counts / n_images).view(n_seeds, n_steps, HEAT_BINS, HEAT_BINS)
