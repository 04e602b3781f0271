"""Results with holes: the report still builds, shows each hole where it is, and fails only with --strict."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from replications.errors import ReplicationError
from replications.registry.papers import load_papers
from report.build import write_report
from report.command import command
from tests.report.conftest import PAPER, write_run

Build = Callable[[Path], tuple[list[str], str]]


@pytest.fixture
def build(tmp_path: Path, stamp: datetime) -> Build:
    """Build a report and return its problems and the text of the paper's page."""

    def run(results: Path) -> tuple[list[str], str]:
        out = tmp_path / "out"
        report = write_report("gpu", "runs", results, results, load_papers(), out, stamp)
        assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
        assert (out / "index.html").is_file()
        return [f"{p.where}: {p.what}" for p in report.problems], (out / f"{PAPER}.html").read_text(encoding="utf-8")

    return run


def test_a_finished_tier_has_no_problem(results: Path, build: Build) -> None:
    assert build(results)[0] == []


def test_a_missing_run_is_named_and_its_cells_are_empty(results: Path, build: Build) -> None:
    shutil.rmtree(results / PAPER / "looks-8")
    problems, page = build(results)
    assert problems == ["runs: 1 of 4 planned runs have no finished seed: looks-8."]
    assert "missing" in page


def test_missing_seeds_are_named(results: Path, build: Build) -> None:
    write_run(results, "looks-8", range(2), 1.05)
    shutil.rmtree(results / PAPER / "looks-8" / "seeds-0-2")
    assert "looks-8: 1 of 3 seeds not finished: 2." in build(results)[0]


def test_half_a_record_withholds_its_run(results: Path, build: Build) -> None:
    path = results / PAPER / "looks-8" / "seeds-0-2" / "records.parquet"
    path.write_bytes(path.read_bytes()[:200])
    problems, page = build(results)
    assert any("looks-8: withheld" in problem and "Delete it and run its job again" in problem for problem in problems)
    assert "withheld" in page


def test_damaged_provenance_withholds_its_run(results: Path, build: Build) -> None:
    (results / PAPER / "looks-6" / "seeds-0-2" / "provenance.json").write_text('{"seeds": [0,')
    problems, page = build(results)
    assert any(problem.startswith("looks-6: withheld: looks-6/seeds-0-2: ") for problem in problems)
    assert 'data-verdict="withheld"' in page


def test_a_run_that_nobody_planned_is_named_and_left_out(results: Path, build: Build) -> None:
    shutil.copytree(results / PAPER / "dense", results / PAPER / "dreamt")
    assert any(problem.startswith("dreamt/seeds-0-2: is of a run that runs.yaml does not have") for problem in build(results)[0])


def test_records_of_another_run_are_named_and_withheld(results: Path, build: Build) -> None:
    shutil.copy(results / PAPER / "dense" / "seeds-0-2" / "records.parquet", results / PAPER / "looks-8" / "seeds-0-2" / "records.parquet")
    assert any("looks-8/seeds-0-2: records are of another run or paper" in problem for problem in build(results)[0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": {"looks": 6, "learning_rate": 0.1}}, "looks-6: withheld: looks-6: seeds 0-2 and seeds 3-5 have different settings"),
        ({"code_digest": "other"}, "looks-6: The seeds of looks-6 were made by 2 states of the code"),
        ({"lock": "other"}, "looks-6: The seeds of looks-6 were made by 2 sets of package versions"),
        ({"data": {"digits/test": {"fingerprint": "other"}}}, "saw different data of digits/test"),
        ({"dirty": True}, "looks-6: looks-6/seeds-3-5 ran uncommitted code."),
    ],
)
def test_seeds_with_conflicting_provenance_are_named(results: Path, build: Build, changes: dict[str, Any], words: str) -> None:
    write_run(results, "looks-6", range(3, 6), 1.31, **changes)
    assert any(words in problem for problem in build(results)[0])


def test_settings_that_are_no_longer_planned_are_named(results: Path, build: Build) -> None:
    write_run(results, "looks-6", range(3), 1.31, settings={"looks": 6, "learning_rate": 0.1})
    assert "looks-6: looks-6/seeds-0-2 was made with other settings than runs.yaml has now." in build(results)[0]


def test_a_word_typed_into_the_table_of_claims_is_never_shown(results: Path, build: Build) -> None:
    path, whole = results / "claims.csv", build(results)[1]
    typed = path.read_text(encoding="utf-8").replace(",inconclusive,", ",replicated,").replace(",contradicted,", ",exceeded,")
    assert typed != path.read_text(encoding="utf-8")
    for text in (typed, typed[:-300]):
        path.write_text(text, encoding="utf-8")
        problems, page = build(results)
        assert (problems, page) == ([], whole)


def test_a_figure_without_its_files_is_a_hole(results: Path, build: Build) -> None:
    for kind in ("svg", "png"):
        (results / PAPER / "figures" / f"error_by_looks.{kind}").unlink()
    (results / PAPER / "figures" / "error_by_looks.pdf").write_bytes(b"%PDF-1.4 nothing")
    problems, page = build(results)
    assert any("figure error_by_looks: its svg, png file" in problem for problem in problems)
    assert "This figure cannot be shown" in page


def test_a_figure_that_was_never_drawn_is_a_hole_where_the_text_shows_it(results: Path, build: Build) -> None:
    (results / PAPER / "figures" / "error_by_looks.json").unlink()
    problems, page = build(results)
    assert any("figure" in problem for problem in problems)
    assert "Not drawn yet." in page


def test_a_wrong_call_in_the_text_is_shown_and_the_rest_stays(results: Path, build: Build, finished: Path) -> None:
    path = Path(str(importlib.import_module(f"replications.papers.{PAPER}").__file__)).parent / "section.md"
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(before.replace('published("table-1a"', 'published("table-9"'), encoding="utf-8")
        problems, page = build(results)
    finally:
        path.write_text(before, encoding="utf-8")
    assert any("table-9" in problem for problem in problems)
    assert "The task." in page


def test_nothing_at_all_still_makes_a_report(tmp_path: Path, build: Build) -> None:
    problems, page = build(tmp_path / "empty")
    assert any("4 of 4 planned runs" in problem for problem in problems)
    assert "not measured at this tier" in page


def test_strict_fails_after_writing_everything(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(results / PAPER / "looks-8")
    command(tier="gpu", results=results, out=tmp_path / "loose", paper=[PAPER])
    with pytest.raises(ReplicationError, match="missing or in doubt"):
        command(tier="gpu", results=results, out=tmp_path / "strict", paper=[PAPER], strict=True)
    assert "looks-8" in capsys.readouterr().err
    assert (tmp_path / "strict" / "report.pdf").is_file()


def test_wrong_use_exits_with_2_and_names_the_nearest_tier() -> None:
    done = subprocess.run([sys.executable, "-m", "report", "--tier", "gpus"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Did you mean 'gpu'?" in done.stderr


def test_the_report_never_loads_torch_or_a_drawing_library() -> None:
    code = "import sys, report.command; sys.exit(any(name in sys.modules for name in ('torch', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
