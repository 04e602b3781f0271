"""The frozen CNN that turns a frame into a feature vector, the same for every head: torchvision's, or a small one trained on still digits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.datasets import ENVIRONMENT, mirror
from replications.errors import DataError
from replications.papers.video_recognition import digits

FRAMES_AT_ONCE = 2048
"""Frames of made-up clips per forward pass."""
PRETRAIN_SEED = 0
"""Seed of the small CNN: as with weights trained on ImageNet, there is one CNN for all seeds of the heads."""


class StillCnn(nn.Module):
    """CNN for made-up clips: two strided convolutions and one layer of 64 units, all of which see the whole frame.

    Args:
        generator: source of the initial weights.
    """

    n_features = 64

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1)
        self.last = nn.Linear(16 * (digits.SIDE // 4) ** 2, self.n_features)
        for layer in (self.first, self.second, self.last):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the features of frames.

        Args:
            images: (n, 16, 16), 0 to 1; differences of frames -1 to 1.

        Returns:
            (n, 64), not negative.
        """
        x = functional.relu(self.first(images.unsqueeze(1)))
        x = functional.relu(self.second(x))
        return functional.relu(self.last(x.flatten(1)))


def pretrain(images: Tensor, labels: Tensor, n_steps: int, batch_size: int = 128) -> StillCnn:
    """Train the CNN to say which digit a still image shows and where: the counterpart of training on ImageNet.

    Args:
        images: (n, 16, 16) on the CPU.
        labels: digit, x and y, int64 (n, 3).
        n_steps: updates.
        batch_size: images per update.

    Returns:
        The CNN, frozen.
    """
    generator = torch.Generator().manual_seed(PRETRAIN_SEED)
    cnn = StillCnn(generator)
    sizes = [len(digits.DIGITS), *[digits.SIDE - digits.DIGIT_SIDE + 1] * 2]
    readout = nn.Linear(StillCnn.n_features, sum(sizes))
    nn.init.normal_(readout.weight, std=0.05, generator=generator)
    nn.init.zeros_(readout.bias)
    optimiser = torch.optim.Adam([*cnn.parameters(), *readout.parameters()], lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
    for _ in range(n_steps):
        rows = torch.randint(len(images), (batch_size,), generator=generator)
        answers = readout(cnn(images[rows])).split(sizes, dim=1)
        losses = [functional.cross_entropy(answer, labels[rows, i]) for i, answer in enumerate(answers)]
        optimiser.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        optimiser.step()
        schedule.step()
    return cnn.requires_grad_(False)


@torch.no_grad()
def features_of(cnn: nn.Module, frames: Tensor) -> Tensor:
    """Return the features of all frames of all clips, computed in large batches.

    Args:
        cnn: from images to features.
        frames: (clips, steps, ...).

    Returns:
        (clips, steps, features).
    """
    parts = [cnn(part) for part in frames.flatten(0, 1).split(FRAMES_AT_ONCE)]
    return torch.cat(parts).unflatten(0, frames.shape[:2])


class PhotoCnn(nn.Module):
    """A torchvision CNN with ImageNet weights, up to the features before its classifier, averaged over the image.

    Args:
        name: of the network in torchvision.

    Raises:
        DataError: its weights are not available, or damaged.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        network = _with_weights(name)
        layers = network.get_submodule("features") if name.startswith("squeezenet") else nn.Sequential(*list(network.children())[:-2])
        self.layers = layers.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1) * 255)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) * 255)

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute the features of frames.

        Args:
            pixels: (n, 3, side, side), values 0 to 255.

        Returns:
            (n, features).
        """
        return self.layers((pixels.float() - self.get_buffer("mean")) / self.get_buffer("deviation")).mean((2, 3))


def _with_weights(name: str) -> nn.Module:
    """Return a network with the weights `weights/<name>_imagenet.pt` of the local mirror, otherwise torchvision's."""
    from torchvision import models

    folder = mirror()
    path = folder / "weights" / f"{name}_imagenet.pt" if folder else None
    try:
        if path is None or not path.is_file():
            return models.get_model(name, weights="IMAGENET1K_V1")
        network = models.get_model(name, weights=None)
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # no network, no permission, a damaged file, another architecture: each raises another exception
        raise DataError(
            f"ImageNet weights of {name} cannot be had ({error}). With a network: run again; without: put torchvision's state dict at"
            f" <folder>/weights/{name}_imagenet.pt and set {ENVIRONMENT}=<folder>."
        ) from error
    return network
