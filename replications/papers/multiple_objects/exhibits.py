"""Interactive exhibit of this paper: glimpses over canvases. Free of torch."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from replications.papers.multiple_objects.answers import MODELS, answer_names, answered_until_end, runs_with_glimpses, task_name
from replications.papers.multiple_objects.settings import Settings
from replications.presentation.exhibits import Exhibit
from replications.registry.run_grid import Run
from replications.results.reader import Results


def glimpse_reader(results: Results) -> Exhibit:
    """Select a network and a canvas, and follow its glimpses to the answer.

    Squares are the patches of a glimpse, the finest one in orange; what none of the finest patches so far has covered is dark. Below stand
    the answers that the network has given up to this glimpse, with their probabilities. Canvases are the first ones of the test set,
    locations the policy's means, the network is that of the smallest seed.
    """
    runs = [_run(results, run) for run in runs_with_glimpses(results)]
    names = "; ".join(str(run["name"]) for run in runs)
    alt = f"Glimpses over test canvases with the answers, glimpse by glimpse, for {names}; the figure of glimpse paths shows some of them."
    return Exhibit("Reading a canvas, glimpse by glimpse", alt, {"runs": runs}, figure="glimpse_paths")


def _run(results: Results, run: Run) -> dict[str, Any]:
    """Return the canvases of one run, with places in pixels and answers in words."""
    settings, arrays = run.settings_as(Settings), results.artifacts(run.name)
    places = (arrays["shown_locations"][0].astype(float) + 1) * settings.canvas / 2  # (glimpses, canvases, 2)
    return {
        "name": f"{MODELS[settings.model]}, {task_name(settings)}",
        "canvas": settings.canvas,
        "side": settings.glimpse_side,
        "scales": settings.scales,
        "perTarget": settings.glimpses,
        "canvases": [_canvas(settings, arrays, places[:, i], i) for i in range(len(arrays["shown_images"]))],
    }


def _canvas(settings: Settings, arrays: dict[str, np.ndarray], places: np.ndarray, i: int) -> dict[str, Any]:
    """Return one canvas: its pixels, the glimpses on it, the answers and the truth."""
    names, probabilities = answer_names(settings), arrays["shown_probabilities"][0, :, i].astype(float)
    answers = [names[c] for c in probabilities.argmax(-1)]
    truth = [names[c] for c in arrays["shown_targets"][i]]
    return {
        "pixels": base64.b64encode(np.ascontiguousarray(arrays["shown_images"][i]).tobytes()).decode(),
        "path": np.floor(places).astype(int).tolist(),
        "answers": answers,
        "shares": np.round(100 * probabilities.max(-1)).astype(int).tolist(),
        "truth": ", ".join(answered_until_end(truth)),
        "right": answered_until_end(answers) == answered_until_end(truth),
    }
