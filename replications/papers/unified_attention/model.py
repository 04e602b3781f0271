"""Unified attention: the recurrent attention model of Mnih et al. 2014 with a top-down branch that chooses where it may look, one glimpse at a time.

Of Chen 2021 the abstract and the beginning of the introduction are known here: a level of an image pyramid and Q-learning select a region, which
guides the policy of the bottom-up model. Everything beyond that sentence is ours. Letters are those of Mnih et al.

Every tensor has a leading seed axis, because networks that differ only in their seed are trained together (`SeedLinear` is one linear
layer per seed). To follow the text, read `seeds = 1`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.layers import SeedLinear
from replications.papers.unified_attention.settings import Settings

N_CLASSES = 10
RELU_SUM_GAIN = math.sqrt(3)
"""Gain of the initial weights of two layers whose sum is the input of a ReLU: each contributes half of the variance (He et al. 2015)."""
SeedGenerators = Sequence[torch.Generator]


@dataclass(frozen=True)
class EpisodeNoise:
    """Random numbers of one batch of episodes of T glimpses.

    Attributes:
        first: (seeds, batch, 2) in [-1, 1], the place of the first glimpse, which is always random.
        cells: (seeds, T - 1, batch) int64 random cells, taken where the episode explores and by model 'random-cell'.
        explore: (seeds, T - 1, batch) boolean, whether a decision takes the random cell; None: never.
        normal: (seeds, T - 1, batch, 2) standard normal, exploration of the move; None: every location is the policy's mean.
    """

    first: Tensor
    cells: Tensor
    explore: Tensor | None = None
    normal: Tensor | None = None


class Region(NamedTuple):
    """Where the next glimpse may go.

    Attributes:
        centre: (seeds, batch, 2) in [-1, 1].
        half_width: from the centre to the edges; 1 is half the canvas.
        cell: (seeds, batch) int64 number of the cell, row by row.
        q: (seeds, batch, cells) Q(h_t, c) of every cell; with no cells, (seeds, batch, 0).
    """

    centre: Tensor
    half_width: float
    cell: Tensor
    q: Tensor


@dataclass(frozen=True)
class Outcome:
    """Inputs of the loss after an episode of T glimpses, with gradients.

    Attributes:
        logits: (seeds, batch, 10) after the last glimpse.
        log_probability: (seeds, T - 1, batch) log pi(l_t | h_t) of each sampled location, up to a constant; 0 without a move.
        baselines: (seeds, T - 1, batch) predicted reward b_t of each of these decisions.
        q: (seeds, T - 1, batch, cells) Q(h_t, c) of every cell at each decision; without Q-learning (seeds, T - 1, batch, 0).
        cells: (seeds, T - 1, batch) int64, the cells that were taken; 0 without cells.
        locations: (seeds, T, batch, 2) of the glimpses, without gradient.
    """

    logits: Tensor
    log_probability: Tensor
    baselines: Tensor
    q: Tensor
    cells: Tensor
    locations: Tensor


class GlimpseSensor(nn.Module):
    """The retina rho(x, l): square patches of side g, 2g, 4g, ... around a location, each averaged down to g x g.

    Args:
        glimpse_side: g, side of the finest patch in pixels.
        scales: number of patches.
    """

    def __init__(self, glimpse_side: int, scales: int) -> None:
        super().__init__()
        self.glimpse_side, self.scales = glimpse_side, scales

    def forward(self, images: Tensor, location: Tensor) -> Tensor:
        """Extract one glimpse per image; pixels beyond the border are zero.

        Args:
            images: (seeds, batch, side, side), values 0..255.
            location: (seeds, batch, 2) as (x, y); -1 is the left or upper border, 1 the right or lower one.

        Returns:
            (seeds, batch, scales * g * g) mean brightness 0..1 of each square of a patch, finest scale first, row by row.
        """
        pixels, side = images.flatten(0, 1), images.shape[-1]
        centre = ((location.flatten(0, 1) + 1) * (0.5 * side)).floor().long()
        widest = self.glimpse_side * 2 ** (self.scales - 1)
        offsets = torch.arange(widest, device=images.device) - widest // 2
        columns, rows = centre[:, 0, None] + offsets, centre[:, 1, None] + offsets  # (n, widest)
        inside = ((rows >= 0) & (rows < side))[:, :, None] & ((columns >= 0) & (columns < side))[:, None, :]
        index = rows.clamp(0, side - 1)[:, :, None] * side + columns.clamp(0, side - 1)[:, None, :]
        patch = pixels.flatten(1).gather(1, index.flatten(1)).view_as(index) * inside / 255
        patches = []
        for scale in range(self.scales):
            width = self.glimpse_side * 2**scale
            start = widest // 2 - width // 2
            cut = patch[:, start : start + width, start : start + width]
            patches.append(functional.avg_pool2d(cut, 2**scale) if scale else cut)
        return torch.stack(patches, dim=1).view(*images.shape[:2], -1)


class GlimpseNetwork(nn.Module):
    """f_g: g_t = ReLU(Linear(h_g) + Linear(h_l)) with h_g = ReLU(Linear(rho(x, l))) and h_l = ReLU(Linear(l)).

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: Settings, generators: SeedGenerators) -> None:
        super().__init__()
        width = settings.glimpse_size
        self.patch_fc = SeedLinear(settings.patch_pixels, width, generators=generators)
        self.location_fc = SeedLinear(2, width, generators=generators)
        self.glimpse_fc_patch = SeedLinear(width, 2 * width, generators=generators, gain=RELU_SUM_GAIN)
        self.glimpse_fc_location = SeedLinear(width, 2 * width, generators=generators, gain=RELU_SUM_GAIN)

    def forward(self, patches: Tensor, location: Tensor) -> Tensor:
        """Return the glimpse vector.

        Args:
            patches: (seeds, batch, scales * g * g), from the sensor.
            location: (seeds, batch, 2), where the sensor was.

        Returns:
            (seeds, batch, 2 * glimpse_size) g_t.
        """
        h_g = self.patch_fc(patches).relu()
        h_l = self.location_fc(location).relu()
        glimpse: Tensor = self.glimpse_fc_patch(h_g) + self.glimpse_fc_location(h_l)
        return glimpse.relu()


