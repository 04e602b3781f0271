"""Tidy records and artifacts: their columns, and how they are written and read.

A record is one row of the tidy results. An artifact is an array that a figure needs and that is no scalar.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from replications.errors import InputError
from replications.files import replacing

COLUMNS = ["paper", "run", "seed", "model", "split", "step", "axis", "at", "metric", "value", "unit"]
"""Columns of a record, in stored order.

`model` names one of several networks of a run and is empty where there is one. `split` is a data split and `step` the
training step; neither means anything else. `axis` and `at` are a position on an axis of the run's own (`beam_size`, 3);
where there is none they are empty and nan.
"""


DTYPES = {
    "paper": "str",
    "run": "str",
    "seed": "int64",
    "model": "str",
    "split": "str",
    "step": "int64",
    "axis": "str",
    "at": "float64",
    "metric": "str",
    "value": "float64",
    "unit": "str",
}


def frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Return rows as a data frame with exactly the columns and types of records.

    Args:
        rows: one mapping per record; `model`, `axis` and `at` may be left out.

    Returns:
        One row per mapping, in the same order.
    """
    empty = {"model": "", "axis": "", "at": math.nan}
    return pd.DataFrame([empty | row for row in rows], columns=COLUMNS).astype(DTYPES)


def write_records(path: Path, records: pd.DataFrame) -> None:
    """Write records as parquet, whole or not at all.

    Args:
        path: file to write.
        records: rows with the columns of records.

    Raises:
        InputError: columns are missing, or a value has no number.
    """
    if list(records.columns) != COLUMNS:
        raise InputError(f"Records need the columns {COLUMNS}, got {list(records.columns)}.")
    with replacing(path) as temporary:
        records.astype(DTYPES).to_parquet(temporary, index=False)


def read_records(path: Path) -> pd.DataFrame:
    """Return the records that a parquet file holds.

    Args:
        path: file to read.

    Returns:
        Rows with the columns of records.

    Raises:
        InputError: the file is missing, damaged or of another shape.
    """
    try:
        records = pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing. Run its job again.") from None
    except Exception as error:  # pyarrow has a dozen kinds for a damaged file
        raise InputError(f"{path} cannot be read ({error}). Delete it and run its job again.") from None
    if set(records.columns) != set(COLUMNS):
        raise InputError(f"{path}: expected the columns {COLUMNS}, got {list(records.columns)}.")
    if list(records.columns) != COLUMNS:
        records = records.reindex(columns=COLUMNS)
    wrong = [name for name, kind in DTYPES.items() if not _holds(records[name], kind)]
    if wrong:
        raise InputError(f"{path}: values of {', '.join(wrong)} are not of the types of records. Delete it and run its job again.")
    return records if records.dtypes.astype(str).to_dict() == DTYPES else records.astype(DTYPES)


def _holds(values: pd.Series[Any], kind: str) -> bool:
    """Return whether a column has the stored type, or one whose values are all of it: nothing is cut off, rounded or made text."""
    if values.dtype == kind:
        return kind != "str" or not values.hasnans
    if kind == "str":
        return pd.api.types.infer_dtype(values, skipna=False) in ("string", "empty")
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return len(values) == 0 or (kind == "float64" and bool(values.isna().all()))
    return kind == "float64" or bool((np.isfinite(values) & (values % 1 == 0) & (values.abs() < 2**53)).all())


def write_artifacts(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays as a compressed npz without Python objects, whole or not at all.

    Args:
        path: file to write.
        arrays: name -> array of numbers or fixed-width strings.

    Raises:
        InputError: an array holds Python objects.
    """
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise InputError(f"Artifact '{name}' holds Python objects; store numbers, or text as fixed-width strings.")
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def read_artifacts(path: Path, prefix: str = "") -> dict[str, np.ndarray]:
    """Return the arrays that an npz file holds and whose names begin with a prefix.

    Args:
        path: file to read.
        prefix: of the names; empty: all.

    Returns:
        Name -> array.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if name.startswith(prefix)}
    except FileNotFoundError:
        raise InputError(f"{path} is missing. Run its job again.") from None
    except Exception as error:  # zipfile, zlib and numpy each have their own kind for a damaged file
        raise InputError(f"{path} cannot be read ({error}). Delete it and run its job again.") from None
