"""Data behind the figures of single units: scores, activations on text, memory and the effect of clamping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from replications.papers.char_rnn.figure_data import BINARY, LABELS, array_of_all_seeds
from replications.registry.run_grid import Run
from replications.results.reader import NotMeasured, Results

GATES = ("input", "forget", "output")


def gate_shares(results: Results, run: Run, name: str) -> pd.DataFrame:
    """Return the share of time for which every gate of the first seed is saturated.

    Args:
        results: results of the paper.
        run: finished run with the analysis 'gates'.
        name: name of an LSTM.

    Returns:
        One row per gate, layer and unit; columns gate, layer (from 1), unit, shut, open, run, network.
    """
    frames = []
    for gate in GATES:
        shares = array_of_all_seeds(results, run, f"saturation.{gate}.{name}")[0]  # (layers, units, 2)
        for layer, (shut, opened) in enumerate(np.moveaxis(shares, -1, 1), start=1):
            frames.append(pd.DataFrame({"gate": gate, "layer": layer, "unit": range(len(shut)), "shut": shut, "open": opened}))
    return pd.concat(frames, ignore_index=True).assign(run=run.name, network=name)


def scored_labels(results: Results, run: Run, name: str) -> list[str]:
    """Return the labels that are frequent enough in the run's text to be scored.

    Args:
        results: results of the paper.
        run: finished run with the analysis 'cells'.
        name: name of the network.

    Returns:
        Keys of `LABELS`; a label that is too rare has p = 1 for every unit and is left out.
    """
    recorded = [key for key in LABELS if f"score.{key}.{name}" in results.artifacts(run.name, run.seeds[0])]
    return [key for key in recorded if bool((array_of_all_seeds(results, run, f"p.{key}.{name}") < 1).any())]


def unit_scores(results: Results, run: Run, name: str, labels: list[str]) -> pd.DataFrame:
    """Return the score of every unit for every label, with both controls.

    Args:
        results: results of the paper.
        run: finished run with the analysis 'cells'.
        name: name of the network.
        labels: keys of `LABELS`.

    Returns:
        One row per label, seed and unit; columns label, seed, unit, score, shuffled (score with shifted labels), untrained (best
        unit of the untrained network), p, chosen (True for the unit selected on the selection text).
    """
    rows = []
    for key in labels:
        scores, shuffled, untrained, selected_units, p = (
            array_of_all_seeds(results, run, f"{quantity}.{key}.{name}") for quantity in ("score", "shuffled", "untrained", "chosen", "p")
        )
        for seed, unit in np.ndindex(*scores.shape):
            controls = (shuffled[seed][unit], untrained[seed][unit], p[seed][unit])
            rows.append((key, seed, unit, scores[seed][unit], *controls, unit == selected_units[seed]))
    return pd.DataFrame(rows, columns=["label", "seed", "unit", "score", "shuffled", "untrained", "p", "chosen"])


@dataclass(frozen=True)
class UnitOnText:
    """Activation of one selected unit on a section of held-out text.

    Attributes:
        label: key of `BINARY` that the unit was selected for.
        unit: index of the unit.
        text: n characters.
        activation: (n,), in [-1, 1].
        truth: bool (n,), the label holds.
    """

    label: str
    unit: int
    text: str
    activation: np.ndarray
    truth: np.ndarray


def best_unit_on_text(results: Results, run: Run, name: str) -> UnitOnText:
    """Return the activations of the unit with the best selection score for any binary label, first seed.

    Args:
        results: results of the paper.
        run: finished run with the analysis 'cells'.
        name: name of the network.

    Returns:
        The unit and its activations on the text stored for the explorer.
    """
    arrays = results.artifacts(run.name, run.seeds[0])
    candidates = [key for key in BINARY if f"score.{key}.{name}" in arrays]
    label = max(candidates, key=lambda key: arrays[f"selection.{key}.{name}"][0].max())
    unit = int(arrays[f"chosen.{label}.{name}"][0])
    return UnitOnText(
        label=label,
        unit=unit,
        text=bytes(arrays[f"explorer_text.{name}"]).decode("latin-1"),
        activation=arrays[f"explorer_units.{name}"][unit] / 127 - 1,
        truth=arrays[f"explorer_label.{label}.{name}"] > 0,
    )


@dataclass(frozen=True)
class Memory:
    """Recall of a selected unit by the number of characters since the opening.

    Attributes:
        label: key of `BINARY`.
        edges: bounds of the bins in characters, (bins + 1,).
        recall: share of open characters at which the unit is on, (seeds, bins); nan for empty bins.
        false_alarms: share of other characters at which the unit is on, (seeds,).
    """

    label: str
    edges: np.ndarray
    recall: np.ndarray
    false_alarms: np.ndarray


def memory(results: Results, run: Run, name: str) -> Memory:
    """Return the memory of the units selected for the binary label with the best selection score.

    Args:
        results: results of the paper.
        run: finished run with the analysis 'cells'.
        name: name of the network.

    Returns:
        Recall and false-positive rate of all seeds.
    """
    arrays = results.artifacts(run.name, run.seeds[0])
    candidates = [key for key in BINARY if f"held.{key}.{name}" in arrays]
    label = max(candidates, key=lambda key: array_of_all_seeds(results, run, f"selection.{key}.{name}").max())
    recall = array_of_all_seeds(results, run, f"held.{label}.{name}")
    return Memory(label, arrays[f"held_edges.{name}"], recall, array_of_all_seeds(results, run, f"false_alarms.{label}.{name}"))


def clamping_losses(results: Results) -> pd.DataFrame:
    """Return the loss inside a context without clamping, with the selected cell clamped, and with other cells clamped.

    Args:
        results: results of the paper.

    Returns:
        One row per run, network, label and seed; columns free, clamped, others (cross-entropies in nats per character) and
        'chosen cell', 'other cells' (increases over free).

    Raises:
        NotMeasured: no finished run clamped a cell.
    """
    parts = [
        results.select(metric=f"loss_{what}_{label}", split="test")[["run", "model", "seed", "value"]].assign(what=what, label=label)
        for label in BINARY
        for what in ("free", "clamped", "others")
    ]
    frame = pd.concat(parts, ignore_index=True).rename(columns={"model": "network"})
    if frame.empty:
        raise NotMeasured("needs an LSTM analysed with 'cells'")
    # pivot and not pivot_table, which drops a column whose values are all not a number, as after a training that diverged
    wide = frame.pivot(index=["run", "network", "label", "seed"], columns="what", values="value").reset_index()
    wide["chosen cell"], wide["other cells"] = wide["clamped"] - wide["free"], wide["others"] - wide["free"]
    return wide
