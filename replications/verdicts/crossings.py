"""Where a curve changes sign: once in the claimed direction, once in the other, several times, or never."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Course = Literal["up", "down", "several times", "never"]


@dataclass(frozen=True)
class Crossing:
    """Course of one curve through 0.

    Attributes:
        course: the direction of its only change of sign with growing x; or that there are several, or none.
        position: where that change is, on the axis that was given; nan where it is not the only one.
    """

    course: Course
    position: float = math.nan


def find_crossing(x: np.ndarray, curve: np.ndarray) -> Crossing:
    """Return the course of a curve through 0, linear between neighbouring points.

    A point at exactly 0 has no sign of its own: between opposite signs the curve crosses there (in the middle of several
    such points), and one that only touches 0, or begins or ends there, does not cross.

    Args:
        x: positions in ascending order, on the scale on which the curve is linear between them, shape (points,).
        curve: finite values, shape (points,).

    Returns:
        The sign changes and where they lie.
    """
    signed = np.flatnonzero(curve)
    changes = [(i, j) for i, j in itertools.pairwise(signed) if curve[i] * curve[j] < 0]
    if len(changes) != 1:
        return Crossing("several times" if changes else "never")
    i, j = changes[0]
    at_zero = x[i + 1 : j]
    position = (at_zero[0] + at_zero[-1]) / 2 if at_zero.size else x[i] + (x[j] - x[i]) * curve[i] / (curve[i] - curve[j])
    return Crossing("up" if curve[j] > 0 else "down", float(position))


def is_geometric(x: np.ndarray) -> bool:
    """Return True for positions that are spaced more evenly in their logarithm than as they are, and are all above 0.

    Args:
        x: different positions in ascending order, shape (points,). Two positions alone count as geometric.

    Returns:
        True where a logarithmic axis suits the positions.
    """
    if not (x > 0).all():
        return False
    steps, log_steps = np.diff(x), np.diff(np.log(x))
    return bool(log_steps.std() / log_steps.mean() <= steps.std() / steps.mean())
