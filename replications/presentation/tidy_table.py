"""A published table beside our seeds as one data frame, for figures."""

from __future__ import annotations

from typing import Any

import pandas as pd

from replications.results.reader import Results


def published_and_ours(results: Results, name: str) -> pd.DataFrame:
    """Return the values of a published table and ours of each seed, one row per value.

    Args:
        results: records of the paper.
        name: key of the table in `paper.yaml`.

    Returns:
        Columns row, run, measure, version ('ours' for ours), seed (-1 for published values), value.

    Raises:
        InputError: the paper has no such table.
    """
    table = results.table(name)
    rows: list[dict[str, Any]] = []
    for row in table.rows:
        for key, measure in table.measures.items():
            base = {"row": row.label, "run": row.run, "measure": key}
            published = {version: row.value(version, key) for version in table.versions}
            rows += [base | {"version": version, "seed": -1, "value": value} for version, value in published.items() if value is not None]
            place: dict[str, Any] = {
                "split": measure.split,
                "model": row.model_of(measure),
                "axis": measure.axis,
                "at": measure.at if row.at is None else row.at,
            }
            metric = row.metrics.get(key, measure.metric)
            if row.run and results.recorded(row.run, metric, **place):
                ours = results.final(row.run, metric, **place)
                rows += [base | {"version": "ours", "seed": seed, "value": value} for seed, value in ours.items()]
    return pd.DataFrame(rows, columns=["row", "run", "measure", "version", "seed", "value"])
