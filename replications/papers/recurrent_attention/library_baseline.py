"""The baseline of the speed comparison: the logic of the best-known public PyTorch implementation, rewritten.

It crops every patch from every image in a Python loop, pads the whole batch for every scale, pools coarser patches, calls one module per
layer and glimpse, and lets autograd record all of it, patches included. Batch, sizes, losses and optimiser are those of that
implementation (128/128/256 units, a two-layer location network, location noise, REINFORCE with a learned baseline, Adam).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class BaselineRetina:
    """The glimpse sensor, one image at a time.

    Args:
        side: g, side of the finest patch in pixels.
        scales: k, number of patches.
    """

    def __init__(self, side: int, scales: int) -> None:
        self.side, self.scales = side, scales

    def __call__(self, images: Tensor, locations: Tensor) -> Tensor:
        """Extract one glimpse per image.

        Args:
            images: (batch, 1, height, height), values 0..1.
            locations: (batch, 2) as (x, y) in [-1, 1].

        Returns:
            (batch, scales * side * side), values 0..1.
        """
        patches = []
        for scale in range(self.scales):
            size = self.side * 2**scale
            patch = self._crop(images, locations, size)
            factor = size // self.side
            patches.append(functional.avg_pool2d(patch, factor) if factor > 1 else patch)
        return torch.cat(patches, 1).flatten(1)

    @staticmethod
    def _crop(images: Tensor, locations: Tensor, size: int) -> Tensor:
        side = images.shape[-1]
        start = (0.5 * ((locations + 1.0) * side)).long()
        end = start + size
        half = size // 2
        padded = functional.pad(images, (half, half, half, half))
        patches = [padded[i, :, start[i, 1] : end[i, 1], start[i, 0] : end[i, 0]] for i in range(images.shape[0])]
        return torch.stack(patches)


class BaselineRAM(nn.Module):
    """The recurrent attention model, one module call per layer and glimpse.

    Args:
        side: g, side of the finest patch in pixels.
        scales: k, number of patches.
        glimpses: T.
        sigma: standard deviation of the location policy.
    """

    def __init__(self, side: int, scales: int, glimpses: int, sigma: float) -> None:
        super().__init__()
        self.retina, self.glimpses, self.sigma = BaselineRetina(side, scales), glimpses, sigma
        self.patch_fc, self.location_fc = nn.Linear(scales * side * side, 128), nn.Linear(2, 128)
        self.glimpse_fc_patch, self.glimpse_fc_location = nn.Linear(128, 256), nn.Linear(128, 256)
        self.input_to_hidden, self.hidden_to_hidden = nn.Linear(256, 256), nn.Linear(256, 256)
        self.classifier, self.baseline = nn.Linear(256, 10), nn.Linear(256, 1)
        self.locator_1, self.locator_2 = nn.Linear(256, 128), nn.Linear(128, 2)

    def forward(self, images: Tensor, hidden: Tensor, location: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Take one glimpse.

        Args:
            images: (batch, 1, height, height), values 0..1.
            hidden: (batch, 256).
            location: (batch, 2) as (x, y) in [-1, 1].

        Returns:
            New state (batch, 256), next location (batch, 2), its log-probability (batch,), predicted reward (batch,).
        """
        patches = self.retina(images, location)
        h_g = self.glimpse_fc_patch(functional.relu(self.patch_fc(patches)))
        h_l = self.glimpse_fc_location(functional.relu(self.location_fc(location)))
        glimpse = functional.relu(h_g + h_l)
        hidden = functional.relu(self.input_to_hidden(glimpse) + self.hidden_to_hidden(hidden))
        mean = torch.tanh(self.locator_2(functional.relu(self.locator_1(hidden.detach()))))
        policy = torch.distributions.Normal(mean, self.sigma)
        sample = policy.sample()
        log_probability = policy.log_prob(sample).sum(1)
        return hidden, sample.clamp(-1, 1), log_probability, self.baseline(hidden.detach()).squeeze(1)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Compute the hybrid loss of one batch.

        Args:
            images: (batch, 1, height, height), values 0..1.
            labels: (batch,) int64.

        Returns:
            Scalar: cross-entropy, squared error of the baseline, and REINFORCE with weight 0.01.
        """
        n_images = len(images)
        hidden = torch.zeros(n_images, 256)
        location = torch.empty(n_images, 2).uniform_(-1, 1)
        log_probabilities, baselines = [], []
        for _ in range(self.glimpses):
            hidden, location, log_probability, baseline = self(images, hidden, location)
            log_probabilities.append(log_probability)
            baselines.append(baseline)
        scores = functional.log_softmax(self.classifier(hidden), dim=1)
        reward = (scores.detach().argmax(1) == labels).float().unsqueeze(1).repeat(1, self.glimpses)
        baseline, log_probability = torch.stack(baselines, 1), torch.stack(log_probabilities, 1)
        advantage = reward - baseline.detach()
        reinforce = torch.sum(-log_probability * advantage, dim=1).mean()
        return functional.nll_loss(scores, labels) + functional.mse_loss(baseline, reward) + 0.01 * reinforce
