"""The recurrent attention model (section 3.1, figure 1), all seeds of a run at once.

Shapes: S seeds, T glimpses, B images, P numbers per glimpse. A location is (x, y) with -1..1 from border to border.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from replications.engine.layers import SeedLinear, known_linear_relu, known_relu_recurrence
from replications.papers.recurrent_attention.sensor import Sensor, integral_image
from replications.papers.recurrent_attention.settings import Settings

N_CLASSES = 10


@dataclass(frozen=True)
class Draws:
    """The randomness of one batch of episodes.

    Attributes:
        first: (S, B, 2) in [-1, 1]: the first location, always random.
        noise: (S, T - 1, B, 2) standard normal; None: later locations are the policy's means.
        elsewhere: (S, T - 1, B, 2) in [-1, 1]: the later locations of the random policy; None: the policy is learned.
    """

    first: Tensor
    noise: Tensor | None = None
    elsewhere: Tensor | None = None


@dataclass(frozen=True)
class Episode:
    """What happened, without gradients.

    Attributes:
        locations: (S, T, B, 2) where it looked.
        samples: (S, T - 1, B, 2) what the policy drew, before it was clamped to the image.
        glimpses: (S, T, B, P) what the retina gave.
        see, place: (S, T, B, glimpse_size) h_g and h_l, side by side in one tensor of twice that width.
        glimpse_vectors: (S, T, B, 2 glimpse_size) g.
        hidden: (S, T, B, hidden_size) h.
    """

    locations: Tensor
    samples: Tensor
    glimpses: Tensor
    see_and_place: Tensor
    glimpse_vectors: Tensor
    hidden: Tensor


@dataclass(frozen=True)
class Outcome:
    """What the losses need, with gradients.

    Attributes:
        logits: (S, B, 10) after the last glimpse.
        log_probability: (S, T - 1, B) of each drawn location, up to a constant; gradients reach the location network.
        values: (S, T - 1, B) the learned baseline of each decision.
    """

    logits: Tensor
    log_probability: Tensor
    values: Tensor


class RecurrentAttention(nn.Module):
    """Glimpse network f_g, core f_h, location network f_l, action network f_a and baseline of several seeds.

    The core learns from cross-entropy and from REINFORCE: the gradient of log pi goes through all steps before (section 3.2,
    equation 2). The baseline reads h_t but does not shape it.

    Args:
        settings: sizes and policy.
        generators: one per seed, on the CPU, for the initial weights.
        device: where the retina works; move the module there too.
    """

    def __init__(self, settings: Settings, generators: Sequence[torch.Generator], device: torch.device) -> None:
        super().__init__()
        self.settings = settings
        self.sensor = Sensor(settings.canvas, settings.glimpse_side, settings.scales, device)
        width, hidden = settings.glimpse_size, settings.hidden_size

        def linear(n_in: int, n_out: int, gain: float = 1.0) -> SeedLinear:
            return SeedLinear(n_in, n_out, generators=generators, gain=gain)

        # Behind the retina signals keep their size through the ReLU layers (He et al. 2015; where two layers are summed, each
        # gives half of the variance); without that the first thousands of updates go to waste on translated digits. The
        # retina's own two layers start smaller: with this scale there too, policies on centred digits come out worse.
        half = math.sqrt(3)
        self.see = linear(settings.patch_pixels, width)  # h_g = ReLU(Lin(retina))
        self.place = linear(2, width)  # h_l = ReLU(Lin(l))
        self.from_see = linear(width, 2 * width, half)  # g = ReLU(Lin(h_g) + Lin(h_l))
        self.from_place = linear(width, 2 * width, half)
        self.from_glimpse = linear(2 * width, hidden, half)  # h_t = ReLU(Lin(h_{t-1}) + Lin(g_t))
        self.from_hidden = linear(hidden, hidden, half)
        self.classify = linear(hidden, N_CLASSES)
        self.value = linear(hidden, 1)
        self.locate_hidden = linear(hidden, settings.locator_size, math.sqrt(6)) if settings.locator_size else None
        self.locate = linear(settings.locator_size or hidden, 2)

    def mean_locations(self, hidden: Tensor) -> Tensor:
        """Means of the location policy: (S, n, hidden) to (S, n, 2), kept inside the image by tanh."""
        if self.locate_hidden is not None:
            hidden = self.locate_hidden(hidden).relu()
        return torch.tanh(self.locate(hidden))

    def _joined(self) -> tuple[Tensor, Tensor, Tensor]:
        """Lin(h_g) + Lin(h_l) as one product, and the core's one bias: fewer, larger products."""
        weight = torch.cat([self.from_see.weight, self.from_place.weight], dim=1)
        return weight, _bias(self.from_see) + _bias(self.from_place), _bias(self.from_glimpse) + _bias(self.from_hidden)

    @torch.no_grad()
    def look(self, canvases: Tensor, draws: Draws) -> Episode:
        """Run episodes step by step, without gradients.

        Args:
            canvases: (S, B, canvas, canvas) float32 holding integers 0..255.
            draws: their randomness.
        """
        s = self.settings
        n_seeds, n_images = canvases.shape[:2]
        integral = integral_image(canvases)
        weight, bias, core_bias = self._joined()
        location, hidden = draws.first, None
        columns: tuple[list[Tensor], ...] = ([], [], [], [], [], [])
        locations, samples, glimpses, see_and_place, vectors, states = columns
        for step in range(s.glimpses):
            glimpse = self.sensor(integral, location.reshape(-1, 2)).view(n_seeds, n_images, -1)
            both = torch.cat([self.see(glimpse), self.place(location)], dim=-1).relu_()
            vector = torch.baddbmm(bias, both, weight).relu_()
            before = torch.baddbmm(core_bias, vector, self.from_glimpse.weight)
            hidden = (before if hidden is None else torch.baddbmm(before, hidden, self.from_hidden.weight)).relu_()
            for column, value in zip(columns, (location, None, glimpse, both, vector, hidden), strict=True):
                if value is not None:
                    column.append(value)
            if step + 1 < s.glimpses:
                if draws.elsewhere is not None:
                    sample = draws.elsewhere[:, step]
                else:
                    sample = self.mean_locations(hidden)
                    if draws.noise is not None:
                        sample = sample + s.sigma * draws.noise[:, step]
                samples.append(sample)
                location = sample.clamp(-1, 1)
        drawn = torch.stack(samples, dim=1) if samples else draws.first.new_zeros(n_seeds, 0, n_images, 2)
        return Episode(
            locations=torch.stack(locations, dim=1),
            samples=drawn,
            glimpses=torch.stack(glimpses, dim=1),
            see_and_place=torch.stack(see_and_place, dim=1),
            glimpse_vectors=torch.stack(vectors, dim=1),
            hidden=torch.stack(states, dim=1),
        )

    def hidden_with_gradients(self, episode: Episode) -> Tensor:
        """The core's states (S, T, B, hidden) of an episode, with gradients for all steps at once.

        Glimpses do not depend on the weights except through the locations, which REINFORCE treats as given. So each
        layer needs one product over all T x B rows; only the core's backward pass walks the steps.
        """
        weight, bias, core_bias = self._joined()
        width = self.settings.glimpse_size
        both = episode.see_and_place
        n_seeds = both.shape[0]

        def rows(values: Tensor) -> Tensor:
            return values.reshape(n_seeds, -1, values.shape[-1])

        see = known_linear_relu(rows(both[..., :width]), rows(episode.glimpses), self.see.weight, _bias(self.see))
        place = known_linear_relu(rows(both[..., width:]), rows(episode.locations), self.place.weight, _bias(self.place))
        vectors = known_linear_relu(rows(episode.glimpse_vectors), torch.cat([see, place], dim=-1), weight, bias)
        inputs = vectors.view_as(episode.glimpse_vectors)
        return known_relu_recurrence(episode.hidden, inputs, self.from_glimpse.weight, self.from_hidden.weight, core_bias)

    def outcome(self, episode: Episode) -> Outcome:
        """Class scores after the last glimpse, and what REINFORCE needs of each decision."""
        hidden = self.hidden_with_gradients(episode)
        n_seeds, n_decisions, n_images = episode.samples.shape[:3]
        logits = self.classify(hidden[:, -1])
        if n_decisions == 0:
            none = logits.new_zeros(n_seeds, 0, n_images)
            return Outcome(logits, none, none)
        deciding = hidden[:, :-1].reshape(n_seeds, -1, self.settings.hidden_size)
        values = self.value(deciding.detach()).view(n_seeds, n_decisions, n_images)
        distance = episode.samples - self.mean_locations(deciding).view_as(episode.samples)
        return Outcome(logits, distance.square().sum(-1) / (-2 * self.settings.sigma**2), values)

    def forward(self, canvases: Tensor, draws: Draws) -> Outcome:
        """Look, then give the outcome its gradients."""
        return self.outcome(self.look(canvases, draws))


def _bias(layer: SeedLinear) -> Tensor:
    assert layer.bias is not None  # noqa: S101 (every layer of this model has one)
    return layer.bias
