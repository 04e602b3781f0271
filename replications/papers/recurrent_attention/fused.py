"""A fast form of `model.RecurrentAttentionModel`: the same weights, outputs and gradients with fewer, larger products.

No gradient flows through a location, so glimpses are constants of the backward pass. An episode therefore runs step by step without
gradients, and afterwards every layer gets its gradient from one product over all steps; only the core's backward pass walks them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from replications.engine.layers import SeedLinear, known_linear_relu, known_relu_recurrence
from replications.papers.recurrent_attention.integral_sensor import IntegralGlimpseSensor, integral_image
from replications.papers.recurrent_attention.model import EpisodeNoise, Outcome, RecurrentAttentionModel


@dataclass(frozen=True)
class Episode:
    """Values of an episode of T glimpses, without gradients.

    Attributes:
        locations: (seeds, T, batch, 2) of the glimpses.
        samples: (seeds, T - 1, batch, 2) drawn by the policy, before they were clamped to the image.
        patches: (seeds, T, batch, scales * g * g) from the sensor.
        patch_and_location: (seeds, T, batch, 2 * glimpse_size) h_g and h_l side by side.
        glimpse_vectors: (seeds, T, batch, 2 * glimpse_size) g_t.
        hidden: (seeds, T, batch, hidden_size) h_t.
    """

    locations: Tensor
    samples: Tensor
    patches: Tensor
    patch_and_location: Tensor
    glimpse_vectors: Tensor
    hidden: Tensor


class FusedEpisodes:
    """Runs episodes of a model with the model's own parameters.

    Args:
        model: whose modules are used.
        device: of the images; the index tables of the sensor are created on it.
    """

    def __init__(self, model: RecurrentAttentionModel, device: torch.device) -> None:
        self.model, settings = model, model.settings
        self.sensor = IntegralGlimpseSensor(settings.canvas, settings.glimpse_side, settings.scales, device)

    def __call__(self, images: Tensor, noise: EpisodeNoise) -> Outcome:
        """Run an episode per image, as `RecurrentAttentionModel.forward` does.

        Args:
            images: (seeds, batch, canvas, canvas) floating point holding integers 0..255.
            noise: random numbers of the episodes.

        Returns:
            Class logits after the last glimpse, log-probabilities of the sampled locations, and baselines.
        """
        return self.outcome(self.rollout(images, noise))

    def _joined_layers(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the glimpse vector's two layers as one weight and one bias, and the core's two biases as one."""
        glimpse, core = self.model.glimpse_network, self.model.core_network
        weight = torch.cat([glimpse.glimpse_fc_patch.weight, glimpse.glimpse_fc_location.weight], dim=1)
        bias = _bias(glimpse.glimpse_fc_patch) + _bias(glimpse.glimpse_fc_location)
        return weight, bias, _bias(core.glimpse_to_hidden) + _bias(core.hidden_to_hidden)

    def _combine(self, layer: Tensor) -> Tensor:
        """Return the product of the glimpse vector's two layers, before its ReLU, from h_g and h_l side by side."""
        glimpse, width = self.model.glimpse_network, self.model.settings.glimpse_size
        what: Tensor = glimpse.glimpse_fc_patch(layer[..., :width])
        where: Tensor = glimpse.glimpse_fc_location(layer[..., width:])
        return what * where

    @torch.no_grad()
    def rollout(self, images: Tensor, noise: EpisodeNoise) -> Episode:
        """Run episodes step by step, without gradients.

        Args:
            images: (seeds, batch, canvas, canvas) floating point holding integers 0..255.
            noise: random numbers of the episodes.

        Returns:
            All values from which the gradients are computed.
        """
        model, s = self.model, self.model.settings
        glimpse_network, core = model.glimpse_network, model.core_network
        n_seeds, n_images = images.shape[:2]
        integral = integral_image(images)
        weight, bias, core_bias = self._joined_layers()
        locations, samples = [noise.first], list[Tensor]()
        all_patches, layers, vectors, states = list[Tensor](), list[Tensor](), list[Tensor](), list[Tensor]()
        for t in range(s.glimpses):
            location = locations[-1]
            patches = self.sensor(integral, location.reshape(-1, 2)).view(n_seeds, n_images, -1)
            layer = torch.cat([glimpse_network.patch_fc(patches), glimpse_network.location_fc(location)], dim=-1).relu_()
            vector = self._combine(layer).relu_() if glimpse_network.multiplies else torch.baddbmm(bias, layer, weight).relu_()
            hidden = torch.baddbmm(core_bias, vector, core.glimpse_to_hidden.weight)
            if states:
                hidden = torch.baddbmm(hidden, states[-1], core.hidden_to_hidden.weight)
            all_patches.append(patches)
            layers.append(layer)
            vectors.append(vector)
            states.append(hidden.relu_())
            if t + 1 < s.glimpses:
                mean = model.location_network(states[-1]) if noise.uniform is None else location
                samples.append(model.sample_location(mean, noise, t))
                locations.append(samples[-1].clamp(-1, 1))
        return Episode(
            locations=torch.stack(locations, dim=1),
            samples=torch.stack(samples, dim=1) if samples else noise.first.new_zeros(n_seeds, 0, n_images, 2),
            patches=torch.stack(all_patches, dim=1),
            patch_and_location=torch.stack(layers, dim=1),
            glimpse_vectors=torch.stack(vectors, dim=1),
            hidden=torch.stack(states, dim=1),
        )

    def hidden_with_gradients(self, episode: Episode) -> Tensor:
        """Return the core's states of an episode, with gradients for all steps at once.

        Args:
            episode: from `rollout`.

        Returns:
            (seeds, T, batch, hidden_size), equal to `episode.hidden`.
        """
        glimpse_network, core = self.model.glimpse_network, self.model.core_network
        weight, bias, core_bias = self._joined_layers()
        width = self.model.settings.glimpse_size
        layers = episode.patch_and_location
        n_seeds = layers.shape[0]

        def rows(values: Tensor) -> Tensor:
            return values.reshape(n_seeds, -1, values.shape[-1])

        patch_fc, location_fc = glimpse_network.patch_fc, glimpse_network.location_fc
        h_g = known_linear_relu(rows(layers[..., :width]), rows(episode.patches), patch_fc.weight, _bias(patch_fc))
        h_l = known_linear_relu(rows(layers[..., width:]), rows(episode.locations), location_fc.weight, _bias(location_fc))
        both, values = torch.cat([h_g, h_l], dim=-1), rows(episode.glimpse_vectors)
        vectors = self._combine(both).relu() if glimpse_network.multiplies else known_linear_relu(values, both, weight, bias)
        inputs = vectors.view_as(episode.glimpse_vectors)
        return known_relu_recurrence(episode.hidden, inputs, core.glimpse_to_hidden.weight, core.hidden_to_hidden.weight, core_bias)

    def outcome(self, episode: Episode) -> Outcome:
        """Return the inputs of the loss, with gradients.

        Args:
            episode: from `rollout`.

        Returns:
            Class logits after the last glimpse, log-probabilities of the sampled locations, and baselines.
        """
        model = self.model
        hidden = self.hidden_with_gradients(episode)
        n_seeds, n_decisions, n_images = episode.samples.shape[:3]
        logits = model.action_network(hidden[:, -1])
        if n_decisions == 0:
            no_decision = logits.new_zeros(n_seeds, 0, n_images)
            return Outcome(logits, no_decision, no_decision)
        deciding = hidden[:, :-1].reshape(n_seeds, -1, model.settings.hidden_size)
        baselines = model.baseline_network(deciding).view(n_seeds, n_decisions, n_images)
        distance = episode.samples - model.location_network(deciding).view_as(episode.samples)
        return Outcome(logits, distance.square().sum(-1) / (-2 * model.sigma**2), baselines)


def _bias(layer: SeedLinear) -> Tensor:
    assert layer.bias is not None  # noqa: S101 (every layer of this model has one)
    return layer.bias
