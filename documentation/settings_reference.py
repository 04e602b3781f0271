"""The reference of settings: every key of `config.yaml`, of `runs.yaml` and of each paper's runs, read from their models."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from documentation.markdown import code, table, text
from replications.commands.listing import bounds, type_name
from replications.registry.configuration import Configuration
from replications.registry.papers import Paper
from replications.registry.run_grid import settings_model
from replications.registry.runs_yaml import Resources, RunEntry, RunGrid, Scale, TierRuns


def keys(model: type[BaseModel]) -> str:
    """Return the table of a model's keys.

    Args:
        model: of a YAML file or of a part of one.

    Returns:
        Markdown with one row per key: type, default, bounds and meaning.
    """
    rows = []
    for name, field in model.model_fields.items():
        default = "(required)" if field.is_required() else code(json.dumps(field.get_default(call_default_factory=True), default=_plain))
        rows.append([code(name), code(type_name(field.annotation)), default, text(bounds(field)), text(field.description or "")])
    return table(["key", "type", "default", "bounds", "meaning"], rows)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


def page(papers: list[Paper]) -> str:
    """Return the page of the settings reference.

    Args:
        papers: whose settings are listed.

    Returns:
        Markdown.
    """
    parts = [
        "# Settings",
        "A wrong key or value stops everything before it starts, with a message that names file, key and the nearest valid one. Editors that"
        " know YAML schemas complete and check these files by `config/schemas/`.",
        "## config.yaml",
        "What is replicated and where results go; each key can be given on the command line: `snakemake --config tier=gpu`.",
        keys(Configuration),
        "## runs.yaml",
        "One per paper: its runs by tier.",
        keys(RunGrid),
        "### A tier",
        keys(TierRuns),
        "### A run",
        keys(RunEntry),
        "### Its resources",
        keys(Resources),
        "### What is smaller than published",
        keys(Scale),
    ]
    for paper in papers:
        parts += [f"## {paper.name} {{ #{paper.name} }}", f"{text(paper.short)}: the keys under `settings:` in its `runs.yaml`."]
        parts.append(keys(settings_model(paper.name)))
    return "\n\n".join(parts) + "\n"
