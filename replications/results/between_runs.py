"""What several runs that one claim compares say of each other: other data, other code, or the very same records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from replications.results.integrity import JITTER, MEASURED_SPLITS
from replications.results.store import Chunk

KEYS = ["model", "split", "step", "axis", "at", "metric"]


def differences(chunks: Mapping[str, Sequence[Chunk]]) -> Iterator[str]:
    """Return in what the chunks of different runs differ besides their settings, one sentence each.

    Args:
        chunks: the sound chunks of each run that a claim reads, by run; what differs inside one run its integrity check says.

    Returns:
        Sentences; none where the runs may be compared.
    """
    states = {run: {str(chunk.provenance.get("code_digest")) for chunk in of_run} for run, of_run in chunks.items() if of_run}
    if len(set(map(frozenset, states.values()))) > 1:
        listed = "; ".join(f"{run}: {', '.join(sorted(state)[:3])}" for run, state in states.items())
        yield f"The runs that are compared were made by different states of the code ({listed})."
    prints: dict[str, dict[str, set[str]]] = {}
    for run, of_run in chunks.items():
        for chunk in of_run:
            data = chunk.provenance.get("data")
            for source, note in data.items() if isinstance(data, dict) else ():
                fingerprint = str(note.get("fingerprint") if isinstance(note, dict) else note)
                prints.setdefault(source, {}).setdefault(fingerprint, set()).add(run)
    for source, runs in prints.items():
        if len(runs) > 1:
            listed = " and ".join(", ".join(sorted(names)) for names in runs.values())
            yield f"The runs that are compared saw different data of {source}: {listed}."


def same_records(records: pd.DataFrame) -> dict[str, set[str]]:
    """Return the runs of which a seed has the same records as a seed of another run, each with those others.

    Two trainings differ in some record by far more than `JITTER`, unless the setting in which they differ has no effect.

    Args:
        records: of any runs of a paper.

    Returns:
        Run -> the other runs; runs that differ from all others are left out.
    """
    measured = records[records["split"].isin(MEASURED_SPLITS)].sort_values(KEYS, kind="stable")
    buckets: dict[int, list[tuple[str, np.ndarray]]] = {}
    for (run, _), rows in measured.groupby(["run", "seed"]):
        key = int(pd.util.hash_pandas_object(rows[KEYS], index=False).to_numpy().sum(dtype=np.uint64))
        buckets.setdefault(key, []).append((str(run), rows["value"].to_numpy()))
    same: dict[str, set[str]] = {}
    for bucket in buckets.values():
        values = np.stack([value for _, value in bucket])
        for i, (run, _) in enumerate(bucket):
            equal = np.isclose(values[i], values[i + 1 :], rtol=JITTER, atol=0, equal_nan=True).all(axis=1)
            for (other, _), is_equal in zip(bucket[i + 1 :], equal, strict=True):
                if is_equal and other != run:
                    same.setdefault(run, set()).add(other)
                    same.setdefault(other, set()).add(run)
    return same
