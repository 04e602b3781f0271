"""Interactive exhibits of this paper. Torch-free."""

from __future__ import annotations

import numpy as np

from replications.papers.vit_scaling.settings import Settings
from replications.presentation.exhibits import Exhibit
from replications.results.reader import NotMeasured, Results

_MAX_SEEDS = 3


def attention_viewer(results: Results) -> Exhibit:
    """Patches that a trained ViT attends to. Select a run, a seed and an image: the overlay shows attention rollout, the share of every patch
    in the classifier's input. Select a patch to see the similarity of its position embedding to all others.
    """
    runs = []
    for run in results.runs():
        settings = run.settings_as(Settings)
        if not settings.save_attention or settings.family != "vit" or not results.finished(run.name):
            continue
        rollouts = results.by_seed(run.name, "rollout")
        images = results.artifacts(run.name)["rollout_images"]
        similarities = {}
        if settings.positions != "none":
            similarities = {seed: array for seed, (array,) in results.by_seed(run.name, "position_similarity").items()}
        seeds = list(rollouts)[:_MAX_SEEDS]
        runs.append(
            {
                "name": run.name,
                "n_images": settings.n_images,
                "grid": settings.grid,
                "side": int(images.shape[1]),
                "images": [_hex(image) for image in images],
                "seeds": seeds,
                "rollout": [np.round(rollouts[seed][0], 4).tolist() for seed in seeds],
                "positions": [np.round(similarities[seed], 2).tolist() for seed in seeds if seed in similarities],
            }
        )
    if not runs:
        raise NotMeasured("needs a run with save_attention: true")
    alt = f"Attention over {len(images)} images for {len(runs)} trained ViTs; the figure of rollouts shows some of them without scripts."
    return Exhibit("Attention of the ViT", alt, {"runs": runs}, figure="attention_rollouts")


def _hex(image: np.ndarray) -> str:
    """Return the RGB bytes of an image as one hexadecimal string.

    Args:
        image: (side, side, 3), 0..255.
    """
    return np.ascontiguousarray(image, dtype=np.uint8).tobytes().hex()
