"""Interactive exhibits of this paper: their data, from results. Free of torch."""

from __future__ import annotations

import base64

import numpy as np

from replications.papers.recurrent_attention.catch_figures import catch_runs
from replications.papers.recurrent_attention.trained_runs import glimpse_runs
from replications.presentation.exhibits import Exhibit
from replications.results.reader import NotMeasured, Results

N_IMAGES = 24


def glimpse_player(results: Results) -> Exhibit:
    """Play the glimpses of trained networks: select a run and an image, then play, step and change the speed.

    Each step adds one glimpse. Pixels inside any patch so far are bright, and sharp where the finest patch was; bars are the class
    probabilities after that glimpse (only the last one was trained). Smallest seed, the last checkpoint.
    """
    runs = []
    for run in glimpse_runs(results):
        s = run.settings
        if s.glimpses > 1:
            of_run = {"name": f"{run.task}: {run.network}", "policy": s.policy, "side": s.glimpse_side, "scales": s.scales}
            runs.append(of_run | _arrays(results, run.name))
    if not runs:
        raise NotMeasured("needs a run with more than one glimpse")
    names = ", ".join(str(run["name"]) for run in runs)
    return Exhibit(
        "Glimpse by glimpse",
        f"A player of glimpse locations and class probabilities on test images, glimpse by glimpse, for {names}.",
        runs,
        figure="glimpse_paths",
    )


def catch_player(results: Results) -> Exhibit:
    """Watch trained agents play Catch: select an agent and a game, then play, step and change the speed.

    Squares are the patches of the retina, the finest one in orange; what lies outside all of them the agent does not see in this frame.
    Games are test games, with the most probable move and the mean location; the first glimpse is at a random location.
    """
    runs = []
    for run in catch_runs(results):
        arrays, s = results.artifacts(run.name), run.settings
        centres = (arrays["gazes"][0].astype(float) + 1) * s.board / 2
        of_run = {"agent": run.agent, "board": s.board, "paddle": s.paddle, "side": s.glimpse_side, "scales": s.scales}
        games = {
            "balls": arrays["balls"].tolist(),
            "paddles": arrays["paddles"][0].tolist(),
            "gazes": np.floor(centres).astype(int).tolist(),
        }
        runs.append(of_run | games)
    agents = "; ".join(str(run["agent"]) for run in runs)
    return Exhibit(
        "Catch, frame by frame",
        f"A player of test games of Catch with the agent's gaze drawn in, for these agents: {agents}.",
        runs,
        figure="catch_gaze",
    )


def _arrays(results: Results, run: str) -> dict[str, object]:
    """Return images as base64 bytes, paths in pixels and class probabilities in per cent: about 100 kB per run at 60x60."""
    arrays = results.artifacts(run)
    images = arrays["images"][:N_IMAGES]
    side = images.shape[-1]
    paths = (arrays["paths"][0, :N_IMAGES].astype(float) + 1) * side / 2
    return {
        "canvas": side,
        "images": [base64.b64encode(np.ascontiguousarray(image, dtype=np.uint8).tobytes()).decode() for image in images],
        "labels": arrays["labels"][:N_IMAGES].tolist(),
        "paths": np.round(paths, 1).tolist(),
        "beliefs": np.round(100 * arrays["beliefs"][0, :N_IMAGES].astype(float)).astype(int).tolist(),
    }
