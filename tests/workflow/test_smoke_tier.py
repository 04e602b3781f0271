"""The finished smoke tier of the real papers, as `make report` leaves it in results/smoke."""

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from replications.paths import ROOT
from replications.registry.papers import load_paper, paper_names
from replications.registry.run_grid import load_runs, run_folder
from replications.results.records import COLUMNS, read_records
from tests.workflow.conftest import run_in
from workflow import jobs as pipeline
from workflow.configuration import read_configuration

pytestmark = pytest.mark.pipeline

SMOKE = ROOT / "results" / "smoke"
CONFIG = read_configuration({"tier": "smoke", "results": str(ROOT / "results")})


@pytest.fixture(scope="module", autouse=True)
def finished() -> None:
    if not (SMOKE / "report" / "index.html").is_file():
        pytest.fail("results/smoke is not finished: run `make report` first (`make test` does).")


def test_nothing_is_left_to_do() -> None:
    done = run_in(ROOT, "snakemake", "--dry-run", "--config", "tier=smoke")
    assert "Nothing to be done" in done.stdout + done.stderr


@pytest.mark.parametrize("paper", paper_names())
def test_every_run_recorded_every_planned_seed(paper: str) -> None:
    for run in load_runs(paper, "smoke"):
        seeds: set[int] = set()
        for chunk in run.chunks():
            records = read_records(run_folder(SMOKE, run, chunk) / "records.parquet")
            assert list(records.columns) == COLUMNS
            assert records["value"].notna().all(), f"{run.name}: a value is no number"
            seeds |= set(records["seed"])
        assert seeds >= set(run.seeds), run.name


@pytest.mark.parametrize("paper", paper_names())
def test_every_run_has_provenance_that_stands_alone(paper: str) -> None:
    for run in load_runs(paper, "smoke"):
        for chunk in run.chunks():
            sidecar = json.loads((run_folder(SMOKE, run, chunk) / "provenance.json").read_text())
            for key in (
                "settings",
                "settings_digest",
                "code_digest",
                "packages",
                "hardware",
                "data",
                "started",
                "ended",
                "command",
                "cost",
                "lock",
            ):
                assert key in sidecar, f"{run.name}: {key}"
            assert sidecar["cost"]["seconds"] > 0
            assert sidecar["cost"]["peak_memory"] > 0


def test_every_claim_has_a_verdict() -> None:
    with (SMOKE / "claims.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    for paper in paper_names():
        for claim in load_paper(paper).claims:
            row = rows[f"{paper}.{claim.id}"]
            assert row["verdict"], claim.id
            if "smoke" in claim.tiers and row["verdict"] == "not tested":
                assert claim.at("smoke").requires, f"{claim.id} is promised at smoke, and nothing has to hold first"
                assert "must" in row["reason"], claim.id


@pytest.mark.parametrize("paper", paper_names())
def test_every_figure_is_there_and_some_are_drawn(paper: str) -> None:
    outputs = [Path(path) for kind, path in pipeline.presentation_outputs(CONFIG, paper) if kind == "figure"]
    for path in outputs:
        assert path.stat().st_size > 0, path
    drawn = [json.loads(path.read_text())["drawn"] for path in outputs if path.suffix == ".json" and path.name != "index.json"]
    assert sum(drawn) >= 3
    for path in outputs:
        if path.suffix == ".csv":
            assert len(pd.read_csv(path)), path


@pytest.mark.parametrize("paper", paper_names())
def test_captions_name_the_marks_that_are_drawn_and_nothing_is_cut_off(paper: str) -> None:
    for path in sorted((SMOKE / paper / "figures").glob("*.json")):
        if path.name != "index.json":
            assert json.loads(path.read_text())["faults"] == [], path.stem


class Links(HTMLParser):
    """Everything a page loads or links."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "src" or (name == "href" and tag == "link"):
                self.loaded.append(value or "")
            elif name == "href":
                self.linked.append(value or "")
            elif name == "id":
                self.ids.append(value or "")


def pages() -> list[Path]:
    return sorted((SMOKE / "report").rglob("*.html"))


def test_the_report_loads_nothing_from_outside_and_has_no_dead_link() -> None:
    parsed = {}
    for page in pages():
        parsed[page.resolve()] = Links()
        parsed[page.resolve()].feed(page.read_text(encoding="utf-8"))
    for page, links in parsed.items():
        assert len(links.ids) == len(set(links.ids)), f"{page.name}: an id is used twice"
        assert not [link for link in links.loaded if re.match(r"(https?:)?//", link)], page.name
        for link in links.loaded + links.linked:
            if re.match(r"(https?:|mailto:|data:|javascript:)", link):
                continue
            place, _, anchor = link.partition("#")
            target = (page.parent / place).resolve() if place else page
            assert target.exists(), f"{page.name}: {link}"
            if anchor and target in parsed:
                assert anchor in parsed[target].ids, f"{page.name}: {link}"


def test_the_first_lines_say_what_the_smoke_tier_can_show() -> None:
    text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", (SMOKE / "report" / "index.html").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert "machinery works" in " ".join(text.split())[:3000]


def test_the_claims_command_prints_what_the_report_holds() -> None:
    listed = json.loads(run_in(ROOT, "replications", "claims", "show", "--tier", "smoke", "--json").stdout)
    verdicts = {row["id"]: row["verdict"] for row in listed}
    with (SMOKE / "claims.csv").open(newline="", encoding="utf-8") as file:
        assert verdicts == {row["id"]: row["verdict"] for row in csv.DictReader(file)}
