"""The deep recurrent attention model of Ba, Mnih and Kavukcuoglu 2015 (section 3), one glimpse at a time, and RAM, which it is compared with.

Letters are the paper's. Every tensor has a leading seed axis, because networks that differ only in their seed are trained together
(`SeedLinear` is one linear layer per seed). To follow the paper, read `seeds = 1`.
"""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.layers import SeedLinear, seeded_uniform
from replications.papers.multiple_objects.settings import Settings

HE_GAIN = math.sqrt(6)
"""Gain of uniform initial weights that keeps the size of what ReLU layers pass on (He et al. 2015)."""
SeedGenerators = Sequence[torch.Generator]


@dataclass(frozen=True)
class EpisodeNoise:
    """Random numbers of one batch of episodes.

    Attributes:
        first: (seeds, batch, 2) in [-1, 1], the place of RAM's first glimpse, which is always random; other models do not read it.
        normal: (seeds, n_glimpses, batch, 2) standard normal, the policy's exploration; None: every location is the policy's mean.
    """

    first: Tensor
    normal: Tensor | None = None


class State(NamedTuple):
    """States of the recurrent network after a glimpse.

    Attributes:
        lower: (seeds, batch, hidden_size) r^(1)_n, read by the classification network.
        upper: (seeds, batch, hidden_size) r^(2)_n, read by the emission network and the baseline; in RAM it is the lower one.
        lower_cell: (seeds, batch, hidden_size) memory cells of the lower LSTM.
        upper_cell: (seeds, batch, hidden_size) memory cells of the upper LSTM.
    """

    lower: Tensor
    upper: Tensor
    lower_cell: Tensor
    upper_cell: Tensor


@dataclass(frozen=True)
class Outcome:
    """Inputs of the loss after an episode of S targets with N glimpses each, with gradients; T = S N.

    Attributes:
        logits: (seeds, S, batch, classes) after the last glimpse of each target.
        log_probability: (seeds, T, batch) log p(l_n | r^(2)_{n-1}) of each sampled location, up to a constant; 0 for RAM's random first one.
        baselines: (seeds, T, batch) predicted reward b_n of each of these decisions.
        locations: (seeds, T, batch, 2) of the glimpses, without gradient.
    """

    logits: Tensor
    log_probability: Tensor
    baselines: Tensor
    locations: Tensor


