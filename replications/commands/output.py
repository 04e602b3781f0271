"""Output of the commands: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any


def print_rows(rows: Sequence[dict[str, Any]], *, as_json: bool = False, fold: Sequence[str] = ()) -> None:
    """Print rows with equal keys as a table, or as a JSON list of objects.

    Args:
        rows: one mapping of column to value per row.
        as_json: print JSON instead of a table.
        fold: columns of prose, which may be broken over several lines; other columns, such as identifiers, never are.
    """
    if as_json:
        print(json.dumps(list(rows), indent=2, allow_nan=False))
        return
    if not rows:
        print("(none)")
        return
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in rows[0]:
        table.add_column(column, overflow="fold", no_wrap=column not in fold)
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    # A pipe has no width; the default of 80 columns would wrap most tables.
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 200)
    narrowest = Measurement.get(console, console.options.update_width(100_000), table).minimum
    console.width = max(console.width, narrowest)
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
