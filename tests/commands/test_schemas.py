"""The JSON schemas are those of the models, and every YAML file names its own."""

import re
from pathlib import Path

import pytest

from replications.commands.schemas import FOLDER, MODELS, schema_of
from replications.paths import PAPERS, ROOT

FILES = {ROOT / "config" / "config.yaml": "config", PAPERS / "statements.yaml": "statements"}
FILES |= {path: path.stem for name in ("paper", "runs", "tuning") for path in sorted(PAPERS.glob(f"*/{name}.yaml"))}


@pytest.mark.parametrize("name", MODELS)
def test_a_schema_is_that_of_its_model(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == schema_of(name), "run `replications schemas --write` and commit"


@pytest.mark.parametrize(
    ("path", "name"), FILES.items(), ids=lambda value: f"{value.parent.name}-{value.stem}" if isinstance(value, Path) else ""
)
def test_every_yaml_file_names_its_schema(path: Path, name: str) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(.+)", first)
    assert named, f"{path}: the first line names no schema"
    assert (path.parent / named[1]).resolve() == FOLDER / f"{name}.json"
