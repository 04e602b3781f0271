"""What the commands print: tables for people, lists of objects for programs."""

from __future__ import annotations

import json
from typing import Any

from replications.evidence.errors import InputError, nearest
from replications.evidence.spec import TIERS


def check_tier(tier: str) -> None:
    """Raise InputError with the nearest tier unless it is one."""
    if tier not in TIERS:
        raise InputError(f"No tier is called '{tier}'. {nearest(tier, TIERS)}")


def print_rows(rows: list[dict[str, Any]], *, as_json: bool = False) -> None:
    """Print rows with equal keys as a table, or as a JSON list of objects."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in rows[0] if rows else ():
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    Console().print(table if rows else "(none)")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
