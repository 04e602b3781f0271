"""Stored sentences as figures and exhibits read them."""

from __future__ import annotations

from typing import Any

import numpy as np


def known_positions(arrays: dict[str, np.ndarray], sentence: int) -> list[tuple[int, int]]:
    """Return target and source positions of words whose true alignment is known, where the network wrote the reference's word.

    Args:
        arrays: artifacts of a run.
        sentence: number of a stored sentence.

    Returns:
        Pairs of positions; none where the language is not made up.
    """
    if "sample_alignment" not in arrays:
        return []
    words = zip(str(arrays["sample_translation"][sentence]).split(), str(arrays["sample_reference"][sentence]).split(), strict=False)
    return [(row, int(arrays["sample_alignment"][sentence, row])) for row, (ours, reference) in enumerate(words) if ours == reference]


def network_name(labels: dict[str, Any]) -> str:
    """Return the paper's name of a network, such as RNNsearch-50.

    Args:
        labels: of a run: `model` and `longest`.
    """
    return f"{'RNNsearch' if labels['model'] == 'search' else 'RNNencdec'}-{labels['longest']}"
