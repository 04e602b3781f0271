"""Interactive exhibits of this paper: functions from results to data. Free of torch."""

from __future__ import annotations

import base64
import re

import numpy as np

from replications.papers.recurrent_attention.settings import Settings
from replications.presentation.exhibits import Exhibit
from replications.results.reader import NotMeasured, Results

N_IMAGES = 24


def glimpse_player(results: Results) -> Exhibit:
    """Watch trained networks look: choose a run and an image, then play, step and change speed.

    Each step adds one glimpse. Bright is what some patch has shown so far, sharp where the finest patch was; bars are the
    classes' probabilities after that glimpse (only the last one was trained). Seed 0, the last checkpoint.
    """
    runs = []
    for run in results.runs():
        settings = run.settings_as(Settings)
        if re.fullmatch(r"[a-z]+-(ram|random)-\d+", run.name) and settings.glimpses > 1 and results.finished(run.name):
            runs.append({"name": run.name, "side": settings.glimpse_side, "scales": settings.scales} | _arrays(results, run.name))
    if not runs:
        raise NotMeasured("needs runs with more than one glimpse")
    names = ", ".join(str(run["name"]) for run in runs)
    return Exhibit(
        "Glimpse by glimpse", f"A player that shows, step by step, where {names} look on test images and what they believe.", runs
    )


def _arrays(results: Results, run: str) -> dict[str, object]:
    """Images as base64 bytes, paths in pixels, beliefs in per cent: about 100 kB a run at 60x60."""
    kept = results.artifacts(run)
    images = kept["images"][:N_IMAGES]
    side = images.shape[-1]
    paths = (kept["paths"][0, :N_IMAGES].astype(float) + 1) * side / 2
    return {
        "canvas": side,
        "images": [base64.b64encode(np.ascontiguousarray(image, dtype=np.uint8).tobytes()).decode() for image in images],
        "labels": kept["labels"][:N_IMAGES].tolist(),
        "paths": np.round(paths, 1).tolist(),
        "beliefs": np.round(100 * kept["beliefs"][0, :N_IMAGES].astype(float)).astype(int).tolist(),
    }
