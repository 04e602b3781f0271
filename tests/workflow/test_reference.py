"""Everything redrawn from committed results, without a run: the toy's, promoted here, and those of the repository."""

import contextlib
import importlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from replications.commands.results import generated_summary
from replications.paths import PAPERS, ROOT
from replications.presentation.judging import judge_paper
from replications.presentation.metadata import draw_from_largest
from replications.presentation.readme import fill_papers, fill_readme
from replications.presentation.theme import linear_without_positive_values
from replications.presentation.verdict_log import history
from replications.registry.papers import load_paper, load_papers
from replications.results.promotion import LARGEST
from replications.results.reader import NotMeasured, Results
from replications.results.reference import read_reference
from replications.results.store import content_digest
from replications.source_code import public_functions
from replications.verdicts.kinds.order import OrderClaim
from replications.verdicts.kinds.value import ValueClaim
from replications.verdicts.words import AGREES
from report import prose
from report.template_functions import TemplateFunctions
from tests.workflow.conftest import PAPER_NAMES, TOY, run_in

REFERENCE = ROOT / "results" / "reference"


def tables(folder: Path) -> dict[str, str]:
    """Every CSV below a results folder but the report's copies."""
    found = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.csv") if "report" not in path.parts}
    return {name: content for name, content in found.items() if "seeds-" not in name}