class CoreNetwork(nn.Module):
    """f_h: h_t = ReLU(Linear(h_{t-1}) + Linear(g_t)).

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: Settings, generators: SeedGenerators) -> None:
        super().__init__()
        hidden = settings.hidden_size
        self.glimpse_to_hidden = SeedLinear(2 * settings.glimpse_size, hidden, generators=generators, gain=RELU_SUM_GAIN)
        self.hidden_to_hidden = SeedLinear(hidden, hidden, generators=generators, gain=RELU_SUM_GAIN)

    def forward(self, glimpse: Tensor, hidden: Tensor) -> Tensor:
        """Return the next state.

        Args:
            glimpse: (seeds, batch, 2 * glimpse_size) g_t.
            hidden: (seeds, batch, hidden_size) h_{t-1}.

        Returns:
            (seeds, batch, hidden_size) h_t.
        """
        return (self.hidden_to_hidden(hidden) + self.glimpse_to_hidden(glimpse)).relu()


class Heads(nn.Module):
    """What reads the core's state in the bottom-up model: action f_a, baseline b and location f_l.

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: Settings, generators: SeedGenerators) -> None:
        super().__init__()
        self.action_fc = SeedLinear(settings.hidden_size, N_CLASSES, generators=generators)
        self.baseline_fc = SeedLinear(settings.hidden_size, 1, generators=generators)
        self.location_fc = SeedLinear(settings.hidden_size, 2, generators=generators)

    def classify(self, hidden: Tensor) -> Tensor:
        """Return the logits of f_a(h_t); the loss takes their softmax.

        Args:
            hidden: (seeds, n, hidden_size).

        Returns:
            (seeds, n, 10).
        """
        logits: Tensor = self.action_fc(hidden)
        return logits

    def baseline(self, hidden: Tensor) -> Tensor:
        """Return b_t = Linear(h_t); no gradient flows to the state.

        Args:
            hidden: (seeds, n, hidden_size).

        Returns:
            (seeds, n) predicted rewards.
        """
        baseline: Tensor = self.baseline_fc(hidden.detach())
        return baseline.squeeze(-1)

    def move(self, hidden: Tensor) -> Tensor:
        """Return tanh(f_l(h_t)), the mean of the next location relative to the region where it may go.

        Args:
            hidden: (seeds, n, hidden_size).

        Returns:
            (seeds, n, 2) as (x, y) in (-1, 1).
        """
        return torch.tanh(self.location_fc(hidden))


