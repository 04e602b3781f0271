"""Interactive exhibit of this paper: the alignment explorer. Free of torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from replications.papers.align_and_translate.samples import known_positions, network_name
from replications.papers.align_and_translate.settings import Settings
from replications.presentation.exhibits import Exhibit
from replications.results.reader import NotMeasured, Results

_DATA = {"made-up": "made-up language", "bible": "Bible", "multi30k": "captions", "wmt14": "WMT'14"}


def alignment_explorer(results: Results) -> Exhibit:
    """Select a run and a sentence, then a word of the translation, to see how much of each source word the network read to write it.

    Sentences are a random draw with a fixed seed, translations are the network's own, of the smallest seed. In the made-up language the
    source word that a correct word translates is underlined.
    """
    runs = []
    for run in results.runs():
        settings = run.settings_as(Settings)
        if not settings.samples or settings.network.context != "attention" or not results.finished(run.name):
            continue
        arrays = results.artifacts(run.name)
        name = f"{network_name(run.labels)}, {_DATA[settings.dataset]}"
        runs.append({"name": name, "sentences": [_sentence(arrays, i) for i in range(len(arrays["sample_source"]))]})
    if not runs:
        raise NotMeasured("needs a run of RNNsearch that stores samples")
    names = "; ".join(str(run["name"]) for run in runs)
    alt = f"Words of translations with the attention behind them, for {names}; the figure of alignments shows some of them without scripts."
    return Exhibit("Where the translator looks", alt, {"runs": runs}, figure="alignments")


def _sentence(arrays: dict[str, np.ndarray], i: int) -> dict[str, Any]:
    """Return one stored sentence: words, reference, weights in per cent, and known positions (-1 where none is known)."""
    source, target = ([*str(arrays[f"sample_{name}"][i]).split(), "<end>"] for name in ("source", "translation"))
    known = dict(known_positions(arrays, i))
    return {
        "source": source,
        "target": target,
        "reference": str(arrays["sample_reference"][i]),
        "weights": np.round(100 * arrays["sample_weights"][i, : len(target), : len(source)].astype(float), 1).tolist(),
        "known": [known.get(row, -1) for row in range(len(target))],
    }
