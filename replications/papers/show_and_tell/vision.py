"""The CNNs and their features: a small CNN for rendered scenes, pretrained here, and torchvision's CNNs, pretrained on ImageNet.

From uint8 pixels each computes a feature vector for NIC and a feature grid for attention. Features of a frozen CNN are extracted once
and stored in the cache.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine import fingerprints, images
from replications.engine.context import Context
from replications.engine.datasets import ENVIRONMENT, cache_folder, mirror
from replications.engine.downloads import offline
from replications.engine.locks import exclusive
from replications.errors import DataError
from replications.files import replacing
from replications.papers.show_and_tell import data, scenes
from replications.papers.show_and_tell.data import Split
from replications.papers.show_and_tell.model import ImageFeatures
from replications.papers.show_and_tell.scenes import Scene
from replications.papers.show_and_tell.settings import Cnn

EXTRACTION_BATCH = 64
"""Images per forward pass during feature extraction."""
GRID = 7
"""Side of the feature grid of photographs, average-pooled from the last feature map (14 x 14 of VGG in Xu et al. 2015)."""


class SceneCnn(nn.Module):
    """CNN for rendered scenes: three strided convolutions, and two linear layers that read each of the 3 x 3 cells.

    The feature vector of 236 numbers joins `what` (maximum over cells, 128) and `where` (12 per cell, 108), because ImageNet networks, too,
    encode what is in an image much better than where it is. The feature grid has 6 x 6 locations of 64 channels.

    Args:
        generator: source of the initial weights.
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
        """Compute the features of images.

        Args:
            pixels: uint8 (n, 3, 48, 48), values 0 to 255.

        Returns:
            Feature vectors (n, 236) and feature grids (n, 36, 64).
        """
        x = pixels.float() / 64 - 2
        for layer in self.layers:
            x = functional.relu(layer(x))
        cells = functional.max_pool2d(x, 2).flatten(2).transpose(1, 2)
        what = functional.relu(self.what(cells)).amax(1)
        where = functional.relu(self.where(cells)).flatten(1)
        return torch.cat([what, where], 1), x.flatten(2).transpose(1, 2)


