"""`replications new` makes a paper that runs, draws and passes what holds for every paper."""

import json
import shutil
from pathlib import Path

import pytest

from replications.commands.new import new
from replications.errors import InputError
from replications.paths import ROOT
from tests.workflow.conftest import copy_suite, run_in

NAME = "straight_line"


@pytest.mark.slow
def test_a_new_paper_runs_draws_and_passes_the_tests_of_papers(tmp_path: Path) -> None:
    suite = copy_suite(tmp_path / "suite")
    shutil.copytree(ROOT / "tests", suite / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(suite / "replications" / "papers" / "coin_toss")
    run_in(suite, "replications", "new", NAME, "--title", "A straight line")
    (row,) = json.loads(run_in(suite, "replications", "list", "--json").stdout)
    assert (row["paper"], row["run"], row["seeds"]) == (NAME, "line", 3)
    run_in(suite, "replications", "run", NAME, "line", "--device", "cpu")
    run_in(suite, "replications", "figures", NAME)
    drawn = [json.loads(path.read_text()) for path in (suite / "results" / "smoke" / NAME / "figures").glob("*_*.json")]
    assert [figure["drawn"] for figure in drawn] == [True, True]
    (verdict,) = json.loads(run_in(suite, "replications", "claims", "show", "--json").stdout)
    assert verdict["verdict"] == "supported (proxy)", verdict
    tests = ("tests/test_architecture.py", "tests/registry", "tests/commands/test_schemas.py")
    run_in(suite, "pytest", "-q", "-n", "0", *(test for test in tests if (suite / test).exists()))
    run_in(suite, "ruff", "check", "replications/papers")
    run_in(suite, "ruff", "format", "--check", "replications/papers")
    run_in(suite, "mypy", f"replications/papers/{NAME}")


@pytest.mark.parametrize("name", ["Upper", "with-hyphen", "2fast", "double__line", ""])
def test_a_name_that_python_cannot_import_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is not a valid name of a paper"):
        new(name)


def test_a_paper_that_exists_is_left_alone(discovered: None) -> None:
    with pytest.raises(InputError, match="exists"):
        new("tea")
