"""The recurrent attention model of Mnih et al. 2014 (section 3.1, figure 1), one glimpse at a time.

Every tensor has a leading seed axis, because networks that differ only in their seed are trained together (`SeedLinear` is one linear
layer per seed). To follow the paper, read `seeds = 1`. `fused.py` computes the same episodes and gradients faster, with these weights.
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
from replications.papers.recurrent_attention.settings import NetworkSizes, Settings

N_CLASSES = 10
RELU_SUM_GAIN = math.sqrt(3)
"""Gain of the initial weights of two layers whose sum is the input of a ReLU: each contributes half of the variance (He et al. 2015)."""


@dataclass(frozen=True)
class EpisodeNoise:
    """Random numbers of one batch of episodes.

    Attributes:
        first: (seeds, batch, 2) in [-1, 1], the location l_0 of the first glimpse, which is always random.
        normal: (seeds, T - 1, batch, 2) standard normal, the policy's exploration; None: every later location is the policy's mean.
        uniform: (seeds, T - 1, batch, 2) in [-1, 1], the later locations of a random or fixed policy; None: the policy is learned.
    """

    first: Tensor
    normal: Tensor | None = None
    uniform: Tensor | None = None


def fixed_locations(n: int) -> Tensor:
    """Return a path that covers the image evenly and is the same for every image: a control that is neither learned nor random.

    Points of a golden-angle spiral, which have about equal areas around them, within 0.8 of the centre.

    Args:
        n: number of locations.

    Returns:
        (n, 2) in [-1, 1].
    """
    order = torch.arange(n)
    radius, angle = 0.8 * ((order + 0.5) / max(n, 1)).sqrt(), order * math.pi * (3 - math.sqrt(5))
    return torch.stack([radius * angle.cos(), radius * angle.sin()], -1)


class Step(NamedTuple):
    """Outputs of the network after one glimpse.

    Attributes:
        hidden: (seeds, batch, hidden_size) state h_t of the core.
        location_mean: (seeds, batch, 2) mean f_l(h_t) of the next location.
        logits: (seeds, batch, 10) unnormalised log-probabilities of the action a_t, the class.
        baseline: (seeds, batch) predicted reward b_t.
    """

    hidden: Tensor
    location_mean: Tensor
    logits: Tensor
    baseline: Tensor


@dataclass(frozen=True)
class Outcome:
    """Inputs of the loss after an episode of T glimpses, with gradients.

    Attributes:
        logits: (seeds, batch, 10) after the last glimpse.
        log_probability: (seeds, T - 1, batch) log pi(l_t | h_t) of each sampled location, up to a constant.
        baselines: (seeds, T - 1, batch) predicted reward b_t of each of these decisions.
    """

    logits: Tensor
    log_probability: Tensor
    baselines: Tensor


def pixel_centres(locations: Tensor, side: int) -> Tensor:
    """Return the pixels that locations refer to.

    Args:
        locations: (..., 2) as (x, y); -1 is the left or upper border of the image, 1 the right or lower; values may lie outside.
        side: height and width of the image in pixels.

    Returns:
        (..., 2) int64 pixel coordinates (x, y), which may lie outside the image.
    """
    return ((locations + 1) * (0.5 * side)).floor().long()


class GlimpseSensor(nn.Module):
    """The retina rho(x, l): square patches of side g, 2g, 4g, ... around a location, each averaged down to g x g (figure 1A).

    Args:
        glimpse_side: g, side of the finest patch in pixels.
        scales: k, number of patches.
    """

    def __init__(self, glimpse_side: int, scales: int) -> None:
        super().__init__()
        self.glimpse_side, self.scales = glimpse_side, scales

    def forward(self, images: Tensor, location: Tensor) -> Tensor:
        """Extract one glimpse per image; pixels beyond the border are zero.

        Args:
            images: (seeds, batch, side, side), values 0..255.
            location: (seeds, batch, 2) as (x, y) in [-1, 1].

        Returns:
            (seeds, batch, scales * g * g) mean brightness 0..1 of each cell, finest scale first, row by row.
        """
        pixels = images.flatten(0, 1)
        n_images, side = len(pixels), images.shape[-1]
        centre = pixel_centres(location, side).flatten(0, 1)
        image = torch.arange(n_images, device=images.device)[:, None, None]
        patches = []
        for scale in range(self.scales):
            patch_side = self.glimpse_side * 2**scale
            offsets = torch.arange(patch_side, device=images.device) - patch_side // 2
            columns, rows = centre[:, 0, None] + offsets, centre[:, 1, None] + offsets  # (n_images, patch_side)
            inside = ((rows >= 0) & (rows < side))[:, :, None] & ((columns >= 0) & (columns < side))[:, None, :]
            patch = pixels[image, rows.clamp(0, side - 1)[:, :, None], columns.clamp(0, side - 1)[:, None, :]] * inside
            patches.append(functional.avg_pool2d(patch[:, None], 2**scale))
        return torch.cat(patches, dim=1).view(*images.shape[:2], -1) / 255


class GlimpseNetwork(nn.Module):
    """The glimpse network f_g: content and location of a glimpse as one vector g_t (section 4, "Glimpse network").

    h_g = ReLU(Linear(rho(x, l))), h_l = ReLU(Linear(l)), g = ReLU(Linear(h_g) + Linear(h_l)).

    The initial weights of the first two layers are smaller than those of He et al. (2015); with their gain in these layers too, policies on
    centred digits reach higher errors.

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
        combination: 'add', as written above, or 'multiply': the product of the two layers, as in Ba et al. (2015), section 3.
    """

    def __init__(self, settings: NetworkSizes, generators: Sequence[torch.Generator], combination: str = "add") -> None:
        super().__init__()
        self.multiplies = combination == "multiply"
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
        what, where = self.glimpse_fc_patch(h_g), self.glimpse_fc_location(h_l)
        return (what * where if self.multiplies else what + where).relu()


class CoreNetwork(nn.Module):
    """The core network f_h, a recurrent layer: h_t = ReLU(Linear(h_{t-1}) + Linear(g_t)) (section 4).

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: NetworkSizes, generators: Sequence[torch.Generator]) -> None:
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


