"""Interactive exhibits of this paper. Torch-free."""

from __future__ import annotations

import numpy as np

from replications.errors import InputError
from replications.papers.vit_scaling.settings import Settings
from replications.presentation.exhibits import Exhibit
from replications.results.reader import NotMeasured, Results

_MOST_SEEDS = 3


def attention_viewer(results: Results) -> Exhibit:
    """Which patches a trained ViT looks at. Choose a run, a seed and a picture: the overlay is attention rollout, the share
    of every patch in what the classifier reads. Choose a patch to see how similar its position embedding is to every
    other's.
    """
    runs = []
    for run in results.runs():
        settings = run.settings_as(Settings)
        if not settings.look or settings.family != "vit" or not results.finished(run.name):
            continue
        seen = results.by_seed(run.name, "rollout")
        shown = results.artifacts(run.name)["shown"]
        try:
            similar = {seed: array for seed, (array,) in results.by_seed(run.name, "position_similarity").items()}
        except InputError:  # a run without position embeddings keeps no such artifact
            similar = {}
        seeds = list(seen)[:_MOST_SEEDS]
        runs.append(
            {
                "name": run.name,
                "images": settings.n_images,
                "grid": settings.grid,
                "side": int(shown.shape[1]),
                "pictures": [_hex(picture) for picture in shown],
                "seeds": seeds,
                "rollout": [np.round(seen[seed][0], 4).tolist() for seed in seeds],
                "positions": [np.round(similar[seed], 2).tolist() for seed in seeds if seed in similar],
            }
        )
    if not runs:
        raise NotMeasured("needs a run with look: true")
    alt = f"Attention over {len(shown)} pictures for {len(runs)} trained ViTs; without scripts see the figure of rollouts."
    return Exhibit("What the ViT looks at", alt, {"runs": runs})


def _hex(picture: np.ndarray) -> str:
    """RGB bytes of (side, side, 3) as one hexadecimal string."""
    return np.ascontiguousarray(picture, dtype=np.uint8).tobytes().hex()