def scene_labels(contents: Sequence[Scene]) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels on which the scene CNN is pretrained.

    Args:
        contents: the scenes.

    Returns:
        Labels of whole scenes (kinds, settings, and pairs of kind, colour and size), (scenes, labels), and of cells (kinds and sizes),
        (scenes, cells, labels); each 0 or 1 as float32.
    """
    kinds, colours, sizes, settings = scenes.KINDS, scenes.COLOURS, scenes.SIZES, scenes.SETTINGS
    attributes = [
        *kinds,
        *((k, c) for k in kinds for c in colours),
        *((k, s) for k in kinds for s in sizes),
        *((c, s) for c in colours for s in sizes),
    ]
    column = {attribute: index for index, attribute in enumerate([*attributes, *settings])}
    what = np.zeros((len(contents), len(column)), dtype=np.float32)
    where = np.zeros((len(contents), scenes.CELLS**2, len(kinds) + len(sizes)), dtype=np.float32)
    for row, scene in enumerate(contents):
        what[row, column[scene.setting]] = 1
        for scene_object in scene.objects:
            labels: list[Any] = [scene_object.kind, (scene_object.kind, scene_object.size)]
            if scene.domain == "photo":
                labels += [(scene_object.kind, scene_object.colour), (scene_object.colour, scene_object.size)]
            what[row, [column[label] for label in labels]] = 1
            cell = scene_object.row * scenes.CELLS + scene_object.column
            where[row, cell, [kinds.index(scene_object.kind), len(kinds) + sizes.index(scene_object.size)]] = 1
    return what, where


def pretrain_scene_cnn(pixels: np.ndarray, contents: Sequence[Scene], *, seed: int = 0, epochs: int = 8, batch_size: int = 50) -> SceneCnn:
    """Train a scene CNN to classify the content of unbiased scenes: the counterpart of pretraining on ImageNet.

    Args:
        pixels: uint8 (scenes, 3, 48, 48), values 0 to 255.
        contents: the content of these scenes.
        seed: of initial weights and order.
        epochs: passes over the scenes.
        batch_size: scenes per update.

    Returns:
        The trained CNN, frozen.
    """
    generator = torch.Generator().manual_seed(seed)
    cnn = SceneCnn(generator)
    what, where = (torch.from_numpy(labels) for labels in scene_labels(contents))
    heads = [nn.Linear(SceneCnn.n_what, what.shape[-1]), nn.Linear(SceneCnn.n_where, where.shape[-1])]
    for head in heads:
        nn.init.kaiming_uniform_(head.weight, nonlinearity="linear", generator=generator)
        nn.init.constant_(head.bias, -3.0)  # a label is positive in few scenes
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
        cells = vector[:, SceneCnn.n_what :].unflatten(1, (-1, SceneCnn.n_where))
        predictions = [(heads[0](vector[:, : SceneCnn.n_what]), what[rows]), (heads[1](cells), where[rows])]
        losses = [functional.binary_cross_entropy_with_logits(*prediction, reduction="sum") for prediction in predictions]
        loss = torch.stack(losses).sum() / batch_size
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
"""torchvision network -> names of the nodes whose outputs are the last feature map and the class scores."""


class PhotoCnn(nn.Module):
    """A torchvision CNN with ImageNet weights; its feature vector joins mean features and class scores, its grid is 7 x 7.

    Args:
        name: of the network, a key of _NODES.

    Raises:
        DataError: its weights are not available, damaged or of another architecture.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        from torchvision.models.feature_extraction import create_feature_extractor

        grid, scores = _NODES[name]
        self.network = create_feature_extractor(_imagenet_network(name), {grid: "grid", scores: "scores"}).eval()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1) * 255)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) * 255)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the features of images.

        Args:
            pixels: uint8 (n, 3, side, side), values 0 to 255.

        Returns:
            Feature vectors (n, C + 1000) and feature grids (n, 49, C).
        """
        outputs = self.network((pixels.float() - self.get_buffer("mean")) / self.get_buffer("deviation"))
        grid = functional.adaptive_avg_pool2d(outputs["grid"], GRID).flatten(2).transpose(1, 2)
        return torch.cat([outputs["grid"].mean((2, 3)), outputs["scores"].flatten(1)], 1), grid


def _imagenet_network(name: str) -> nn.Module:
    """Return the network with its weights: `weights/<name>_imagenet.pt` of the local mirror, otherwise torchvision's.

    Raises:
        DataError: the weights are of another architecture, damaged, or not available.
    """
    from torchvision import models

    folder = mirror()
    path = folder / "weights" / f"{name}_imagenet.pt" if folder else None
    if path is None or not path.is_file():
        try:
            if offline() and not _is_downloaded(models.get_model_weights(name)["IMAGENET1K_V1"].url):
                raise ConnectionError("downloads are switched off by HF_HUB_OFFLINE")
            return models.get_model(name, weights="IMAGENET1K_V1")
        except Exception as error:  # no network, no permission, a damaged download: each raises another exception
            raise DataError(
                f"ImageNet weights of {name} are not on this machine and could not be fetched ({error}). With a network: run again; without: put "
                f"them at <folder>/weights/{name}_imagenet.pt (torchvision's state dict) and set {ENVIRONMENT}=<folder>."
            ) from error
    # GoogLeNet's files come with auxiliary classifiers (as published) and without (as stored from a loaded network).
    extra = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    return load_weights(models.get_model(name, weights=None, **extra), path, unused=("aux1.", "aux2.") if extra else ())


def _is_downloaded(address: str) -> bool:
    return Path(torch.hub.get_dir(), "checkpoints", Path(address).name).is_file()


def load_weights(network: nn.Module, path: Path, unused: tuple[str, ...] = ()) -> nn.Module:
    """Load a state dict file, all of whose layers must match.

    Args:
        network: receives the weights; after an error some of them.
        path: of the file.
        unused: first letters of layers that the file may have and the network does not.

    Returns:
        The network.

    Raises:
        DataError: the file is damaged, of another architecture, or holds numbers that are not finite; the message names the layers.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch each raise their own exceptions for a damaged file
        raise DataError(f"{path} cannot be read as weights ({error}). Replace the file.") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path} is not a state dict (names of layers and their weights). Store `network.state_dict()` in it.")
    if any(value.is_meta for value in state.values()):
        raise DataError(f"{path} holds names and shapes without weights. Replace the file.")
    damaged = [name for name, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if damaged:
        raise DataError(f"{path}: the weights of {', '.join(damaged[:4])} are not all finite. Replace the file.")
    expected = network.state_dict()
    cast = [name for name in state if name in expected and state[name].is_floating_point() != expected[name].is_floating_point()]
    if cast:  # torch would copy them and cut off what the other kind of number cannot hold
        raise DataError(f"{path}: the weights of {', '.join(cast[:4])} are of another kind of number than the network's. Replace the file.")
    try:
        # torch decides what fits: it supplies the counters that files older than torch 0.4.1 lack.
        network.load_state_dict({name: value for name, value in state.items() if not name.startswith(unused)})
    except Exception as error:  # shapes, names and types each raise their own exceptions
        differing = sorted(set(state) ^ set(expected)) + sorted(
            k for k in set(state) & set(expected) if state[k].shape != expected[k].shape
        )
        names = ", ".join(differing[:4]) + (", ..." if len(differing) > 4 else "")
        raise DataError(
            f"{path} holds weights of another architecture than {type(network).__name__}: {len(differing)} layers differ ({names})."
        ) from error
    return network


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the training features, by which the features of all data sets are standardised.

    Attributes:
        mean: (D,).
        deviation: (D,).
    """

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, vector: Tensor) -> Scale:
        """Compute the statistics of training features.

        Args:
            vector: feature vectors of the training split, (n, D).

        Returns:
            The scale; features without variance get deviation 1.
        """
        deviation = vector.std(0)
        return cls(vector.mean(0), torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))

    def __call__(self, vector: Tensor) -> Tensor:
        """Return standardised feature vectors, (..., D), of feature vectors (..., D).

        Args:
            vector: features, (..., D).

        Returns:
            (..., D).
        """
        return (vector - self.mean) / self.deviation


def cached(key_parts: list[str], names: list[str], build: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return arrays from the cache; compute and store them first where they are missing. Each file is moved into place when complete.

    Args:
        key_parts: texts that identify the inputs by their content; the code that computes (this module, scenes, data, images) and the
            versions of the libraries below it are part of the key anyway.
        names: of the arrays.
        build: computes the arrays by name.

    Returns:
        The arrays by name.
    """
    files = (__file__, scenes.__file__, data.__file__, images.__file__, fingerprints.__file__)
    code = hashlib.sha256(b"".join(Path(file or "").read_bytes() for file in files)).hexdigest()
    versions = [importlib.metadata.version(name) for name in ("torch", "torchvision", "numpy", "pillow")]
    key = hashlib.sha256("\0".join([*key_parts, *versions, code]).encode()).hexdigest()[:20]
    folder = cache_folder() / "features"
    paths = {name: folder / f"{key}.{name}.npy" for name in names}
    # Jobs that start together wait for the first one instead of each computing the same arrays.
    with exclusive(folder / f"{key}.lock", lambda text: print(text, file=sys.stderr)):
        stored = _stored(paths)
        if stored is not None:
            return stored
        arrays = build()
        for name, array in arrays.items():
            with replacing(paths[name]) as temporary, temporary.open("wb") as file:
                np.save(file, array)
    return arrays


def _stored(paths: dict[str, Path]) -> dict[str, np.ndarray] | None:
    """Return the arrays of files; None when one is missing or damaged, so that all are computed anew."""
    try:
        return {name: np.load(path, allow_pickle=False) for name, path in paths.items()}
    except (OSError, ValueError, EOFError):  # what numpy raises for a damaged file
        return None


def scene_cnn(context: Context) -> SceneCnn:
    """Return the scene CNN, pretrained on unbiased scenes of both domains and stored in the cache.

    Args:
        context: loads the scenes; receives progress.

    Returns:
        The CNN on the CPU, frozen.
    """
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
    """Return a CNN with its pretrained weights.

    Args:
        context: gives device and data.
        name: of the CNN.

    Returns:
        The CNN on the context's device, frozen.

    Raises:
        DataError: the weights of a torchvision CNN are not available, damaged or of another architecture.
    """
    cnn: nn.Module = scene_cnn(context) if name == "scene" else PhotoCnn(name)
    return cnn.to(context.device).requires_grad_(False)


def _weights_digest(cnn: nn.Module) -> str:
    """Return the hash of a CNN's weights: a replaced file of weights gives other features."""
    digest = hashlib.sha256()
    for name, value in cnn.state_dict().items():
        digest.update(name.encode() + b"\0" + value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def extract(context: Context, cnn: nn.Module, name: Cnn, split: Split) -> ImageFeatures:
    """Extract the features of a split, or read them from the cache.

    Grids of photographs are stored in half precision: those of 8,000 images (49 locations) then take 400 MB.

    Args:
        context: gives the device; receives progress.
        cnn: the CNN; its weights are part of the cache key.
        name: of the CNN.
        split: its images.

    Returns:
        Feature vectors float32 (n, D) and grids float32 or float16 (n, locations, C), on the context's device.
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

    arrays = cached([name, _weights_digest(cnn), split.fingerprint, str(len(split)), device.type], ["vector", "grid"], build)
    return ImageFeatures(torch.from_numpy(arrays["vector"]).to(device), torch.from_numpy(arrays["grid"]).to(device))
