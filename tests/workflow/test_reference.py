"""Everything redrawn from committed results, without a run: the toy's, promoted here, and those of the repository."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from replications.commands.reference import generated_summary
from replications.evidence.claims import read_claims_csv
from replications.evidence.configuration import read_configuration
from replications.evidence.pipeline import FIGURE_KINDS
from replications.evidence.provenance import ROOT
from replications.evidence.reference import LARGEST, fill_readme, read_reference
from replications.evidence.spec import load_papers, paper_names
from tests.workflow.conftest import TOY, environment, run_in

REFERENCE = ROOT / "results" / "reference"


def tables(folder: Path) -> dict[str, str]:
    """Every CSV below a results folder but the report's copies."""
    found = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.csv") if "report" not in path.parts}
    return {name: content for name, content in found.items() if "seeds-" not in name}


def test_promoted_results_redraw_the_same_tables_without_a_run(finished: Path, tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    shutil.copytree(finished, suite, symlinks=True)
    for sidecar in (suite / "results" / "smoke").glob("*/*/seeds-*/provenance.json"):
        sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"dirty": False}))
    shutil.rmtree(suite / "results" / "reference", ignore_errors=True)
    run_in(suite, "replications", "promote", "results/smoke")
    before = tables(suite / "results" / "smoke")
    shutil.rmtree(suite / "results" / "smoke")
    done = run_in(suite, "snakemake", "--cores", "2", "--config", "source=reference")
    assert f"train_{TOY}" not in done.stdout + done.stderr
    assert len(before) > 3
    assert tables(suite / "results" / "from-reference") == before
    assert "promoted" in (suite / "results" / "reference" / "README.md").read_text().lower()


def test_the_readme_shows_what_the_committed_reference_says_now() -> None:
    for path in (ROOT / "README.md", REFERENCE / "README.md"):
        assert generated_summary(REFERENCE).strip() in path.read_text(encoding="utf-8"), "run `python -m replications readme` and commit"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert fill_readme(text, generated_summary(REFERENCE), "README.md") == text


def test_the_committed_reference_is_small_and_of_clean_code() -> None:
    assert sum(path.stat().st_size for path in REFERENCE.rglob("*") if path.is_file()) < LARGEST
    assert not [path for path in REFERENCE.rglob("*") if path.suffix in {".pt", ".safetensors", ".ckpt", ".bin"}]
    assert read_reference(REFERENCE).reservations == []


@pytest.mark.pipeline
def test_every_figure_of_the_committed_reference_is_redrawn() -> None:
    config = read_configuration({"source": "reference", "results": str(ROOT / "results")})
    derived = config.derived_folder
    shutil.rmtree(derived, ignore_errors=True)
    done = subprocess.run(
        ["make", "figures", "SOURCE=reference"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
    drawn = 0
    for paper in paper_names():
        for name in json.loads((derived / paper / "figures" / "index.json").read_text()):
            for kind in FIGURE_KINDS:
                assert (derived / paper / "figures" / f"{name}.{kind}").stat().st_size
            drawn += json.loads((derived / paper / "figures" / f"{name}.json").read_text())["drawn"]
    assert drawn >= 3 * len(paper_names())
    verdicts = [verdict for paper in paper_names() for verdict in read_claims_csv(derived / paper / "claims.csv")]
    assert {verdict.id for verdict in verdicts} == {f"{paper.name}.{claim.id}" for paper in load_papers() for claim in paper.claims}
    assert {verdict.tier for verdict in verdicts} == {read_reference(REFERENCE).tier}
