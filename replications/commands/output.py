"""What the commands print: tables for people, lists of objects for programs."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from replications.errors import InputError, nearest
from replications.registry.schema import TIERS

if TYPE_CHECKING:
    from rich.console import Console


def check_tier(tier: str) -> None:
    """Raise InputError with the nearest tier unless it is one."""
    if tier not in TIERS:
        raise InputError(f"No tier is called '{tier}'. {nearest(tier, TIERS)}")


def console() -> Console:
    """Where tables are printed. A pipe has no width of its own, and 80 columns would break every name."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160)


def print_rows(rows: list[dict[str, Any]], *, as_json: bool = False) -> None:
    """Print rows with equal keys as a table, or as a JSON list of objects."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in rows[0] if rows else ():
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    console().print(table if rows else "(none)")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