class SeedConv(nn.Module):
    """A convolution per seed, as one grouped convolution.

    Args:
        n_in: channels of the inputs.
        n_out: channels of the outputs.
        generators: one per seed, on the CPU.
        side: of the filters, odd; the image is padded so that its size stays.
        stride: of the convolution.
    """

    def __init__(self, n_in: int, n_out: int, generators: SeedGenerators, *, side: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.padding = stride, side // 2
        self.weight = nn.Parameter(seeded_uniform((n_out, n_in, side, side), HE_GAIN / math.sqrt(side**2 * n_in), generators))
        self.bias = nn.Parameter(torch.zeros(len(generators), n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of every seed's images with its own filters.

        Args:
            x: (seeds, n, n_in, height, width).

        Returns:
            (seeds, n, n_out, height / stride, width / stride), rounded up.
        """
        seeds = len(x)
        merged = x.transpose(0, 1).flatten(1, 2)
        y = functional.conv2d(merged, self.weight.flatten(0, 1), self.bias.flatten(), self.stride, self.padding, groups=seeds)
        return y.unflatten(1, (seeds, -1)).transpose(0, 1)


class LSTM(nn.Module):
    """A layer of LSTM units, R_recur.

    Args:
        n_in: width of the inputs.
        hidden_size: units.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, n_in: int, hidden_size: int, generators: SeedGenerators) -> None:
        super().__init__()
        self.input_fc = SeedLinear(n_in, 4 * hidden_size, generators=generators)
        self.hidden_fc = SeedLinear(hidden_size, 4 * hidden_size, generators=generators, bias=False)
        with torch.no_grad():  # forget gates start open, so that early glimpses reach the loss
            self.biases[..., hidden_size : 2 * hidden_size] = 1

    @property
    def biases(self) -> Tensor:
        """(seeds, 1, 4 hidden_size) biases of input gate, forget gate, candidate and output gate."""
        assert self.input_fc.bias is not None  # noqa: S101 (the layer is made with one)
        return self.input_fc.bias

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step.

        Args:
            x: (seeds, batch, n_in).
            hidden: (seeds, batch, hidden_size) of the step before.
            cell: (seeds, batch, hidden_size) of the step before.

        Returns:
            Hidden state and memory cells, (seeds, batch, hidden_size) each.
        """
        return self.gates(self.input_fc(x) + self.hidden_fc(hidden), cell)

    @staticmethod
    def gates(sums: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return hidden state and cells from the weighted sums.

        Args:
            sums: (seeds, batch, 4 hidden_size) inputs of the gates.
            cell: (seeds, batch, hidden_size) of the step before.

        Returns:
            Hidden state and memory cells, (seeds, batch, hidden_size) each.
        """
        i, f, c, o = sums.chunk(4, dim=-1)
        cell = f.sigmoid() * cell + i.sigmoid() * c.tanh()
        return o.sigmoid() * cell.tanh(), cell


class GlimpseSensor(nn.Module):
    """Extracts x_n: square patches of side g, 2g, ... around a location, each averaged down to g x g (section 3.1).

    Args:
        glimpse_side: g, side of the finest patch in pixels.
        scales: number of patches; the paper has two.
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
            (seeds, batch, scales, g, g) mean brightness 0..1, finest scale first.
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
            patches.append(functional.avg_pool2d(patch[:, start : start + width, start : start + width], 2**scale))
        return torch.stack(patches, dim=1).unflatten(0, images.shape[:2])


class GlimpseNetwork(nn.Module):
    """g_n = G_image(x_n | W_image) G_loc(l_n | W_loc), an elementwise product of what is seen and where (section 3.1).

    RAM adds the two instead. G_image has convolutions, if any, and two fully connected layers, G_loc has one.

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
        multiply: multiply what and where; else add.
    """

    def __init__(self, settings: Settings, generators: SeedGenerators, *, multiply: bool = True) -> None:
        super().__init__()
        width, channels = settings.glimpse_size, (settings.scales, *settings.glimpse_filters)
        self.multiply = multiply
        sides = (settings.first_filter_side, *[3] * len(channels))
        layers = zip(sides, itertools.pairwise(channels), strict=False)
        self.convolutions = nn.ModuleList([SeedConv(a, b, generators, side=side) for side, (a, b) in layers])
        self.image_fc = SeedLinear(channels[-1] * settings.glimpse_side**2, width, generators=generators, gain=HE_GAIN)
        self.what_fc = SeedLinear(width, width, generators=generators, gain=HE_GAIN)
        self.where_fc = SeedLinear(2, width, generators=generators)
        if multiply:
            with torch.no_grad():  # "where" starts near 1, so that "what" passes from the first update on
                assert self.where_fc.bias is not None  # noqa: S101 (the layer is made with one)
                self.where_fc.bias.fill_(1)

    def forward(self, patches: Tensor, location: Tensor) -> Tensor:
        """Return the glimpse vector.

        Args:
            patches: (seeds, n, scales, g, g) x_n, from the sensor.
            location: (seeds, n, 2) l_n, where the sensor was.

        Returns:
            (seeds, n, glimpse_size) g_n.
        """
        for convolution in self.convolutions:
            patches = convolution(patches).relu()
        what = self.what_fc(self.image_fc(patches.flatten(2)).relu())
        where = self.where_fc(location)
        return what.relu() * where if self.multiply else (what + where).relu()


class ContextNetwork(nn.Module):
    """c = C(I_coarse | W_c): three convolutions over a coarse image; the initial state of the upper LSTM (section 3.1).

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: Settings, generators: SeedGenerators) -> None:
        super().__init__()
        self.side = settings.context_side
        channels = (1, *settings.context_filters)
        # Every convolution but the last halves the image.
        self.convolutions = nn.ModuleList([SeedConv(channels[i], channels[i + 1], generators, stride=2 if i < 2 else 1) for i in range(3)])
        width = math.ceil(self.side / 4)
        self.fc = SeedLinear(channels[-1] * width**2, settings.hidden_size, generators=generators)

    def forward(self, images: Tensor) -> Tensor:
        """Return the initial state of the upper LSTM.

        Args:
            images: (seeds, batch, side, side), values 0..255.

        Returns:
            (seeds, batch, hidden_size) r^(2)_0.
        """
        x = functional.adaptive_avg_pool2d(images / 255, self.side)[:, :, None]  # I_coarse
        for convolution in self.convolutions:
            x = convolution(x).relu()
        return torch.tanh(self.fc(x.flatten(2)))


class Heads(nn.Module):
    """What reads the recurrent states: emission E, baseline and classification O (sections 3.1 and 3.2).

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: Settings, generators: SeedGenerators) -> None:
        super().__init__()
        hidden = settings.hidden_size
        self.emission_fc = SeedLinear(hidden, 2, generators=generators)
        self.baseline_fc = SeedLinear(hidden, 1, generators=generators)
        self.classifier_hidden = SeedLinear(hidden, settings.classifier_size, generators=generators, gain=HE_GAIN)
        self.classifier_fc = SeedLinear(settings.classifier_size, settings.n_answers, generators=generators)

    def emission(self, upper: Tensor) -> Tensor:
        """Return E(r^(2)_n | W_e), the mean of the next location; ours ends in tanh, which keeps it on the canvas.

        Args:
            upper: (seeds, n, hidden_size).

        Returns:
            (seeds, n, 2) as (x, y) in (-1, 1).
        """
        return torch.tanh(self.emission_fc(upper))

    def baseline(self, upper: Tensor) -> Tensor:
        """Return b_n = E_baseline(r^(2)_n | W_baseline); no gradient flows to the state.

        Args:
            upper: (seeds, n, hidden_size).

        Returns:
            (seeds, n) predicted rewards.
        """
        baseline: Tensor = self.baseline_fc(upper.detach())
        return baseline.squeeze(-1)

    def classify(self, lower: Tensor) -> Tensor:
        """Return the logits of P(y | I) = O(r^(1)_N | W_o): a hidden layer and a softmax, which is left to the loss.

        Args:
            lower: (seeds, n, hidden_size).

        Returns:
            (seeds, n, classes).
        """
        logits: Tensor = self.classifier_fc(self.classifier_hidden(lower).relu())
        return logits


class AttentionModel(nn.Module, abc.ABC):
    """Episodes of glimpses: what DRAM and RAM have in common.

    Args:
        settings: sizes, glimpses per target, deviation of the policy.
        generators: one per seed, on the CPU, for the initial weights.
    """

    random_start = False
    """The first location is random instead of the policy's."""

    def __init__(self, settings: Settings, generators: SeedGenerators) -> None:
        super().__init__()
        self.settings = settings
        self.glimpse_sensor = GlimpseSensor(settings.glimpse_side, settings.scales)
        self.heads = Heads(settings, generators)

    @abc.abstractmethod
    def initial_state(self, images: Tensor) -> State:
        """Return the states before the first glimpse.

        Args:
            images: (seeds, batch, side, side), values 0..255.
        """

    @abc.abstractmethod
    def recur(self, patches: Tensor, location: Tensor, state: State) -> State:
        """Return the states after one more glimpse.

        Args:
            patches: (seeds, batch, scales, g, g) x_n.
            location: (seeds, batch, 2) l_n.
            state: after the glimpse before.
        """

    def locating_parameters(self) -> list[nn.Parameter]:
        """Return the weights that serve the policy alone and learn by REINFORCE."""
        return list(self.heads.emission_fc.parameters())

    def forward(self, images: Tensor, noise: EpisodeNoise) -> Outcome:
        """Run an episode per image: before every glimpse its location is drawn, and after N glimpses a target is answered.

        Args:
            images: (seeds, batch, side, side), values 0..255.
            noise: random numbers of the episodes.

        Returns:
            Logits of every target, log-probabilities of locations, baselines, and locations.
        """
        s = self.settings
        state = self.initial_state(images)
        logits, log_probabilities, baselines, locations = [], [], [], []
        for n in range(s.n_glimpses):
            mean = self.heads.emission(state.upper)  # of l_n, from r^(2)_{n-1}
            sample = self.sample_location(mean, noise, n)
            chosen = 0.0 if self.random_start and n == 0 else 1.0
            # log N(l_n; mean, sigma^2 I), up to a constant
            log_probabilities.append(-chosen * (sample - mean).square().sum(-1) / (2 * s.sigma**2))
            baselines.append(self.heads.baseline(state.upper))
            locations.append(sample.clamp(-1, 1))
            state = self.recur(self.glimpse_sensor(images, locations[-1]), locations[-1], state)
            if (n + 1) % s.glimpses == 0:
                logits.append(self.heads.classify(state.lower))
        return Outcome(*(torch.stack(column, dim=1) for column in (logits, log_probabilities, baselines, locations)))

    def sample_location(self, mean: Tensor, noise: EpisodeNoise, n: int) -> Tensor:
        """Draw the location of glimpse n from N(mean, sigma^2 I), without gradient.

        Args:
            mean: (seeds, batch, 2) of the policy.
            noise: of the episode; without normal numbers the location is the mean.
            n: number of the glimpse, from 0.

        Returns:
            (seeds, batch, 2), which may lie outside the canvas.
        """
        if self.random_start and n == 0:
            return noise.first
        sample = mean.detach()
        return sample if noise.normal is None else sample + self.settings.sigma * noise.normal[:, n]


class DRAM(AttentionModel):
    """The deep recurrent attention model (section 3.1, figure 1).

    Two LSTM layers: the lower one reads glimpses and is read by the classification network, the upper one reads the lower one and
    places the next glimpse. Only the upper one starts from the context, so that the class cannot be read off the coarse image.

    Args:
        settings: sizes; with model 'no-context' the upper layer starts at zero.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: Settings, generators: SeedGenerators) -> None:
        super().__init__(settings, generators)
        self.glimpse_network = GlimpseNetwork(settings, generators)
        self.lower = LSTM(settings.glimpse_size, settings.hidden_size, generators)
        self.upper = LSTM(settings.hidden_size, settings.hidden_size, generators)
        self.context_network = ContextNetwork(settings, generators) if settings.model == "dram" else None

    def initial_state(self, images: Tensor) -> State:
        """Return r^(1)_0 = 0 and r^(2)_0 = c, the context, or 0 without a context network.

        Args:
            images: (seeds, batch, side, side), values 0..255.

        Returns:
            The states before the first glimpse.
        """
        zero = images.new_zeros(*images.shape[:2], self.settings.hidden_size)
        context = zero if self.context_network is None else self.context_network(images)
        return State(lower=zero, upper=context, lower_cell=zero, upper_cell=zero)

    def recur(self, patches: Tensor, location: Tensor, state: State) -> State:
        """Return the states after one more glimpse.

        Args:
            patches: (seeds, batch, scales, g, g) x_n.
            location: (seeds, batch, 2) l_n.
            state: after the glimpse before.

        Returns:
            r^(1)_n = R_recur(g_n, r^(1)_{n-1}) and r^(2)_n = R_recur(r^(1)_n, r^(2)_{n-1}).
        """
        g = self.glimpse_network(patches, location)
        lower, lower_cell = self.lower(g, state.lower, state.lower_cell)
        upper, upper_cell = self.upper(lower, state.upper, state.upper_cell)
        return State(lower, upper, lower_cell, upper_cell)

    def locating_parameters(self) -> list[nn.Parameter]:
        """Return the weights of the upper LSTM, the emission and the context network."""
        context = [] if self.context_network is None else list(self.context_network.parameters())
        return [*self.heads.emission_fc.parameters(), *self.upper.parameters(), *context]


class RAM(AttentionModel):
    """The recurrent attention model of Mnih et al. 2014: one ReLU layer is read by all heads, and the first glimpse is random.

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    random_start = True

    def __init__(self, settings: Settings, generators: SeedGenerators) -> None:
        super().__init__(settings, generators)
        self.glimpse_network = GlimpseNetwork(settings, generators, multiply=False)
        self.glimpse_to_hidden = SeedLinear(settings.glimpse_size, settings.hidden_size, generators=generators, gain=math.sqrt(3))
        self.hidden_to_hidden = SeedLinear(settings.hidden_size, settings.hidden_size, generators=generators, gain=math.sqrt(3))

    def initial_state(self, images: Tensor) -> State:
        """Return zeros.

        Args:
            images: (seeds, batch, side, side), values 0..255.

        Returns:
            The state before the first glimpse; the cells are not used.
        """
        zero = images.new_zeros(*images.shape[:2], self.settings.hidden_size)
        return State(zero, zero, zero, zero)

    def recur(self, patches: Tensor, location: Tensor, state: State) -> State:
        """Return h_t = ReLU(Linear(h_{t-1}) + Linear(g_t)) as both states.

        Args:
            patches: (seeds, batch, scales, g, g).
            location: (seeds, batch, 2).
            state: after the glimpse before.

        Returns:
            The state after the glimpse; the cells are not used.
        """
        g = self.glimpse_network(patches, location)
        hidden = (self.hidden_to_hidden(state.lower) + self.glimpse_to_hidden(g)).relu()
        return State(hidden, hidden, state.lower_cell, state.upper_cell)
