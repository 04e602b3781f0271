"""`list` and `settings`: the runs of a tier, and the reference of a paper's settings."""

from __future__ import annotations

import inspect
import json
from typing import Any, get_args

from pydantic.fields import FieldInfo

from replications.commands.options import DEFAULT_TIER, JsonOption, PaperArgument, PapersOption, TierOption
from replications.commands.output import print_rows
from replications.registry import run_grid as grid
from replications.registry.papers import paper_names

BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
"""Attributes of pydantic's constraints, and their signs."""


def list_runs(tier: TierOption = DEFAULT_TIER, papers: PapersOption = None, as_json: JsonOption = False) -> None:
    """List papers, runs, seeds and the expected cost at a tier."""
    rows = [
        {
            "paper": run.paper,
            "run": run.name,
            "tier": tier,
            "seeds": len(run.seeds),
            "jobs": len(run.chunks()),
            "group": run.group,
            "minutes": run.resources.minutes * len(run.chunks()),
            "memory_gb": run.resources.memory_gb,
            "gpus": run.resources.gpus,
            "location": run.location,
            "expected": run.expected,
        }
        for paper in papers or paper_names()
        for run in grid.load_runs(paper, tier)
    ]
    print_rows(rows, as_json=as_json, fold=("location",))


def settings(paper: PaperArgument, as_json: JsonOption = False) -> None:
    """Print the reference of a paper's settings: name, type, default, bounds and description of each key.

    The keys are set under `settings:` in the paper's runs.yaml.
    """
    fields = grid.settings_model(paper).model_fields
    rows = [
        {
            "setting": name,
            "type": type_name(field.annotation),
            "default": "(required)" if field.is_required() else json.dumps(field.get_default(call_default_factory=True), default=str),
            "bounds": bounds(field),
            "description": field.description or "",
        }
        for name, field in fields.items()
    ]
    print_rows(rows, as_json=as_json, fold=("type", "default", "description"))


def type_name(annotation: Any) -> str:
    """Format a type as the reference of settings prints it.

    Args:
        annotation: of a pydantic field.

    Returns:
        For example `int`, `float or null`, `cosine | linear`, `list[int]`.
    """
    if annotation is type(None):
        return "null"
    if inspect.isclass(annotation) and not get_args(annotation):
        return annotation.__name__
    parts = get_args(annotation)
    if parts and all(isinstance(part, str | int | float) for part in parts):
        return " | ".join(str(part) for part in parts)
    origin = getattr(annotation, "__origin__", None)
    if inspect.isclass(origin):
        return f"{origin.__name__}[{', '.join('...' if part is ... else type_name(part) for part in parts)}]"
    return " or ".join(type_name(part) for part in parts) or str(annotation)


def bounds(field: FieldInfo) -> str:
    """Format the bounds of a numeric setting.

    Args:
        field: the pydantic field.

    Returns:
        For example `>= 0, < 1`; empty where there are none.
    """
    limits = [(sign, getattr(part, name)) for part in field.metadata for name, sign in BOUNDS.items() if hasattr(part, name)]
    return ", ".join(f"{sign} {limit:g}" for sign, limit in limits)
