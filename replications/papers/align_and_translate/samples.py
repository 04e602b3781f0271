"""Stored sentences as figures and exhibits read them."""

from __future__ import annotations

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
