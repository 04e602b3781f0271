"""The CNNs: a small one for rendered scenes, pretrained here, and torchvision's, pretrained on ImageNet; and their features, kept.

Each gives a vector for NIC and a grid of features for attention, from uint8 pixels. A frozen CNN sees every image once.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.context import Context
from replications.engine.datasets import ENVIRONMENT, cache_folder, mirror
from replications.errors import DataError
from replications.files import replacing
from replications.papers.show_and_tell import data, scenes
from replications.papers.show_and_tell.data import Split
from replications.papers.show_and_tell.model import ImageFeatures
from replications.papers.show_and_tell.scenes import Scene
from replications.papers.show_and_tell.settings import Cnn

EXTRACTION_BATCH = 64
"""Images that a CNN sees at once while features are extracted."""
GRID = 7
"""Photographs: side of the grid of features, averaged from the network's own (VGG's 14 x 14 in Xu et al.)."""


class SceneCnn(nn.Module):
    """Three strided convolutions; then, for each of the 3 x 3 cells, what is there.

    The vector of 236 joins `what` (the largest response over cells, 128) and `where` (12 numbers a cell, 108): ImageNet
    networks likewise know much better what is in an image than where. The grid has 6 x 6 locations with 64 channels.
    """

    n_what, n_where, n_channels, n_locations = 128, 12, 64, 36
    n_vector = n_what + n_where * scenes.CELLS**2

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 32, 3, 2, 1), nn.Conv2d(32, self.n_channels, 3, 2, 1)])
        self.what = nn.Linear(self.n_channels, self.n_what)
        self.where = nn.Linear(self.n_channels, self.n_where)
        for module in [*self.layers, self.what, self.where]:
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(module.bias)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 (n, 3, 48, 48) to a vector (n, 236) and a grid (n, 36, 64)."""
        x = pixels.float() / 64 - 2
        for layer in self.layers:
            x = functional.relu(layer(x))
        cells = functional.max_pool2d(x, 2).flatten(2).transpose(1, 2)
        what = functional.relu(self.what(cells)).amax(1)
        where = functional.relu(self.where(cells)).flatten(1)
        return torch.cat([what, where], 1), x.flatten(2).transpose(1, 2)


