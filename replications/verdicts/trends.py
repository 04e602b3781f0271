"""Statistics of whole curves, each computed per seed: slopes, exponents, crossings, flatness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from replications.verdicts.contrasts import paired_seeds


def curves(points: Sequence[Mapping[int, float]]) -> tuple[list[int], np.ndarray]:
    """Return one whole curve per seed.

    Where the points' seeds do not pair, the i-th value of every point makes the i-th curve: runs of different seeds are
    independent, so any such curve is a fair sample.

    Args:
        points: per point, seed -> value.

    Returns:
        The seeds of the curves (none where they do not pair), and an array of shape (seeds, points).
    """
    seeds = paired_seeds(points) if len(points) > 1 else sorted(points[0])
    if seeds:
        return seeds, np.array([[point[seed] for point in points] for seed in seeds], dtype=float)
    n = min(len(point) for point in points)
    return [], np.array([list(point.values())[:n] for point in points], dtype=float).reshape(len(points), n).T


def slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the least-squares slope of each curve.

    Args:
        x: positions, shape (points,).
        y: values, shape (seeds, points).

    Returns:
        Shape (seeds,), y-units per x-unit.
    """
    centred = x - x.mean()
    return np.asarray(y @ centred / (centred @ centred))


def loglog_slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the exponent of each curve: slope of log y over log x, without unit.

    Args:
        x: positive positions, shape (points,).
        y: values, shape (seeds, points).

    Returns:
        Shape (seeds,); nan for a curve with a value of 0 or less.
    """
    positive = (y > 0).all(axis=1)
    return np.where(positive, slope(np.log(_positive(x)), np.log(np.where(y > 0, y, 1.0))), np.nan)


def semilogx_slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the slope of y over log10 x.

    Args:
        x: positive positions, shape (points,).
        y: values, shape (seeds, points).

    Returns:
        Shape (seeds,), y-units per tenfold x.
    """
    return slope(np.log10(_positive(x)), y)


def crossing(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the position where each curve first changes sign.

    Linear between neighbouring points, over log x where every x is positive (such grids are geometric). A curve that
    starts at exactly 0 crosses there.

    Args:
        x: positions, shape (points,).
        y: values, shape (seeds, points).

    Returns:
        Shape (seeds,), in x-units; nan for a curve that never crosses.
    """
    order = np.argsort(x, kind="stable")
    logarithmic = bool((x > 0).all())
    at, curves_ = (np.log(x[order]) if logarithmic else x[order]), y[:, order]
    positions = np.full(len(y), np.nan)
    for row, curve in enumerate(curves_):
        for i in range(len(at)):
            if curve[i] == 0:
                positions[row] = at[i]
                break
            if i + 1 < len(at) and curve[i] * curve[i + 1] < 0:
                positions[row] = at[i] + (at[i + 1] - at[i]) * curve[i] / (curve[i] - curve[i + 1])
                break
    return np.exp(positions) if logarithmic else positions


def range_ratio(x: np.ndarray, y: np.ndarray) -> np.ndarray:  # noqa: ARG001 (one signature for all statistics)
    """Return the largest over the smallest value of each curve, at least 1: how far it is from flat.

    Args:
        x: positions, shape (points,); not used.
        y: values, shape (seeds, points).

    Returns:
        Shape (seeds,); nan where a value is 0 or less.
    """
    positive = (y > 0).all(axis=1)
    return np.where(positive, y.max(axis=1) / np.where(positive, y.min(axis=1), 1.0), np.nan)


def _positive(x: np.ndarray) -> np.ndarray:
    if not (x > 0).all():
        raise ValueError("a logarithmic axis needs positions above 0")
    return x


TRENDS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "slope": slope,
    "loglog_slope": loglog_slope,
    "semilogx_slope": semilogx_slope,
    "crossing": crossing,
    "range_ratio": range_ratio,
}
"""Statistics of a curve, each computed per seed: (x of shape (points,), y of shape (seeds, points)) -> (seeds,)."""