class ActionNetwork(nn.Module):
    """The action network f_a: class probabilities are softmax(Linear(h_t)) (section 4.1).

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: Settings, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.fc = SeedLinear(settings.hidden_size, N_CLASSES, generators=generators)

    def forward(self, hidden: Tensor) -> Tensor:
        """Compute class logits; the loss takes their softmax.

        Args:
            hidden: states h_t, (seeds, n, hidden_size).

        Returns:
            Logits (seeds, n, 10).
        """
        logits: Tensor = self.fc(hidden)
        return logits


class BaselineNetwork(nn.Module):
    """The baseline b_t = Linear(h_t), an estimate of the reward still to come (section 3.2, equation 3).

    Its squared error trains this layer and not the core, whose states it takes without gradient.

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: NetworkSizes, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.fc = SeedLinear(settings.hidden_size, 1, generators=generators)

    def forward(self, hidden: Tensor) -> Tensor:
        """Predict the reward.

        Args:
            hidden: states h_t, (seeds, n, hidden_size); no gradient flows to them.

        Returns:
            Predicted rewards b_t, (seeds, n).
        """
        baseline: Tensor = self.fc(hidden.detach())
        return baseline.squeeze(-1)


class LocationNetwork(nn.Module):
    """The location network f_l: mean of the normal distribution of the next location (section 4).

    The paper's is linear. Ours ends in tanh, which keeps the mean inside the image, and may have a hidden layer.

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: NetworkSizes, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        hidden, width = settings.hidden_size, settings.locator_size
        self.hidden_fc = SeedLinear(hidden, width, generators=generators, gain=math.sqrt(6)) if width else None
        self.mean_fc = SeedLinear(width or hidden, 2, generators=generators)

    def forward(self, hidden: Tensor) -> Tensor:
        """Compute the mean of the next location.

        Args:
            hidden: states h_t, (seeds, n, hidden_size).

        Returns:
            Mean locations as (x, y) in (-1, 1), (seeds, n, 2).
        """
        if self.hidden_fc is not None:
            hidden = self.hidden_fc(hidden).relu()
        return torch.tanh(self.mean_fc(hidden))


class RecurrentAttentionModel(nn.Module):
    """The whole model: sensor and glimpse network, core, and the three networks that read the core's state (figure 1C).

    Cross-entropy reaches all but the location network. The gradient of log pi(l_t | h_t) reaches the location network and,
    through h_t, everything before it (equation 2). Locations themselves are samples, through which no gradient flows.

    Args:
        settings: sizes, number of glimpses T, standard deviation of the policy.
        generators: one per seed, on the CPU, for the initial weights.
    """

    annealed_sigma: Tensor | None

    def __init__(self, settings: Settings, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.settings = settings
        self.glimpse_sensor = GlimpseSensor(settings.glimpse_side, settings.scales)
        self.glimpse_network = GlimpseNetwork(settings, generators, settings.combination)
        self.core_network = CoreNetwork(settings, generators)
        self.action_network = ActionNetwork(settings, generators)
        self.baseline_network = BaselineNetwork(settings, generators)
        self.location_network = LocationNetwork(settings, generators)
        # A tensor, because a captured graph reads it; set by the trainer before every update, and stored for tests after the last one.
        annealed = None if settings.sigma_end is None else torch.tensor(settings.sigma)
        self.register_buffer("annealed_sigma", annealed)

    @property
    def sigma(self) -> float | Tensor:
        """Standard deviation of the policy, at present where it is annealed."""
        return self.settings.sigma if self.annealed_sigma is None else self.annealed_sigma

    def anneal(self, step: int) -> None:
        """Set the standard deviation of an update, on a line from `sigma` to `sigma_end`; without the latter it stays as it is.

        Args:
            step: number of the update, from 0.
        """
        s = self.settings
        if self.annealed_sigma is not None and s.sigma_end is not None:
            self.annealed_sigma.fill_(s.sigma + (s.sigma_end - s.sigma) * step / max(1, s.n_steps - 1))

    def step(self, images: Tensor, location: Tensor, hidden: Tensor) -> Step:
        """Take one glimpse (figure 1C).

        Args:
            images: (seeds, batch, side, side), values 0..255.
            location: (seeds, batch, 2) l_{t-1}, location of the glimpse.
            hidden: (seeds, batch, hidden_size) h_{t-1}.

        Returns:
            The new state h_t and the outputs of the location, action and baseline networks.
        """
        patches = self.glimpse_sensor(images, location)  # rho(x_t, l_{t-1})
        glimpse = self.glimpse_network(patches, location)  # g_t = f_g(x_t, l_{t-1})
        hidden = self.core_network(glimpse, hidden)  # h_t = f_h(h_{t-1}, g_t)
        return Step(hidden, self.location_network(hidden), self.action_network(hidden), self.baseline_network(hidden))

    def forward(self, images: Tensor, noise: EpisodeNoise) -> Outcome:
        """Run an episode of T glimpses per image; after each of the first T - 1 the next location is drawn.

        Args:
            images: (seeds, batch, side, side), values 0..255.
            noise: the random numbers of the episode.

        Returns:
            Class logits after the last glimpse, log-probabilities of the sampled locations, and baselines.
        """
        s = self.settings
        location = noise.first  # l_0
        hidden = images.new_zeros(*images.shape[:2], s.hidden_size)  # h_0
        log_probabilities, baselines = [], []
        step = self.step(images, location, hidden)
        for t in range(s.glimpses - 1):
            sample = self.sample_location(step.location_mean, noise, t)
            distance = (sample - step.location_mean).square().sum(-1)
            log_probabilities.append(-distance / (2 * self.sigma**2))  # log N(l_t; f_l(h_t), sigma^2 I), up to a constant
            baselines.append(step.baseline)
            step = self.step(images, sample.clamp(-1, 1), step.hidden)
        no_decision = images.new_zeros(len(images), 0, images.shape[1])
        return Outcome(
            logits=step.logits,
            log_probability=torch.stack(log_probabilities, dim=1) if log_probabilities else no_decision,
            baselines=torch.stack(baselines, dim=1) if baselines else no_decision,
        )

    def sample_location(self, mean: Tensor, noise: EpisodeNoise, t: int) -> Tensor:
        """Draw the location that follows glimpse t, without gradient.

        Args:
            mean: (seeds, batch, 2) of the policy.
            noise: of the episode; determines whether the location is random, of the fixed path, sampled from the policy, or its mean.
            t: number of the decision, 0..T - 2.

        Returns:
            (seeds, batch, 2), which may lie outside the image.
        """
        if noise.uniform is not None:
            return noise.uniform[:, t]
        sample = mean.detach()
        if noise.normal is not None:
            sample = sample + self.sigma * noise.normal[:, t]
        return sample
