"""A fast form of the episodes of `model.py`: the same weights, outputs and gradients with fewer, larger products.

No gradient flows through a location, so glimpses are constants of the backward pass. Episodes run glimpse by glimpse without gradients;
afterwards the glimpse network, the inputs of the LSTM layers and the heads are each one product over all glimpses, and only the recurrent
products walk them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from replications.papers.multiple_objects.model import DRAM, LSTM, AttentionModel, EpisodeNoise, Outcome


class FusedEpisodes:
    """Runs episodes of a model with the model's own parameters.

    Args:
        model: whose modules are used; RAM, which is small, runs as it is.
    """

    def __init__(self, model: AttentionModel) -> None:
        self.model = model

    def __call__(self, images: Tensor, noise: EpisodeNoise) -> Outcome:
        """Run an episode per image, as `AttentionModel.forward` does.

        Args:
            images: (seeds, batch, side, side), values 0..255.
            noise: random numbers of the episodes.

        Returns:
            Logits of every target, log-probabilities of locations, baselines, and locations.
        """
        if not isinstance(self.model, DRAM):
            outcome: Outcome = self.model(images, noise)
            return outcome
        initial = self.model.initial_state(images).upper
        return self.outcome(self.model, initial, *self.rollout(self.model, images, initial, noise))

    @staticmethod
    @torch.no_grad()
    def rollout(model: DRAM, images: Tensor, initial: Tensor, noise: EpisodeNoise) -> tuple[Tensor, Tensor]:
        """Run episodes glimpse by glimpse, without gradients.

        Args:
            model: whose policy places the glimpses.
            images: (seeds, batch, side, side), values 0..255.
            initial: (seeds, batch, hidden_size) r^(2)_0.
            noise: random numbers of the episodes.

        Returns:
            Locations as sampled, before they were clamped to the canvas, (seeds, T, batch, 2), and glimpses (seeds, T, batch, scales, g, g).
        """
        zero = torch.zeros_like(initial)
        lower, lower_cell, upper, upper_cell = zero, zero, initial, zero
        joined = [_joined(layer) for layer in (model.lower, model.upper)]
        samples, glimpses = [], []
        for n in range(model.settings.n_glimpses):
            samples.append(model.sample_location(model.heads.emission(upper), noise, n))
            location = samples[-1].clamp(-1, 1)
            glimpses.append(model.glimpse_sensor(images, location))
            if n + 1 == model.settings.n_glimpses:
                break  # nothing is placed by what the last glimpse shows
            g = model.glimpse_network(glimpses[-1], location)
            lower, lower_cell = LSTM.gates(torch.baddbmm(model.lower.biases, torch.cat([g, lower], -1), joined[0]), lower_cell)
            upper, upper_cell = LSTM.gates(torch.baddbmm(model.upper.biases, torch.cat([lower, upper], -1), joined[1]), upper_cell)
        return torch.stack(samples, dim=1), torch.stack(glimpses, dim=1)

    @staticmethod
    def outcome(model: DRAM, initial: Tensor, samples: Tensor, glimpses: Tensor) -> Outcome:
        """Return the inputs of the loss, with gradients.

        Args:
            model: whose episodes these are.
            initial: (seeds, batch, hidden_size) r^(2)_0, with its gradient.
            samples: (seeds, T, batch, 2) locations as sampled.
            glimpses: (seeds, T, batch, scales, g, g).

        Returns:
            Logits of every target, log-probabilities of locations, baselines, and locations.
        """
        s = model.settings
        locations = samples.clamp(-1, 1)
        vectors = model.glimpse_network(glimpses.flatten(1, 2), locations.flatten(1, 2)).unflatten(1, (s.n_glimpses, -1))
        zero = torch.zeros_like(initial)
        lower = sequence(model.lower, vectors, zero, zero)
        # The state after the last glimpse places nothing, and the upper layer is not needed there.
        upper = torch.cat([initial[:, None], sequence(model.upper, lower[:, :-1], initial, zero)], dim=1)
        flat = upper.flatten(1, 2)
        mean = model.heads.emission(flat).view_as(samples)
        answering = lower[:, s.glimpses - 1 :: s.glimpses]
        return Outcome(
            logits=model.heads.classify(answering.flatten(1, 2)).unflatten(1, answering.shape[1:3]),
            log_probability=-(samples - mean).square().sum(-1) / (2 * s.sigma**2),
            baselines=model.heads.baseline(flat).unflatten(1, samples.shape[1:3]),
            locations=locations,
        )


def _joined(layer: LSTM) -> Tensor:
    """Return the weights of input and state as one, (seeds, n_in + hidden_size, 4 hidden_size)."""
    return torch.cat([layer.input_fc.weight, layer.hidden_fc.weight], dim=1)


def sequence(layer: LSTM, inputs: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:
    """Return the hidden states of an LSTM layer over a sequence of known inputs.

    Args:
        layer: its weights.
        inputs: (seeds, steps, batch, n_in).
        hidden: (seeds, batch, hidden_size) before the first step.
        cell: (seeds, batch, hidden_size) before the first step.

    Returns:
        (seeds, steps, batch, hidden_size); no steps where there are no inputs.
    """
    seeds, steps, batch = inputs.shape[:3]
    if steps == 0:
        return hidden.new_zeros(seeds, 0, *hidden.shape[1:])
    sums = layer.input_fc(inputs.flatten(1, 2)).view(seeds, steps, batch, -1)
    states = []
    for step in range(steps):
        hidden, cell = LSTM.gates(torch.baddbmm(sums[:, step], hidden, layer.hidden_fc.weight), cell)
        states.append(hidden)
    return torch.stack(states, dim=1)
