"""Features of pictures, computed once and kept: the frozen CNN sees every picture a single time."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from replications.engine.context import Context
from replications.engine.datasets import cache_folder
from replications.files import replacing
from replications.papers.show_and_tell import data, scenes, vision
from replications.papers.show_and_tell.data import Split
from replications.papers.show_and_tell.settings import Cnn
from replications.papers.show_and_tell.vision import PhotoCnn, SceneCnn

BATCH = 64


@dataclass(frozen=True)
class Features:
    """Of one split: `vector` float32 (pictures, D) and `grid` float32 or float16 (pictures, locations, C)."""

    vector: Tensor
    grid: Tensor


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of the training features, so that every data set is seen in the same units."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, vector: Tensor) -> Scale:
        """From training vectors (n, D); features that never vary keep deviation 1."""
        deviation = vector.std(0)
        return cls(vector.mean(0), torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))

    def __call__(self, vector: Tensor) -> Tensor:
        """Standardise (..., D)."""
        return (vector - self.mean) / self.deviation


def cached(parts: list[str], names: list[str], build: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays from the cache, or built and put there: one file each, moved into place when whole.

    Args:
        parts: everything the arrays depend on; the code that makes them counts by itself.
        names: of the arrays.
    """
    code = b"".join(Path(module.__file__ or "").read_bytes() for module in (vision, scenes, data))
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
    """The scene network, pretrained once on unbiased scenes of both domains and kept in the cache."""
    cnn = SceneCnn(torch.Generator().manual_seed(0))
    names = list(cnn.state_dict())

    def build() -> dict[str, np.ndarray]:
        context.progress.say("pretraining the scene CNN, once")
        lines = [line for source in (data.SCENES, data.SKETCHES) for line in context.load(source, "pretrain")["scene"]]
        known = [scenes.decode(line) for line in lines]
        trained = vision.pretrain_scene_cnn(scenes.render(known, seed=1), known)
        return {name: value.numpy() for name, value in trained.state_dict().items()}

    weights = cached(["scene-cnn"], names, build)
    cnn.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return cnn.requires_grad_(False)


def build_cnn(context: Context, name: Cnn) -> nn.Module:
    """The picture network with its pretrained weights, on the context's device, frozen."""
    cnn: nn.Module = scene_cnn(context) if name == "scene" else PhotoCnn(name)
    return cnn.to(context.device).requires_grad_(False)


@torch.no_grad()
def extract(context: Context, cnn: nn.Module, name: Cnn, split: Split) -> Features:
    """Features of a split on the context's device, from the cache where they are.

    Photographs' grids are kept in half precision: 49 locations of 8,000 pictures are 400 MB so.
    """
    device = context.device

    def build() -> dict[str, np.ndarray]:
        vectors, grids = [], []
        for start in range(0, len(split), BATCH):
            rows = range(start, min(start + BATCH, len(split)))
            vector, grid = cnn(torch.from_numpy(split.read(rows)).to(device))
            vectors.append(vector.cpu().numpy())
            grids.append(grid.cpu().numpy() if name == "scene" else grid.half().cpu().numpy())
            context.progress.update(f"features of {split.name}", rows[-1] + 1, len(split))
        return {"vector": np.concatenate(vectors), "grid": np.concatenate(grids)}

    arrays = cached([name, split.name, split.fingerprint, device.type], ["vector", "grid"], build)
    return Features(torch.from_numpy(arrays["vector"]).to(device), torch.from_numpy(arrays["grid"]).to(device))
