"""`data`: list, fetch and verify the data sets that the papers declare."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Annotated

import typer

from replications.commands.options import DEFAULT_TIER, JsonOption, TierOption, check_paper, examples
from replications.commands.output import print_rows
from replications.engine.datasets import DataSource, load, mirror
from replications.errors import DataError, InputError, nearest
from replications.files import replacing
from replications.registry import run_grid as grid
from replications.registry.papers import paper_names

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="List, fetch and verify data sets.")

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Data sets, as `data list` names them.")]


def sources() -> dict[str, DataSource]:
    """List the declared data sources of all papers.

    Returns:
        Name -> source.

    Raises:
        InputError: two different sources have the same name.
    """
    declared: dict[str, DataSource] = {}
    for paper in paper_names():
        for source in importlib.import_module(f"replications.papers.{paper}.data").SOURCES:
            if declared.setdefault(source.name, source) is not source:
                raise InputError(f"Two data sources are named '{source.name}'; one is in {paper}. Share it through engine/datasets.py.")
    return declared


def _select(names: list[str] | None) -> list[DataSource]:
    declared = sources()
    for name in names or ():
        if name not in declared:
            raise InputError(f"No data set is called '{name}'. {nearest(name, declared)}")
    return [declared[name] for name in names or declared]


def _mirror_path(source: DataSource) -> str:
    """Return the source's path inside a mirror; empty for embedded data."""
    return f"hub/{source.hub}" if source.hub else source.file


@app.command("list")
def list_sources(as_json: JsonOption = False) -> None:
    """List name, origin, revision, sizes and licence of every data set, and what is not verified about it."""
    local = mirror()
    rows = [
        {
            "name": source.name,
            "from": source.hub or source.address or source.file or "embedded",
            "revision": source.revision[:12],
            "splits": " ".join(f"{split}={count:,}" for split, count in source.splits.items()),
            "in mirror": "yes" if local and _mirror_path(source) and (local / _mirror_path(source)).exists() else "",
            "licence": source.licence,
            "note": source.note,
        }
        for source in sources().values()
    ]
    print_rows(rows, as_json=as_json, fold=("splits", "licence", "note"))


@app.command("fetch", epilog=examples("data fetch", "data fetch --paper PAPER --tier gpu"))
def fetch(
    names: Names = None,
    paper: Annotated[
        str | None, typer.Option(metavar="PAPER", help="Only what the runs of this paper need at --tier.", callback=check_paper)
    ] = None,
    tier: TierOption = DEFAULT_TIER,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="JSON file of verified fingerprints to write.")] = None,
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="File that also gets the printed lines.")] = None,
) -> None:
    """Download missing data sets and verify all of them.

    With --paper, embedded data are left out: they cannot be missing, and a run verifies them when it loads them.
    """
    by_name = {} if paper else {(source.name, split): source for source in _select(names) for split in source.splits}
    splits = _needs(paper, tier) if paper else by_name
    notes, lines = {}, []
    for (name, split), source in sorted(splits.items()):
        _, note = load(source, split)
        notes[f"{name}/{split}"] = {key: note[key] for key in ("rows", "fingerprint", "verified")}
        lines.append(f"{name}/{split}: {note['rows']} examples from {note['origin']}, fingerprint {note['fingerprint']}")
        if not out:
            print(lines[-1])
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if out:
        with replacing(out) as temporary:
            temporary.write_text(json.dumps(notes, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _needs(paper: str, tier: str) -> dict[tuple[str, str], DataSource]:
    """Return the splits that the runs of a paper at a tier download: its `data.needs(settings)` over all runs, without embedded data."""
    module = importlib.import_module(f"replications.papers.{paper}.data")
    loaded = {(source.name, split): source for run in grid.load_runs(paper, tier) for source, split in module.needs(run.settings)}
    return {key: source for key, source in loaded.items() if source.build is None}


@app.command("verify")
def verify(names: Names = None) -> None:
    """Verify size and fingerprint of the data sets on this machine; exit with 2 if one is missing or differs from its declaration."""
    rows, failed = [], False
    for source in _select(names):
        for split in source.splits:
            try:
                _, note = load(source, split)
                result = "as declared" if note["verified"] == "yes" else note["verified"]
                rows.append({"data": f"{source.name}/{split}", "result": result, "from": note["origin"]})
            except DataError as error:
                failed = True
                rows.append({"data": f"{source.name}/{split}", "result": str(error), "from": ""})
    print_rows(rows, fold=("result",))
    if failed:
        raise DataError("A data set is missing or differs from its declaration; see the table above.")
