"""Interactive exhibits: held-out text coloured by the activation of each unit of a trained network."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from replications.papers.char_rnn.figure_data import outline_notes
from replications.papers.char_rnn.settings import Settings
from replications.presentation.exhibits import Exhibit
from replications.results.reader import NotMeasured, Results

BINARY = {"quote": "quotation open", "string": "string open", "comment": "comment open", "condition": "if condition open"}
GRADED = {"column": "position in line", "indentation": "indentation", "depth": "bracket depth"}
MAX_UNITS = 192
"""Largest number of units shown per network: those with the highest score for any label."""


def cell_explorer(results: Results) -> Exhibit:
    """Held-out text coloured by the activation of any unit, with the parser's ground truth below each character. Units are sorted by their
    score for the selected label, measured on text that was not used to select them.
    """
    networks = []
    for run in results.runs():
        if "cells" in run.settings_as(Settings).analyses and results.finished(run.name):
            arrays = results.artifacts(run.name, run.seeds[0])
            networks += [_network(run.name, name, arrays) for name in run.settings_as(Settings).analysed[:1]]
    if not networks:
        raise NotMeasured("needs a finished run with the analysis 'cells'")
    first = networks[0]
    alt = f"{len(first['units'])} units over {len(first['text']):,} characters of held-out text of run {first['run']}."
    hidden = dict.fromkeys(note for network in networks for note in outline_notes(network["text"]))
    return Exhibit("Cell explorer", " ".join([alt, *hidden]), {"networks": networks}, figure="a_cell_on_text")


def _network(run: str, name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the page's data of one network, rounded to the displayed precision.

    Args:
        run: name of the run.
        name: name of the network, for example 'lstm-2'.
        arrays: artifacts of the run's first chunk.

    Returns:
        JSON-serialisable data; long arrays as base64.
    """
    recorded_labels = [key for key in (*BINARY, *GRADED) if f"score.{key}.{name}" in arrays]
    keys = [key for key in recorded_labels if bool((arrays[f"p.{key}.{name}"] < 1).any())]  # labels that are too rare have p = 1 everywhere
    scores = {key: arrays[f"score.{key}.{name}"][0] for key in keys}
    selection = {key: arrays[f"selection.{key}.{name}"][0] for key in keys}
    # Distance from chance on a common scale, so that binary and graded labels can be compared.
    above_chance = {key: (2 * selection[key] - 1) if key in BINARY else selection[key] for key in keys}
    keys.sort(key=lambda key: -float(above_chance[key].max()))
    units = np.sort(np.argsort(-np.max(list(above_chance.values()), axis=0), kind="stable")[:MAX_UNITS])
    labels = []
    for key in keys:
        truth = arrays[f"explorer_label.{key}.{name}"]
        labels.append(
            {
                "name": (BINARY | GRADED)[key],
                "binary": key in BINARY,
                "measure": "balanced accuracy" if key in BINARY else "correlation",
                "truth": _base64(truth.clip(0, 255).astype(np.uint8)),
                "highest": int(truth.max()),
                "score": [round(float(scores[key][unit]), 3) for unit in units],
                "p": [float(f"{arrays[f'p.{key}.{name}'][0][unit]:.2g}") for unit in units],
                "untrained": round(float(arrays[f"untrained.{key}.{name}"][0].max()), 3),
                "chosen": int(arrays[f"chosen.{key}.{name}"][0]),
            }
        )
    return {
        "run": run,
        "name": name,
        "text": bytes(arrays[f"explorer_text.{name}"]).decode("latin-1"),
        "units": [int(unit) for unit in units],
        "activations": _base64(arrays[f"explorer_units.{name}"][units]),
        "labels": labels,
    }


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