class Pyramid(nn.Module):
    """A coarse level of the image pyramid, cut into k x k cells.

    Args:
        factor: how many times smaller the level's side is than that of the image, which it must divide.
        grid: k, cells per row and column, which must divide the level's side.
    """

    centres: Tensor

    def __init__(self, factor: int, grid: int) -> None:
        super().__init__()
        self.factor, self.grid = factor, grid
        along = (2 * torch.arange(grid) + 1) / grid - 1
        # (cells, 2) x and y of the cells' centres in [-1, 1], row by row.
        self.register_buffer("centres", torch.stack([along.repeat(grid), along.repeat_interleave(grid)], dim=-1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the cells of the coarse level.

        Args:
            images: (seeds, batch, side, side), values 0..255.

        Returns:
            (seeds, batch, cells, cell pixels) mean brightness 0..1, cells and their pixels row by row.
        """
        coarse = functional.avg_pool2d(images, self.factor) / 255
        k, width = self.grid, coarse.shape[-1] // self.grid
        cells = coarse.unflatten(3, (k, width)).unflatten(2, (k, width))  # (seeds, batch, k, width, k, width)
        return cells.transpose(3, 4).flatten(4, 5).flatten(2, 3)


class QNetwork(nn.Module):
    """Q(h_t, c) = Linear(ReLU(Linear(h_t) + Linear(x_c) + Linear(l_c))), the same weights for every cell c.

    x_c are the pixels of the cell at the coarse level, l_c is its centre. The state is taken without gradient, as by the baseline, so that the
    core learns as in the bottom-up model.

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: Settings, generators: SeedGenerators) -> None:
        super().__init__()
        width = settings.q_size
        self.state_fc = SeedLinear(settings.hidden_size, width, generators=generators)
        self.pixels_fc = SeedLinear(settings.cell_side**2, width, generators=generators, gain=math.sqrt(6))
        self.centre_fc = SeedLinear(2, width, generators=generators)
        self.value_fc = SeedLinear(width, 1, generators=generators)

    def of_cells(self, cells: Tensor, centres: Tensor) -> Tensor:
        """Return what Q takes from the image, the same for every decision.

        Args:
            cells: (seeds, batch, cells, cell pixels), from the pyramid.
            centres: (cells, 2) in [-1, 1].

        Returns:
            (seeds, batch, cells, q_size) Linear(x_c) + Linear(l_c).
        """
        pixels: Tensor = self.pixels_fc(cells.flatten(1, 2)).view(*cells.shape[:3], -1)
        where: Tensor = self.centre_fc(centres.expand(len(cells), -1, -1))
        return pixels + where[:, None]

    def forward(self, hidden: Tensor, of_cells: Tensor) -> Tensor:
        """Return the predicted reward of looking into each cell.

        Args:
            hidden: (seeds, batch, hidden_size) h_t.
            of_cells: (seeds, batch, cells, q_size), from `of_cells`.

        Returns:
            (seeds, batch, cells).
        """
        units = (self.state_fc(hidden.detach())[:, :, None] + of_cells).relu()
        values: Tensor = self.value_fc(units.flatten(1, 2))
        return values.view(of_cells.shape[:3])


class UnifiedAttentionModel(nn.Module):
    """The bottom-up model, its glimpses guided by a cell of the pyramid.

    After each glimpse the top-down branch takes a cell, the one of the highest Q value or, to explore, a random one. The next location is drawn
    from a normal distribution with mean centre(c) + tanh(f_l(h_t)) / k: of a grid of one cell this is the recurrent attention model itself.

    Args:
        settings: sizes; `model` says which parts there are.
        generators: one per seed, on the CPU, for the initial weights. Those of the bottom-up parts are drawn first, so that they are the
            same for every model.
    """

    def __init__(self, settings: Settings, generators: SeedGenerators) -> None:
        super().__init__()
        self.settings = settings
        self.glimpse_sensor = GlimpseSensor(settings.glimpse_side, settings.scales)
        self.glimpse_network = GlimpseNetwork(settings, generators)
        self.core_network = CoreNetwork(settings, generators)
        self.heads = Heads(settings, generators)
        self.pyramid = Pyramid(settings.pyramid_factor, settings.grid) if settings.has_cells else None
        self.q_network = QNetwork(settings, generators) if settings.has_q else None

    def see(self, images: Tensor, location: Tensor, hidden: Tensor) -> Tensor:
        """Take one glimpse.

        Args:
            images: (seeds, batch, side, side), values 0..255.
            location: (seeds, batch, 2) l_{t-1}.
            hidden: (seeds, batch, hidden_size) h_{t-1}.

        Returns:
            (seeds, batch, hidden_size) h_t = f_h(h_{t-1}, f_g(rho(x, l_{t-1}), l_{t-1})).
        """
        glimpse = self.glimpse_network(self.glimpse_sensor(images, location), location)
        state: Tensor = self.core_network(glimpse, hidden)
        return state

    def of_cells(self, images: Tensor) -> Tensor | None:
        """Return what the top-down branch reads of the images, once for all decisions.

        Args:
            images: (seeds, batch, side, side), values 0..255.

        Returns:
            (seeds, batch, cells, q_size), or None without Q-learning.
        """
        if self.pyramid is None or self.q_network is None:
            return None
        return self.q_network.of_cells(self.pyramid(images), self.pyramid.centres)

    def choose_region(self, hidden: Tensor, of_cells: Tensor | None, noise: EpisodeNoise, t: int) -> Region:
        """Take the cell that the next glimpse may go to; without cells it may go anywhere.

        Args:
            hidden: (seeds, batch, hidden_size) h_t.
            of_cells: from `of_cells`.
            noise: of the episode.
            t: number of the decision, 0..T - 2.

        Returns:
            The region.
        """
        cell, q = noise.cells[:, t], hidden.new_zeros(*hidden.shape[:2], 0)
        if self.pyramid is None:
            return Region(hidden.new_zeros(*hidden.shape[:2], 2), 1.0, torch.zeros_like(cell), q)
        if self.q_network is not None and of_cells is not None:
            q = self.q_network(hidden, of_cells)
            best = q.argmax(-1)
            cell = best if noise.explore is None else torch.where(noise.explore[:, t], cell, best)
        return Region(self.pyramid.centres[cell], 1 / self.pyramid.grid, cell, q)

    def forward(self, images: Tensor, noise: EpisodeNoise) -> Outcome:
        """Run an episode of T glimpses per image.

        Args:
            images: (seeds, batch, side, side), values 0..255.
            noise: random numbers of the episodes.

        Returns:
            Class logits after the last glimpse, and what was predicted, taken and sampled at each decision.
        """
        s = self.settings
        of_cells = self.of_cells(images)
        locations, regions = [noise.first], list[Region]()  # l_0 is random
        log_probabilities, baselines = list[Tensor](), list[Tensor]()
        hidden = self.see(images, noise.first, images.new_zeros(*images.shape[:2], s.hidden_size))
        for t in range(s.decisions):
            regions.append(self.choose_region(hidden, of_cells, noise, t))
            baselines.append(self.heads.baseline(hidden))
            location, log_probability = self.draw_location(hidden, regions[-1], noise, t)
            log_probabilities.append(log_probability)
            locations.append(location)
            hidden = self.see(images, location, hidden)
        return Outcome(
            logits=self.heads.classify(hidden),
            log_probability=torch.stack(log_probabilities, dim=1),
            baselines=torch.stack(baselines, dim=1),
            q=torch.stack([region.q for region in regions], dim=1),
            cells=torch.stack([region.cell for region in regions], dim=1),
            locations=torch.stack(locations, dim=1),
        )

    def draw_location(self, hidden: Tensor, region: Region, noise: EpisodeNoise, t: int) -> tuple[Tensor, Tensor]:
        """Draw l_t from N(centre + tanh(f_l(h_t)) / k, sigma^2 I), without gradient; without a move it is the centre.

        Args:
            hidden: (seeds, batch, hidden_size) h_t.
            region: where the glimpse may go.
            noise: of the episode; without normal numbers the location is the mean.
            t: number of the decision.

        Returns:
            The location, (seeds, batch, 2), kept on the canvas, and log pi(l_t | h_t) up to a constant, (seeds, batch), with gradient.
        """
        if not self.settings.has_moves:
            return region.centre, region.centre.new_zeros(region.centre.shape[:2])
        sigma = self.settings.sigma
        mean = region.centre + region.half_width * self.heads.move(hidden)
        sample = mean.detach() if noise.normal is None else mean.detach() + sigma * noise.normal[:, t]
        return sample.clamp(-1, 1), -(sample - mean).square().sum(-1) / (2 * sigma**2)
