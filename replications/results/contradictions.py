"""What the records of one chunk cannot all be: rows that occur twice, test sets of no size, items that deny the metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

ROW = ["model", "split", "step", "axis", "at", "metric", "seed"]
"""What names a record within its run; a run writes each once."""

WRONG = "wrong_"
"""Beginning of the names of artifacts that hold which test items a seed got wrong: `wrong_<metric>_<split>[_<model>]`."""


def contradictions(records: pd.DataFrame, arrays: Mapping[str, np.ndarray], seeds: Sequence[int]) -> Iterator[str]:
    """Return what contradicts itself in the records of a chunk, one sentence each; nothing where they can be true.

    Args:
        records: of the chunk.
        arrays: its artifacts whose names begin with `WRONG`: uint8, shape (seeds, ceil(items / 8)), packed along the items.
        seeds: of the chunk.

    Returns:
        Sentences that name the metric.
    """
    twice = records[records.duplicated(ROW)]
    if len(twice):
        first = twice.iloc[0]
        yield f"records hold {len(twice)} rows twice, the first of them {first['metric']} ({first['split']}) of seed {first['seed']}."
    for (model, split), rows in records[records["metric"] == "test_examples"].groupby(["model", "split"]):
        sizes = sorted(set(rows["value"]))
        if len(sizes) > 1 or not (sizes[0] >= 1 and float(sizes[0]).is_integer()):
            listed = ", ".join(f"{size:g}" for size in sizes)
            yield f"the number of {split} examples{f' of {model}' if model else ''} is {listed}, where one whole number is needed."
        else:
            measured = records["split"] == split
            yield from _items(records[measured & (records["model"] == model) if model else measured], arrays, seeds, int(sizes[0]))


def _items(records: pd.DataFrame, arrays: Mapping[str, np.ndarray], seeds: Sequence[int], size: int) -> Iterator[str]:
    """Stored items must have the size of the test set, and their share must be the metric that was recorded."""
    if not arrays:
        return
    for (metric, split, model), rows in records[(records["unit"] == "%") & (records["axis"] == "")].groupby(["metric", "split", "model"]):
        name = WRONG + "_".join(part for part in map(str, (metric, split, model)) if part)
        if name not in arrays:
            continue
        if arrays[name].shape != (len(seeds), -(-size // 8)):
            yield f"artifact {name} has shape {arrays[name].shape} for {len(seeds)} seeds and {size} items."
            continue
        share = 100 * np.unpackbits(arrays[name], axis=1, count=size).mean(axis=1)
        last = rows.sort_values("step", kind="stable").groupby("seed")["value"].last().reindex(list(seeds)).to_numpy()
        if not (np.allclose(last, share, atol=0.01) or np.allclose(last, 100 - share, atol=0.01)):
            yield f"artifact {name} holds other items than the recorded {metric} counts."
