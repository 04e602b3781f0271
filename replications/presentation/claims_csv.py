"""Verdicts as rows: `claims.csv`, one per paper and one merged, and objects for programs."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_type_hints

from replications.errors import InputError
from replications.files import replacing
from replications.verdicts.verdict import Verdict
from replications.verdicts.words import WORDS

COLUMNS = [field.name for field in dataclasses.fields(Verdict)]
SEPARATOR = ";"
"""Between the values and the runs of one cell."""


def to_rows(verdicts: Sequence[Verdict]) -> list[dict[str, str]]:
    """Verdicts as rows of text, every column in every row; numbers at full precision, nothing for None."""
    return [{name: _cell(getattr(verdict, name)) for name in COLUMNS} for verdict in verdicts]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return SEPARATOR.join(_cell(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)


def write_claims_csv(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Write verdicts whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(to_rows(verdicts))


def read_claims_csv(path: Path) -> list[Verdict]:
    """Read what `write_claims_csv` wrote. Raises InputError naming file, line and column when it is not that."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except FileNotFoundError:
        raise InputError(f"{path} is missing. Run `replications claims judge` for its paper.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}). Delete it and judge its paper again.") from None
    if reader.fieldnames != COLUMNS:
        raise InputError(f"{path}: expected the columns {', '.join(COLUMNS)}. Delete it and judge its paper again.")
    kinds = get_type_hints(Verdict)
    return [_verdict(row, kinds, f"{path}, line {line}") for line, row in enumerate(rows, start=2)]


def _verdict(row: dict[str, str], kinds: dict[str, Any], where: str) -> Verdict:
    values = {}
    for name in COLUMNS:
        try:
            values[name] = _parse(row[name], kinds[name])
        except (ValueError, TypeError):
            raise InputError(f"{where}, column {name}: '{row[name]}' is no {kinds[name]}.") from None
    if values["verdict"] not in WORDS:
        raise InputError(f"{where}: '{values['verdict']}' is no verdict. Valid: {', '.join(WORDS)}.")
    return Verdict(**values)


def _parse(text: str, kind: Any) -> Any:
    if text is None:  # the line ends before this column
        raise ValueError
    if kind is str:
        return text
    if kind == tuple[float, ...]:
        return tuple(float(part) for part in text.split(SEPARATOR) if part)
    if kind == tuple[str, ...]:
        return tuple(part for part in text.split(SEPARATOR) if part)
    optional = [option for option in getattr(kind, "__args__", ()) if option is not type(None)]
    if optional and text == "":
        return None
    base = optional[0] if optional else kind
    if base is bool:
        return {"true": True, "false": False}[text] if text in {"true", "false"} else int("not a truth value")
    return base(text)


def to_object(verdict: Verdict) -> dict[str, Any]:
    """A verdict for JSON: its fields, with `interval` as [low, high]; what is not finite becomes None."""
    content = {name: _plain(value) for name, value in dataclasses.asdict(verdict).items() if name not in {"low", "high"}}
    interval = None if verdict.low is None else [_plain(verdict.low), _plain(verdict.high)]
    return content | {"interval": interval}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