def scene_labels(contents: Sequence[Scene]) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels that the scene network is pretrained to tell.

    Args:
        contents: the scenes.

    Returns:
        Presence of kinds, colours, sizes and settings in each scene, (scenes, labels), and of kinds and sizes in each cell,
        (scenes, cells, labels), each 0 or 1 as float32.
    """
    kinds, colours, sizes, settings = scenes.KINDS, scenes.COLOURS, scenes.SIZES, scenes.SETTINGS
    names = [
        *kinds,
        *((k, c) for k in kinds for c in colours),
        *((k, s) for k in kinds for s in sizes),
        *((c, s) for c in colours for s in sizes),
    ]
    place = {name: index for index, name in enumerate([*names, *settings])}
    what = np.zeros((len(contents), len(place)), dtype=np.float32)
    where = np.zeros((len(contents), scenes.CELLS**2, len(kinds) + len(sizes)), dtype=np.float32)
    for row, scene in enumerate(contents):
        what[row, place[scene.setting]] = 1
        for thing in scene.things:
            labels: list[Any] = [thing.kind, (thing.kind, thing.size)]
            if scene.domain == "photo":
                labels += [(thing.kind, thing.colour), (thing.colour, thing.size)]
            what[row, [place[name] for name in labels]] = 1
            where[row, thing.row * scenes.CELLS + thing.column, [kinds.index(thing.kind), len(kinds) + sizes.index(thing.size)]] = 1
    return what, where


def pretrain_scene_cnn(pixels: np.ndarray, contents: Sequence[Scene], *, seed: int = 0, epochs: int = 8, batch_size: int = 50) -> SceneCnn:
    """Return a scene network trained to name what is in unbiased scenes: the counterpart of ImageNet training, once for all runs.

    Args:
        pixels: uint8 (scenes, 3, 48, 48).
        contents: the scenes that the pixels show.
        seed: of weights and order.
        epochs: passes over the scenes.
        batch_size: scenes per update.
    """
    generator = torch.Generator().manual_seed(seed)
    cnn = SceneCnn(generator)
    what, where = (torch.from_numpy(labels) for labels in scene_labels(contents))
    heads = [nn.Linear(SceneCnn.n_what, what.shape[-1]), nn.Linear(SceneCnn.n_where, where.shape[-1])]
    for head in heads:
        nn.init.kaiming_uniform_(head.weight, nonlinearity="linear", generator=generator)
        nn.init.constant_(head.bias, -3.0)  # most labels are absent in most scenes
    parameters = [*cnn.parameters(), *(parameter for head in heads for parameter in head.parameters())]
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-3)
    data = torch.from_numpy(pixels)
    per_epoch = len(data) // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=epochs * per_epoch)
    for step in range(epochs * per_epoch):
        if step % per_epoch == 0:
            order = torch.randperm(len(data), generator=generator)
        rows = order[(step % per_epoch) * batch_size :][:batch_size]
        vector, _ = cnn(data[rows])
        places = vector[:, SceneCnn.n_what :].unflatten(1, (-1, SceneCnn.n_where))
        answers = [(heads[0](vector[:, : SceneCnn.n_what]), what[rows]), (heads[1](places), where[rows])]
        loss = torch.stack([functional.binary_cross_entropy_with_logits(*answer, reduction="sum") for answer in answers]).sum() / batch_size
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return cnn.requires_grad_(False)


_NODES = {
    "squeezenet1_1": ("features", "flatten"),
    "googlenet": ("inception5b", "fc"),
    "resnet50": ("layer4", "fc"),
    "resnet101": ("layer4", "fc"),
}
"""Name of the last grid and of the class scores in each torchvision network."""


class PhotoCnn(nn.Module):
    """A torchvision network with ImageNet weights: mean features and class scores as the vector, a 7 x 7 grid.

    Args:
        name: of the network, a key of _NODES.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        from torchvision.models.feature_extraction import create_feature_extractor

        grid, scores = _NODES[name]
        self.network = create_feature_extractor(_imagenet_network(name), {grid: "grid", scores: "scores"}).eval()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1) * 255)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) * 255)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 (n, 3, side, side) to a vector (n, C + 1000) and a grid (n, 49, C)."""
        outputs = self.network((pixels.float() - self.get_buffer("mean")) / self.get_buffer("deviation"))
        grid = functional.adaptive_avg_pool2d(outputs["grid"], GRID).flatten(2).transpose(1, 2)
        return torch.cat([outputs["grid"].mean((2, 3)), outputs["scores"].flatten(1)], 1), grid


def _imagenet_network(name: str) -> nn.Module:
    """Return the network with its weights: `weights/<name>_imagenet.pt` of the local mirror, else torchvision's own.

    Raises:
        DataError: weights of another architecture, damaged, or not at hand.
    """
    from torchvision import models

    folder = mirror()
    path = folder / "weights" / f"{name}_imagenet.pt" if folder else None
    if path is None or not path.is_file():
        try:
            return models.get_model(name, weights="IMAGENET1K_V1")
        except Exception as error:  # no network, no permission, a damaged download: the library has many kinds
            raise DataError(
                f"ImageNet weights of {name} are not on this machine and could not be fetched ({error}). With a network: run again; without: put "
                f"them at <folder>/weights/{name}_imagenet.pt (torchvision's state dict) and set {ENVIRONMENT}=<folder>."
            ) from error
    extra = {"init_weights": False} if name == "googlenet" else {}
    return load_weights(models.get_model(name, weights=None, **extra), path)


def load_weights(network: nn.Module, path: Path) -> nn.Module:
    """Load a state dict file strictly, and return the network.

    Args:
        network: receives the weights.
        path: of the file.

    Raises:
        DataError: the file is damaged or of another architecture; the message names the layers.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        expected = network.state_dict()
        differing = sorted(set(state) ^ set(expected)) + sorted(
            k for k in set(state) & set(expected) if state[k].shape != expected[k].shape
        )
    except Exception as error:  # zip, pickle and torch each have their own kinds for a damaged file
        raise DataError(f"{path} cannot be read as weights ({error}). Replace the file.") from error
    if differing:
        names = ", ".join(differing[:4]) + (", ..." if len(differing) > 4 else "")
        raise DataError(
            f"{path} holds weights of another architecture than {type(network).__name__}: {len(differing)} layers differ ({names})."
        )
    network.load_state_dict(state)
    return network


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the training features, each (D,), so that every data set is seen in the same units."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, vector: Tensor) -> Scale:
        """Return the scale of training vectors (n, D); features that never vary get deviation 1."""
        deviation = vector.std(0)
        return cls(vector.mean(0), torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))

    def __call__(self, vector: Tensor) -> Tensor:
        """Return standardised vectors, (..., D)."""
        return (vector - self.mean) / self.deviation


