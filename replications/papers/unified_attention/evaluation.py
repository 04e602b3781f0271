"""Scores of trained networks, and the glimpses that are stored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from replications.engine.canvases import uniform_integers
from replications.papers.unified_attention.data import Canvases
from replications.papers.unified_attention.model import EpisodeNoise, Outcome, UnifiedAttentionModel
from replications.papers.unified_attention.settings import Settings

AT_ONCE = 500
"""Canvases per seed evaluated at once."""


class Evaluation:
    """One network on one fixed set of canvases, cells taken by their Q value and locations at the policy's means.

    The first location is random, and so are all cells of model 'random-cell'.

    Args:
        network: of several seeds.
        settings: of the run.
        canvases: the images.
        generators: returns new generators (CPU, one per seed), so that an evaluation does not depend on earlier ones.
        n_seeds: number of seeds.
    """

    def __init__(
        self,
        network: UnifiedAttentionModel,
        settings: Settings,
        canvases: Canvases,
        generators: Callable[[], list[torch.Generator]],
        n_seeds: int,
    ) -> None:
        self.network, self.settings, self.canvases, self.generators, self.n_seeds = network, settings, canvases, generators, n_seeds
        self.device = canvases.images.device

    @torch.no_grad()
    def outcome(self, n: int | None = None) -> Outcome:
        """Run one episode per canvas.

        Args:
            n: canvases, the first ones; None: all.

        Returns:
            The outcome for all canvases, without gradients.
        """
        generators = self.generators()
        parts = [self._part(images.float(), generators) for images in self.canvases.images[:n].split(AT_ONCE)]
        later = ("log_probability", "baselines", "q", "cells", "locations")
        joined = {name: torch.cat([getattr(part, name) for part in parts], dim=2) for name in later}
        return Outcome(logits=torch.cat([part.logits for part in parts], dim=1), **joined)

    def _part(self, images: Tensor, generators: list[torch.Generator]) -> Outcome:
        s, n = self.settings, len(images)
        uniforms = torch.stack([torch.rand(n, 2 + s.decisions, generator=g) for g in generators]).to(self.device)
        cells = uniform_integers(uniforms[..., 2:].transpose(1, 2), s.grid**2)
        outcome: Outcome = self.network(images.expand(self.n_seeds, -1, -1, -1), EpisodeNoise(uniforms[..., :2] * 2 - 1, cells))
        return outcome

    def wrong(self, outcome: Outcome) -> Tensor:
        """Return on which canvases the most probable class is wrong.

        Args:
            outcome: of all canvases.

        Returns:
            (seeds, n) boolean.
        """
        return outcome.logits.argmax(-1) != self.canvases.labels

    def shares(self, outcome: Outcome) -> dict[str, Tensor]:
        """Return where glimpses go, in percent; a glimpse is on the digit when its centre lies in the digit's square.

        Args:
            outcome: of all canvases.

        Returns:
            `glimpses_on_digit` of the glimpses after the first, `digit_found` of the canvases, and with cells `cells_on_digit`, those of the
            decisions whose cell holds the digit's centre; (seeds,) each.
        """
        s = self.settings
        pixels = (outcome.locations + 1) * (s.canvas / 2)
        offsets = pixels - self.canvases.corners
        on = ((offsets >= 0) & (offsets < s.digit)).all(-1)  # (seeds, T, n)
        found = {"glimpses_on_digit": on[:, 1:].flatten(1), "digit_found": on.any(1)}
        if s.has_cells:
            column, row = ((2 * self.canvases.corners + s.digit) * s.grid // (2 * s.canvas)).unbind(-1)
            found["cells_on_digit"] = (outcome.cells == row * s.grid + column).flatten(1)
        return {name: 100 * values.double().mean(1) for name, values in found.items()}

    def shown(self, n: int) -> dict[str, np.ndarray]:
        """Return canvases with the glimpses, the Q values and the answers of every seed.

        Args:
            n: canvases, the first ones.

        Returns:
            images (n, canvas, canvas) uint8, labels (n,), locations (seeds, T, n, 2), cells (seeds, T - 1, n), q (seeds, T - 1, n, cells)
            and probabilities (seeds, n, 10).
        """
        outcome = self.outcome(n)
        return {
            "shown_images": self.canvases.images[:n].cpu().numpy(),
            "shown_labels": self.canvases.labels[:n].cpu().numpy(),
            "shown_locations": outcome.locations.cpu().numpy().astype(np.float32),
            "shown_cells": outcome.cells.cpu().numpy().astype(np.int16),
            "shown_q": outcome.q.cpu().numpy().astype(np.float16),
            "shown_probabilities": outcome.logits.softmax(-1).cpu().numpy().astype(np.float16),
        }
