"""Inputs of the statements: every binary string, and the word 'hello'. Nothing is downloaded."""

import torch
from torch import Tensor

from replications.engine.datasets import DataSource
from replications.papers.foundations.settings import Settings

SOURCES: list[DataSource] = []
LONGEST = 12
WORKED_STRING = (0, 1, 0, 1, 1, 1, 0, 1, 1)
"""The string on which a lecture shows the hand-made detector."""
WORD = "hello"
LETTERS = "helo"


def needs(settings: Settings) -> list[tuple[DataSource, str]]:  # noqa: ARG001 (every input is generated)
    """List the data sets that a run loads: none.

    Args:
        settings: of the run.

    Returns:
        An empty list.
    """
    return []


def all_strings(length: int) -> Tensor:
    """Return every binary string of one length.

    Args:
        length: number of characters, at least 1.

    Returns:
        Zeros and ones, float64, shape (2 ** length, length).
    """
    numbers = torch.arange(2**length).unsqueeze(1)
    return (numbers >> torch.arange(length - 1, -1, -1) & 1).double()


def repeated_ones(strings: Tensor) -> Tensor:
    """Return where a one follows a one: what the detector has to say.

    Args:
        strings: zeros and ones, shape (..., length).

    Returns:
        Zeros and ones of the same shape; the first character repeats nothing.
    """
    previous = torch.cat([torch.zeros_like(strings[..., :1]), strings[..., :-1]], dim=-1)
    return strings * previous
