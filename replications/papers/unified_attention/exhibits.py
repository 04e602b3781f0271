"""Interactive exhibit of this paper: cells, their Q values and the glimpses that they guide. Free of torch."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from replications.papers.unified_attention.settings import Settings
from replications.papers.unified_attention.trained_runs import MODELS, runs_with_cells
from replications.presentation.exhibits import Exhibit
from replications.registry.run_grid import Run
from replications.results.reader import Results


def guided_glimpses(results: Results) -> Exhibit:
    """Select a model and a canvas, and follow how cells are chosen and glimpses placed.

    Cells are the bluer the higher their Q value before the shown glimpse, from the lowest to the highest of the canvas; the chosen cell has
    a thick edge. Orange squares are the finest patches. Canvases are the first ones of the test set, the first glimpse is at a random
    place, later ones at the policy's means; the network is that of the smallest seed.
    """
    runs = [_run(results, run, settings) for run, settings in runs_with_cells(results)]
    names = "; ".join(str(run["name"]) for run in runs)
    alt = f"Cells of test canvases coloured by Q value, with the glimpses, one by one, for {names}; a figure shows some of them."
    return Exhibit("Where to look, cell by cell", alt, {"runs": runs}, figure="cells_and_glimpses")


def _run(results: Results, run: Run, settings: Settings) -> dict[str, Any]:
    """Return the canvases of one run, with places in pixels and Q values in per cent."""
    arrays = results.artifacts(run.name)
    places = (arrays["shown_locations"][0].astype(float) + 1) * settings.canvas / 2  # (glimpses, canvases, 2)
    return {
        "name": f"{MODELS[settings.model]}, {settings.canvas}x{settings.canvas}",
        "canvas": settings.canvas,
        "side": settings.glimpse_side,
        "grid": settings.grid,
        "canvases": [_canvas(arrays, places[:, i], i) for i in range(len(arrays["shown_images"]))],
    }


def _canvas(arrays: dict[str, np.ndarray], places: np.ndarray, i: int) -> dict[str, Any]:
    """Return one canvas: its pixels, the glimpses, the Q values and cells of each decision, the answer and the truth."""
    probabilities = arrays["shown_probabilities"][0, i].astype(float)
    return {
        "pixels": base64.b64encode(np.ascontiguousarray(arrays["shown_images"][i]).tobytes()).decode(),
        "path": np.round(places, 1).tolist(),
        "q": np.round(100 * arrays["shown_q"][0, :, i].astype(float)).astype(int).tolist(),
        "cells": arrays["shown_cells"][0, :, i].astype(int).tolist(),
        "answer": int(probabilities.argmax()),
        "share": round(100 * float(probabilities.max())),
        "truth": int(arrays["shown_labels"][i]),
    }
