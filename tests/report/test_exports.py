"""What a report hands out: every file, one archive of them, and a crate that says where they come from."""

import csv
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from rocrate.rocrate import ROCrate

from replications.paths import ROOT
from replications.registry.papers import load_papers
from report.build import write_report
from report.crate import FORMATS
from tests.report.conftest import PAPER
from workflow import jobs as pipeline

FILES = f"files/{PAPER}"


@pytest.fixture(scope="module")
def folder(finished: Path, stamp: datetime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exports")
    write_report("gpu", "runs", finished, finished, load_papers(), out, stamp)
    return out


@pytest.fixture(scope="module")
def unpacked(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(folder / "exports.zip") as archive:
        archive.extractall(target)
    return target


def entities(crate: Path) -> dict[str, dict[str, Any]]:
    graph = json.loads((crate / "ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    found = {entity["@id"]: entity for entity in graph}
    assert len(found) == len(graph)
    return found


def ids(value: Any) -> set[str]:
    """Identifiers that a property points at."""
    values = value if isinstance(value, list) else [value]
    return {entry["@id"] for entry in values if isinstance(entry, dict)}


def of_type(found: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [entity for entity in found.values() if kind in (entity["@type"] if isinstance(entity["@type"], list) else [entity["@type"]])]


def test_the_archive_holds_tables_and_figures_in_every_form_and_no_page(unpacked: Path, folder: Path) -> None:
    names = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert {f"{FILES}/figures/error_by_looks.{kind}" for kind in ("svg", "pdf", "png", "csv")} <= names
    assert {f"{FILES}/tables/{table}.{kind}" for table in ("table-1a", "table-2") for kind in ("csv", "tex", "md")} <= names
    assert {
        "README.md",
        "claims.csv",
        "citations.bib",
        "citations.ris",
        "citations.csl.json",
        "CITATION.cff",
        "report.pdf",
        "workflow/Snakefile",
        "requirements.lock",
    } <= names
    assert not [name for name in names if "never_measured" in name or name.startswith("assets/") or name == "index.html"]
    for name in names - {"ro-crate-metadata.json"}:
        assert (unpacked / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_archive_carries_the_time_of_the_build_and_plain_permissions(folder: Path, stamp: datetime) -> None:
    with zipfile.ZipFile(folder / "exports.zip") as archive:
        assert archive.testzip() is None
        assert {entry.date_time for entry in archive.infolist()} == {stamp.timetuple()[:6]}
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}


def test_a_build_dated_before_archives_were_known_has_one_all_the_same(finished: Path, tmp_path: Path) -> None:
    write_report("gpu", "runs", finished, finished, load_papers(), tmp_path, datetime.fromtimestamp(0, UTC))
    with zipfile.ZipFile(tmp_path / "exports.zip") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_exported_claims_are_those_of_the_report(folder: Path, finished: Path) -> None:
    assert (folder / "claims.csv").read_bytes() == (finished / "claims.csv").read_bytes()
    with (folder / "claims.csv").open(encoding="utf-8", newline="") as file:
        assert {row["id"] for row in csv.DictReader(file)} == {f"{PAPER}.{claim.id}" for claim in load_papers()[0].claims}


def test_a_report_is_built_again_when_what_it_imports_or_hands_out_changes() -> None:
    code = {Path(path).resolve().relative_to(ROOT).as_posix() for path in pipeline.report_code()}
    assert {"report/crate.py", "report/templates/index.html.j2", "replications/presentation/citations.py"} <= code
    assert not {path for path in code if path.startswith("replications/engine")}
    assert {ROOT / "requirements.lock", ROOT / "workflow" / "Snakefile"} <= set(pipeline.workflow_files())


def test_the_citation_file_names_authors_licence_and_the_papers(folder: Path) -> None:
    content = yaml.safe_load((folder / "CITATION.cff").read_text(encoding="utf-8"))
    suite = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (content["authors"], content["license"]) == (suite["authors"], suite["license"])
    assert [work["title"] for work in content["references"]] == [paper.citation.title for paper in load_papers()]
    assert content["references"][0]["authors"][0] == {"family-names": "Durand", "given-names": "Émile"}


@pytest.mark.parametrize("place", ["folder", "unpacked"])
def test_a_crate_lists_what_is_there_and_everything_that_is_there(place: str, request: pytest.FixtureRequest) -> None:
    """Both crates passed roc-validator 0.13: ro-crate-1.1, workflow-ro-crate-1.0, process-run-crate-0.5, workflow-run-crate-0.5.

    All that they require holds, and all that they recommend but two: an address of the authors, which CITATION.cff does not give, and an
    absolute identifier of the workflow, which is a file of the crate.
    """
    crate = request.getfixturevalue(place)
    found = entities(crate)
    listed = ids(found["./"]["hasPart"])
    there = {path.relative_to(crate).as_posix() for path in crate.rglob("*") if path.is_file()} - {"ro-crate-metadata.json"}
    assert listed == there == {entity["@id"] for entity in of_type(found, "File")}
    for name in listed:
        assert found[name]["encodingFormat"] == FORMATS.get(Path(name).suffix, "text/plain")
        assert name in {"exports.zip", "workflow/Snakefile"} or int(found[name]["contentSize"]) == (crate / name).stat().st_size
    assert {entity.id for entity in ROCrate(crate).data_entities} == listed


@pytest.mark.parametrize("place", ["folder", "unpacked"])
def test_every_reference_of_a_crate_leads_somewhere(place: str, request: pytest.FixtureRequest) -> None:
    found = entities(request.getfixturevalue(place))
    pointed = {(name, target) for entity in found.values() for name, value in entity.items() for target in ids(value)}
    outside = {target for name, target in pointed if target not in found}
    assert all(re.match(r"https?://", target) for target in outside), outside
    assert {name for name, target in pointed if target in outside} <= {"conformsTo", "identifier", "url"}


def test_the_crate_says_what_was_run_when_on_what(folder: Path) -> None:
    found = entities(folder)
    run = found["#run"]
    assert ids(found["./"]["mentions"]) == {"#run"}
    assert ids(found["./"]["mainEntity"]) == ids(run["instrument"]) == {"workflow/Snakefile"}
    assert (run["startTime"], run["endTime"]) == ("2026-01-01T10:00:00+00:00", "2026-01-01T10:05:00+00:00")
    assert run["actionStatus"] == "http://schema.org/CompletedActionStatus"
    for word in ("4 of 4 runs finished", "0123456789abcdef0123456789abcdef01234567", "10c4", "Imaginary CPU, 2 cores"):
        assert word in run["description"]
    given = [found[name] for name in ids(run["object"])]
    assert {entity["name"]: entity["value"] for entity in given if "value" in entity} == {"tier": "gpu", "source": "runs", "papers": PAPER}
    data = next(entity for entity in given if entity["name"] == "digits/test")
    assert found[data["identifier"]["@id"]]["value"] == "feedbeef"
    assert found[data["license"]["@id"]]["name"] == "CC0"
    assert {"claims.csv", "report.pdf", f"{FILES}/figures/error_by_looks.svg", f"{FILES}/tables/table-2.tex"} <= ids(run["result"])
    software = {entity["name"]: entity["softwareVersion"] for entity in of_type(found, "SoftwareApplication")}
    assert software == {"python": "3.11.7", "snakemake": "9.27.1", "unheard-of": "1"}
    assert found["https://w3id.org/workflowhub/workflow-ro-crate#snakemake"]["version"] == "9.27.1"


def test_the_crate_cites_the_papers(folder: Path) -> None:
    found = entities(folder)
    works = {found[name]["name"] for name in ids(found["./"]["citation"])}
    assert works == {"Reading by Lantern: Where to Look & What to See", "An earlier lantern"}
    assert ids(found["./"]["isBasedOn"]) == {"https://arxiv.org/abs/1400.00001"}


def test_a_run_that_did_not_finish_says_so(results: Path, tmp_path: Path, stamp: datetime, edit_json: Callable[..., None]) -> None:
    shutil.rmtree(results / PAPER / "looks-8")
    edit_json(results / PAPER / "looks-6" / "seeds-0-2" / "provenance.json", data={"digits/test": "feedbeef"}, packages=["torch"])
    write_report("gpu", "runs", results, results, load_papers(), tmp_path / "out", stamp)
    run = entities(tmp_path / "out")["#run"]
    assert run["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert run["error"] == "1 of 4 runs are not finished."


def test_a_report_of_nothing_is_a_crate_too(tmp_path: Path, stamp: datetime, finished: Path) -> None:
    write_report("gpu", "runs", tmp_path / "empty", tmp_path / "empty", load_papers(), tmp_path / "out", stamp)
    found = entities(tmp_path / "out")
    assert found["#run"]["endTime"] == stamp.isoformat()
    assert "startTime" not in found["#run"]
    assert not [entity for entity in found if entity.startswith("files/")]
