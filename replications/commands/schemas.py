"""`schemas`: the JSON schemas of the YAML files, generated from their models, with which editors complete and check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from replications import paths
from replications.commands.options import examples
from replications.errors import ReplicationError
from replications.files import replacing
from replications.registry.configuration import Configuration
from replications.registry.papers import Paper
from replications.registry.runs_yaml import RunGrid
from replications.registry.statements import StatementList
from replications.registry.tuning import TuningRecord

FOLDER = paths.ROOT / "config" / "schemas"
MODELS: dict[str, type[BaseModel]] = {
    "config": Configuration,
    "paper": Paper,
    "runs": RunGrid,
    "statements": StatementList,
    "tuning": TuningRecord,
}
"""Models of `config/config.yaml`, of the papers' `statements.yaml`, and of every paper's `paper.yaml`, `runs.yaml` and `tuning.yaml`."""
EPILOG = examples("schemas", "schemas --write")


def schema_of(name: str) -> str:
    """Generate a JSON schema as its file stores it.

    Args:
        name: a key of `MODELS`.

    Returns:
        JSON text.
    """
    schema = MODELS[name].model_json_schema()
    if name == "paper":  # the folder's name, which discovery adds
        del schema["properties"]["name"]
        schema["required"].remove("name")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema, indent=2) + "\n"


def schemas(
    write: Annotated[bool, typer.Option("--write", help="Write the files that differ; default: only name them.")] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the schemas to write or compare.")] = FOLDER,
) -> None:
    """Compare the JSON schemas of the YAML files with their models, or write them."""
    outdated = [name for name in MODELS if not (out / f"{name}.json").is_file() or (out / f"{name}.json").read_text() != schema_of(name)]
    for name in outdated:
        if write:
            with replacing(out / f"{name}.json") as temporary:
                temporary.write_text(schema_of(name), encoding="utf-8")
        print(f"{out / name}.json {'written' if write else 'differs from its model'}")
    if outdated and not write:
        raise ReplicationError("Schemas are out of date. `replications schemas --write` writes them.")
