"""`python -m replications data`: what the papers are trained on, where it comes from, and whether it is the declared data."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Annotated

import typer

from replications.commands.output import check_tier, print_rows
from replications.engine.datasets import DataSource, load, mirror
from replications.errors import DataError, InputError, nearest
from replications.files import replacing
from replications.registry import run_grid as grid
from replications.registry.papers import load_paper, paper_names

app = typer.Typer(no_args_is_help=True, help="List, fetch and verify data sets.")

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Data sets, as `data list` names them.")]


def sources() -> dict[str, DataSource]:
    """Every declared source by name, over all papers. Raises InputError when two differ under one name."""
    found: dict[str, DataSource] = {}
    for paper in paper_names():
        for source in importlib.import_module(f"replications.papers.{paper}.data").SOURCES:
            if found.setdefault(source.name, source) is not source:
                raise InputError(f"Two data sources are called '{source.name}'; one is in {paper}. Share it through engine/datasets.py.")
    return found


def _chosen(names: list[str] | None) -> list[DataSource]:
    known = sources()
    for name in names or ():
        if name not in known:
            raise InputError(f"No data set is called '{name}'. {nearest(name, known)}")
    return [known[name] for name in names or known]


def _place(source: DataSource) -> str:
    """Where a mirror keeps the source; empty for embedded data."""
    return f"hub/{source.hub}" if source.hub else source.file


@app.command("list")
def list_sources(as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False) -> None:
    """Name, place, revision, size, licence of every data set, and what could not be checked about it."""
    local = mirror()
    rows = [
        {
            "name": source.name,
            "from": source.hub or source.address or source.file or "embedded",
            "revision": source.revision[:12],
            "splits": " ".join(f"{split}={count:,}" for split, count in source.splits.items()),
            "in mirror": "yes" if local and _place(source) and (local / _place(source)).exists() else "",
            "licence": source.licence,
            "note": source.note,
        }
        for source in sources().values()
    ]
    print_rows(rows, as_json=as_json)


@app.command("fetch")
def fetch(
    names: Names = None,
    paper: Annotated[str | None, typer.Option(help="Only what the runs of this paper need at --tier.")] = None,
    tier: Annotated[str, typer.Option(help="Tier whose needs are fetched, with --paper.")] = "smoke",
    out: Annotated[Path | None, typer.Option(help="File that gets the verified fingerprints, as JSON.")] = None,
    log: Annotated[Path | None, typer.Option(help="File that gets one line per split.")] = None,
) -> None:
    """Make data sets present on this machine and verify them.

    With --paper, embedded data is left to the runs: it cannot be absent, and whatever loads it verifies it.
    """
    check_tier(tier)
    everything = {} if paper else {(source.name, split): source for source in _chosen(names) for split in source.splits}
    wanted = _needs(paper, tier) if paper else everything
    notes, lines = {}, []
    for (name, split), source in sorted(wanted.items()):
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
    """What the runs of a paper at a tier download: its `data.needs(settings)` over all runs, without what is embedded."""
    load_paper(paper)
    module = importlib.import_module(f"replications.papers.{paper}.data")
    loaded = {(source.name, split): source for run in grid.load_runs(paper, tier) for source, split in module.needs(run.settings)}
    return {key: source for key, source in loaded.items() if source.build is None}


@app.command("verify")
def verify(names: Names = None) -> None:
    """Check size and fingerprint of data sets that are at hand; exit 2 when one is missing or not the declared data."""
    rows, failed = [], False
    for source in _chosen(names):
        for split in source.splits:
            try:
                _, note = load(source, split)
                found = "as declared" if note["verified"] == "yes" else note["verified"]
                rows.append({"data": f"{source.name}/{split}", "result": found, "from": note["origin"]})
            except DataError as error:
                failed = True
                rows.append({"data": f"{source.name}/{split}", "result": str(error), "from": ""})
    print_rows(rows)
    if failed:
        raise DataError("Not everything is at hand and as declared; see above.")
