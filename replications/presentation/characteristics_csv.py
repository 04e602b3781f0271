"""The table of operating characteristics: `verdicts/characteristics.csv`, made by simulation and read by the report."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from replications import paths
from replications.errors import InputError
from replications.files import replacing
from replications.verdicts.characteristics import Rates

TABLE = paths.PACKAGE / "verdicts" / "characteristics.csv"
COLUMNS = [field.name for field in dataclasses.fields(Rates)]


def write_characteristics(rates: Sequence[Rates], path: Path = TABLE) -> None:
    """Write the rates of all scenarios whole or not at all.

    Args:
        rates: one per scenario.
        path: CSV file to write.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(["" if value is None else value for value in dataclasses.astuple(row)] for row in rates)


def read_characteristics(path: Path = TABLE) -> list[Rates]:
    """Return the rates that were simulated last.

    Args:
        path: CSV file to read.

    Returns:
        One row per scenario, in the order of the file.

    Raises:
        InputError: the file is missing, has other columns, or a value is not of its column's type.
    """
    cure = "`replications claims characteristics --write` makes it anew"
    if not path.is_file():
        raise InputError(f"{path} is missing. {cure}.")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    if reader.fieldnames != COLUMNS:
        raise InputError(f"{path}: expected the columns {', '.join(COLUMNS)}. {cure}.")
    try:
        return TypeAdapter(list[Rates]).validate_python([row | {"limit": row["limit"] or None} for row in rows])
    except ValidationError as error:
        first = error.errors()[0]
        line, column = int(first["loc"][0]) + 2, first["loc"][1]
        raise InputError(f"{path}, line {line}, {column}: {first['msg']}. {cure}.") from None
