"""Interactive exhibit of this paper: clips to play, with what the heads believe at every frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from replications.presentation.exhibits import Exhibit
from replications.results.reader import NotMeasured, Results

ORDERS = ("forward", "shuffled", "reversed")


def clip_player(results: Results) -> Exhibit:
    """Play clips of moving digits forward, shuffled and backwards, and read the probabilities that a head gives to each class after every
    frame. The mean over all frames is the answer for the clip. The network is that of the first seed.
    """
    results.need("digits-average", "digits-lstm")
    heads: dict[str, Any] = {}
    for run in results.runs():
        if run.labels.get("data") == "digits" and "head" in run.labels and results.finished(run.name):
            arrays = results.artifacts(run.name)
            heads[str(run.labels["head"])] = {order: np.round(100 * arrays[f"shown_{order}"]).astype(int).tolist() for order in ORDERS}
    arrays = results.artifacts("digits-lstm")
    if "shown_frames" not in arrays:
        raise NotMeasured("needs stored clips of digits-lstm")
    data = {
        "frames": arrays["shown_frames"].tolist(),
        "orders": arrays["shown_orders"].tolist(),
        "labels": arrays["shown_labels"].tolist(),
        "names": [str(name) for name in arrays["class_names"]],
        "heads": heads,
    }
    alt = (
        f"{len(data['labels'])} clips of moving digits to play forward, shuffled and backwards, with the probabilities of each class after every"
        " frame; the figure on the effect of order in this section shows the accuracies without scripts."
    )
    return Exhibit("Clip player: what a head believes after each frame", alt, data, figure="effect_of_order")
