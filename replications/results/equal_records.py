"""Records that are equal though they should not be: one training under two seeds, or two runs whose difference has no effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

MEASURED_SPLITS = ("train", "validation", "test")
"""Splits whose records depend on the seed; costs depend on the machine as well."""

KEYS = ["model", "split", "step", "axis", "at", "metric"]
"""Columns that say what a record measures."""

JITTER = 1e-5
"""Relative difference up to which records are called equal: two trainings differ by far more in some record."""


def equal_records(records: pd.DataFrame, by: str | list[str]) -> Iterator[tuple[Any, Any]]:
    """Return the pairs of groups that measured the same things with values that are equal to `JITTER`.

    Args:
        records: of one paper.
        by: column or columns whose values name a group.

    Returns:
        Pairs of names, the first one before the second in sorted order.
    """
    measured = records[records["split"].isin(MEASURED_SPLITS)]
    keys = pd.util.hash_pandas_object(measured[KEYS], index=False).to_numpy()
    order = np.argsort(keys, kind="stable")  # any order serves that is the same in all groups
    measured, keys = measured.iloc[order], keys[order]
    values = measured["value"].to_numpy()
    alike: dict[bytes, list[tuple[Any, np.ndarray]]] = {}
    for name, rows in measured.groupby(by).indices.items():
        alike.setdefault(keys[rows].tobytes(), []).append((name, values[rows]))
    for groups in alike.values():
        stacked = np.stack([group for _, group in groups])
        for i, (name, _) in enumerate(groups):
            equal = np.isclose(stacked[i], stacked[i + 1 :], rtol=JITTER, atol=0, equal_nan=True).all(axis=1)
            yield from ((name, other) for (other, _), is_equal in zip(groups[i + 1 :], equal, strict=True) if is_equal)


def same_records(records: pd.DataFrame) -> dict[str, set[str]]:
    """Return the runs of which a seed has the same records as a seed of another run, each with those others.

    Args:
        records: of any runs of a paper.

    Returns:
        Run -> the other runs; runs that differ from all others are left out.
    """
    same: dict[str, set[str]] = {}
    for (run, _), (other, _) in equal_records(records, ["run", "seed"]):
        if run != other:
            same.setdefault(run, set()).add(other)
            same.setdefault(other, set()).add(run)
    return same


def copied_seeds(records: pd.DataFrame) -> list[tuple[int, ...]]:
    """Return the groups of seeds whose whole records are equal: one training under several numbers.

    Args:
        records: of one run.

    Returns:
        Seeds of each group, ascending; seeds that differ from all others are in none.
    """
    groups: dict[int, list[int]] = {}
    for first, other in equal_records(records, "seed"):
        if not any(first in group for group in groups.values()):
            groups.setdefault(int(first), []).append(int(other))
    return [(first, *others) for first, others in groups.items()]