@pytest.mark.slow
def test_promoted_results_redraw_the_same_tables_without_a_run(finished: Path, tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    shutil.copytree(finished, suite, symlinks=True)
    for path in (suite / "results" / "smoke").glob("*/*/seeds-*/provenance.json"):
        committed = json.loads(path.read_text()) | {"commit": "c0ffee" * 6, "dirty": False}
        committed["sha256"][path.name] = content_digest(committed)
        path.write_text(json.dumps(committed))
    shutil.rmtree(suite / "results" / "reference", ignore_errors=True)
    run_in(suite, "replications", "results", "promote", "results/smoke")
    run_in(suite, "snakemake", "--cores", "1", "--", "claims")  # judged again, now that the commit is known
    before = tables(suite / "results" / "smoke")
    shutil.rmtree(suite / "results" / "smoke")
    done = run_in(suite, "snakemake", "--cores", "2", "--config", "source=reference")
    assert f"train_{TOY}" not in done.stdout + done.stderr
    assert len(before) > 3
    assert tables(suite / "results" / "from-reference") == before
    assert "promoted" in (suite / "results" / "reference" / "README.md").read_text().lower()
    shutil.rmtree(suite / ".snakemake")  # as in a new clone, which knows no earlier run
    run_in(suite, "replications", "results", "restore", "--tier", "smoke")
    shutil.rmtree(suite / "results" / "smoke" / TOY / "slow")
    plan = run_in(suite, "snakemake", "--dry-run").stdout
    assert set(re.findall(r"^(train_\w+) +\d+$", plan, flags=re.MULTILINE)) == {f"train_{TOY}_slow"}, "only what is missing trains"


def test_the_readme_shows_what_the_committed_reference_says_now() -> None:
    for path in (ROOT / "README.md", REFERENCE / "README.md"):
        assert generated_summary(REFERENCE).strip() in path.read_text(encoding="utf-8"), (
            "run `replications results update-readme` and commit"
        )
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert fill_papers(fill_readme(text, generated_summary(REFERENCE), "README.md"), load_papers()) == text
    assert all(f"| `{paper}` |" in text for paper in PAPER_NAMES)


def test_the_committed_reference_is_small_and_of_clean_code() -> None:
    assert sum(path.stat().st_size for path in REFERENCE.rglob("*") if path.is_file()) < LARGEST
    assert not [path for path in REFERENCE.rglob("*") if path.suffix in {".pt", ".safetensors", ".ckpt", ".bin"}]
    for tier, promoted in read_reference(REFERENCE).tiers.items():
        doubts = [sentence for sentence in promoted.reservations if "lacks seeds of" not in sentence]
        assert doubts == [], f"{tier}: a tier may be unfinished, but nothing in it in doubt"


@pytest.mark.parametrize("paper", PAPER_NAMES)
def test_every_figure_of_the_committed_reference_is_drawn(paper: str) -> None:
    module = importlib.import_module(f"replications.papers.{paper}.figures")
    results = Results.read_reference(load_paper(paper), REFERENCE)
    drawn = 0
    for name in public_functions(PAPERS / paper / "figures.py"):
        with contextlib.suppress(NotMeasured):
            figure, _ = draw_from_largest(getattr(module, name), results)
            assert len(figure.data), name
            figure.canvas.draw_without_rendering()
            plt.close(figure.canvas)
            drawn += 1
    assert drawn >= 3


@pytest.mark.filterwarnings("ignore")  # of Matplotlib and numpy, on axes and means without a number
@pytest.mark.parametrize("paper", PAPER_NAMES)
def test_figures_of_trainings_that_all_diverged_are_drawn_or_say_what_they_need(paper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, changed = pd.read_parquet, []

    def diverged(*arguments: Any, **options: Any) -> pd.DataFrame:
        table = read(*arguments, **options)
        if "value" not in table:
            return table
        changed.append(len(table))
        return table.assign(value=float("nan"))

    monkeypatch.setattr(pd, "read_parquet", diverged)
    module = importlib.import_module(f"replications.papers.{paper}.figures")
    results = Results.read_reference(load_paper(paper), REFERENCE)
    for name in public_functions(PAPERS / paper / "figures.py"):
        with contextlib.suppress(NotMeasured):
            figure, _ = draw_from_largest(getattr(module, name), results)
            linear_without_positive_values(figure.canvas)
            figure.canvas.draw_without_rendering()
        plt.close("all")
    assert sum(changed) > 0


@pytest.mark.parametrize("paper", PAPER_NAMES)
def test_printed_numbers_stand_to_the_printed_bound_as_the_registered_rule_found(paper: str) -> None:
    results = Results.read_reference(load_paper(paper), REFERENCE)
    made = history(REFERENCE)
    for verdict in judge_paper(results):
        claim = results.paper.claim(verdict.id.partition(".")[2])
        tier = next((tier for tier in claim.tiers if tier == verdict.tier), None)
        if verdict.ours is None or tier is None:
            continue
        test = claim.at(tier)
        judged = verdict.quantity.judged
        if isinstance(test, OrderClaim):
            assert judged(verdict.margin or 0.0) == pytest.approx(test.min_difference or float(test.scale == "ratio")), verdict.id
            if verdict.low is not None and verdict.high is not None and verdict.verdict in AGREES:
                assert (verdict.high <= verdict.margin) if verdict.quantity.factor < 0 else (verdict.low >= verdict.margin), verdict.id
        if isinstance(test, ValueClaim):
            assert [judged(number) for number in (verdict.published, verdict.margin)] == pytest.approx([test.published, test.margin])
        row = next(iter(reversed(made.get((verdict.tier, verdict.id), ()))), None)
        proxy = bool(verdict.proxy)
        if row and row.seeds == verdict.seeds_finished and row.digest == claim.digest(verdict.tier, proxy=proxy) and row.ours is not None:
            assert (row.verdict, row.ours) == (verdict.verdict, pytest.approx(judged(verdict.ours))), verdict.id


@pytest.mark.parametrize("paper", PAPER_NAMES)
def test_every_section_is_filled_from_the_committed_reference(paper: str) -> None:
    results = Results.read_reference(load_paper(paper), REFERENCE)
    verdicts = {verdict.id.partition(".")[2]: verdict.verdict for verdict in judge_paper(results)}
    folder = PAPERS / paper
    drawn = {kind: sorted(public_functions(folder / f"{kind}s.py")) for kind in ("figure", "exhibit")} | {
        "table": list(results.paper.tables)
    }
    faults: list[str] = []
    prose.fill((folder / "section.md").read_text(encoding="utf-8"), TemplateFunctions(results, verdicts, drawn), "section.md", faults)
    assert faults == []


def test_make_figures_asks_for_figures_of_the_reference() -> None:
    said = subprocess.run(["make", "-n", "figures", "SOURCE=reference"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in said.splitlines() if "snakemake" in line]
    done = run_in(ROOT, "snakemake", "--dry-run", "--forceall", *line.split()[1:])  # whatever was drawn before
    assert all(f"present_{paper}" in done.stdout for paper in PAPER_NAMES)
    assert "train_" not in done.stdout
