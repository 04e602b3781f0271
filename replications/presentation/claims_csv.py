"""Verdicts as rows: `claims.csv`, one per paper and one merged, and objects for programs."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from replications.errors import InputError
from replications.files import replacing
from replications.verdicts.verdict import Verdict

COLUMNS = [field.name for field in dataclasses.fields(Verdict) if field.name != "quantity"]
SEPARATOR = ";"
"""Between the values and the runs of one cell."""


def to_rows(verdicts: Sequence[Verdict]) -> list[dict[str, str]]:
    """Return verdicts as rows of text, every column in every row; numbers at full precision, nothing for None.

    Args:
        verdicts: the verdicts.

    Returns:
        Column -> text, one mapping per verdict.
    """
    return [{name: _cell(getattr(verdict, name)) for name in COLUMNS} for verdict in verdicts]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return SEPARATOR.join(_cell(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)


def write_claims_csv(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Write verdicts as CSV, whole or not at all.

    Args:
        path: file to write.
        verdicts: one per row.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(to_rows(verdicts))


def merge_claims_csv(path: Path, files: Sequence[Path]) -> None:
    """Write the lines of several files of verdicts into one, as they are.

    Nothing reads verdicts back: whoever shows them judges the records again, so that a word typed into a file is never shown.

    Args:
        path: the file that is written.
        files: files that `write_claims_csv` wrote.

    Raises:
        InputError: a file is missing, or has other columns.
    """
    header = ",".join(COLUMNS) + "\n"
    bodies = []
    for file in files:
        try:
            first, _, body = file.read_text(encoding="utf-8").partition("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file} cannot be read ({error}). Run `replications claims judge` for its paper.") from None
        if f"{first}\n" != header:
            raise InputError(f"{file}: expected the columns {', '.join(COLUMNS)}. Delete it and judge its paper again.")
        bodies.append(body)
    with replacing(path) as temporary:
        temporary.write_text(header + "".join(bodies), encoding="utf-8", newline="")


def to_object(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict for JSON: its fields, with `interval` as [low, high]; what is not finite becomes None.

    Args:
        verdict: the verdict.

    Returns:
        Field -> what JSON can hold.
    """
    content = {name: _plain(value) for name, value in dataclasses.asdict(verdict).items() if name not in {"low", "high", "quantity"}}
    interval = None if verdict.low is None else [_plain(verdict.low), _plain(verdict.high)]
    return content | {"interval": interval}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