def cached(parts: list[str], names: list[str], build: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return arrays from the cache; build and store them first where they are missing, each file moved into place when whole.

    Args:
        parts: texts on which the arrays depend; the code that makes them counts by itself.
        names: of the arrays.
        build: makes the arrays.
    """
    code = b"".join(Path(file or "").read_bytes() for file in (__file__, scenes.__file__, data.__file__))
    key = hashlib.sha256("\0".join([*parts, torch.__version__, hashlib.sha256(code).hexdigest()]).encode()).hexdigest()[:20]
    folder = cache_folder() / "features"
    paths = {name: folder / f"{key}.{name}.npy" for name in names}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{key}.lock").open("w") as lock:
        # Jobs that start together wait for the one that computes instead of all computing the same.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(path.is_file() for path in paths.values()):
            for name, array in build().items():
                with replacing(paths[name]) as temporary, temporary.open("wb") as file:
                    np.save(file, array)
    return {name: np.load(path) for name, path in paths.items()}


def scene_cnn(context: Context) -> SceneCnn:
    """Return the scene network, pretrained once on unbiased scenes of both domains and stored in the cache."""
    cnn = SceneCnn(torch.Generator().manual_seed(0))
    names = list(cnn.state_dict())

    def build() -> dict[str, np.ndarray]:
        context.progress.say("pretraining the scene CNN, once")
        lines = [line for source in (data.SCENES, data.SKETCHES) for line in context.load(source, "pretrain")["scene"]]
        contents = [scenes.decode(line) for line in lines]
        trained = pretrain_scene_cnn(scenes.render(contents, seed=1), contents)
        return {name: value.numpy() for name, value in trained.state_dict().items()}

    weights = cached(["scene-cnn"], names, build)
    cnn.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return cnn.requires_grad_(False)


def build_cnn(context: Context, name: Cnn) -> nn.Module:
    """Return the frozen CNN with its pretrained weights, on the context's device.

    Args:
        context: gives device and data.
        name: of the CNN.
    """
    cnn: nn.Module = scene_cnn(context) if name == "scene" else PhotoCnn(name)
    return cnn.to(context.device).requires_grad_(False)


@torch.no_grad()
def extract(context: Context, cnn: nn.Module, name: Cnn, split: Split) -> ImageFeatures:
    """Return the features of a split on the context's device, from the cache where they are.

    Grids of photographs are stored in half precision: 49 locations of 8,000 images are then 400 MB.

    Args:
        context: gives the device; receives progress.
        cnn: the network.
        name: of the CNN, part of the key in the cache.
        split: its images.

    Returns:
        Vector float32 (n, D), and grid float32 or float16 (n, locations, C).
    """
    device = context.device

    def build() -> dict[str, np.ndarray]:
        vectors, grids = [], []
        for start in range(0, len(split), EXTRACTION_BATCH):
            rows = range(start, min(start + EXTRACTION_BATCH, len(split)))
            vector, grid = cnn(torch.from_numpy(split.read(rows)).to(device))
            vectors.append(vector.cpu().numpy())
            grids.append(grid.cpu().numpy() if name == "scene" else grid.half().cpu().numpy())
            context.progress.update(f"features of {split.name}", rows[-1] + 1, len(split))
        return {"vector": np.concatenate(vectors), "grid": np.concatenate(grids)}

    arrays = cached([name, split.name, split.fingerprint, device.type], ["vector", "grid"], build)
    return ImageFeatures(torch.from_numpy(arrays["vector"]).to(device), torch.from_numpy(arrays["grid"]).to(device))
