"""The plan of the house: who may import whom, and what starts without torch."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from replications.evidence.provenance import ROOT, import_closure
from replications.evidence.runs import load_runs
from replications.evidence.spec import PACKAGE, TIERS, paper_names
from report.prose import fill
from report.vocabulary import FUNCTIONS

TORCH_FREE = ("figures", "exhibits", "settings")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by full name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def rooms(names: set[str]) -> set[str]:
    """The rooms of the suite that these imports reach."""
    ours = {tuple(name.split(".")) for name in names}
    return {
        parts[1] if parts[0] == "replications" and len(parts) > 1 else parts[0] for parts in ours if parts[0] in ("replications", "report")
    }


@pytest.mark.parametrize("path", sorted((PACKAGE / "evidence").glob("*.py")), ids=lambda path: path.name)
def test_evidence_imports_nothing_of_ours(path: Path) -> None:
    assert rooms(imported(path)) <= {"evidence"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "engine").glob("*.py")), ids=lambda path: path.name)
def test_engine_knows_no_paper(path: Path) -> None:
    assert rooms(imported(path)) <= {"engine", "evidence"}


@pytest.mark.parametrize("path", sorted((ROOT / "report").rglob("*.py")), ids=lambda path: path.name)
def test_report_reads_evidence_only(path: Path) -> None:
    assert rooms(imported(path)) <= {"report", "evidence"}


@pytest.mark.parametrize("paper", paper_names())
def test_papers_do_not_import_each_other(paper: str) -> None:
    for path in (PACKAGE / paper).glob("*.py"):
        allowed = {"evidence", paper} if path.stem in TORCH_FREE else {"engine", "evidence", paper}
        assert rooms(imported(path)) <= allowed, path.name


@pytest.mark.parametrize("paper", paper_names())
def test_no_other_file_names_a_paper(paper: str) -> None:
    elsewhere = [path for room in ("evidence", "engine", "commands") for path in (PACKAGE / room).glob("*.py")]
    elsewhere += [*(ROOT / "report").rglob("*.py"), *(ROOT / "workflow").rglob("*.smk"), ROOT / "workflow" / "Snakefile"]
    named = []
    for path in elsewhere:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".py":  # prose in docstrings may use a paper as its example; code may not
            tree = ast.parse(text)
            strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
            documentation = {
                ast.get_docstring(node, clean=False)
                for node in ast.walk(tree)
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            }
            text = "\n".join(value for value in strings if value not in documentation) + "\n".join(imported(path))
        if paper in text:
            named.append(str(path.relative_to(ROOT)))
    assert not named


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*/figures.py")) + sorted(PACKAGE.glob("*/exhibits.py")), ids=lambda p: p.parent.name)
def test_figures_read_results_so_that_their_runs_are_known(path: Path) -> None:
    around = [node.lineno for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Attribute) and node.attr == "records"]
    assert not around, f"{path}: use results.select, final or artifacts, which note the run"


def test_what_judges_draws_and_reports_starts_without_torch() -> None:
    modules = ["replications.__main__", "replications.evidence.verdicts", "replications.evidence.plots", "report.__main__"]
    modules += [
        f"replications.{paper}.{name}" for paper in paper_names() for name in TORCH_FREE if (PACKAGE / paper / f"{name}.py").is_file()
    ]
    check = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules: sys.exit(f'{name} imports torch')"
    )
    done = subprocess.run([sys.executable, "-c", check, *modules], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_import_closure_follows_imports_inside_functions(tmp_path: Path) -> None:
    closure = {path.relative_to(PACKAGE).as_posix() for path in import_closure("replications.engine.context")}
    assert {"engine/context.py", "engine/checkpoints.py", "engine/datasets.py", "evidence/records.py", "evidence/errors.py"} <= closure
    assert "__main__.py" not in closure


@pytest.mark.parametrize("paper", paper_names())
def test_a_paper_brings_every_file_it_promises(paper: str) -> None:
    promised = {"paper.yaml", "runs.yaml", "settings.py", "data.py", "model.py", "experiment.py", "figures.py", "section.md", "__init__.py"}
    assert promised <= {path.name for path in (PACKAGE / paper).iterdir()}


@pytest.mark.parametrize("paper", paper_names())
def test_a_paper_tells_what_a_reproducibility_report_does(paper: str) -> None:
    headings = re.findall(r"^## (.+)$", (PACKAGE / paper / "section.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {"Question", "Method", "What was easy", "What was difficult"} <= set(headings)
    assert any("esult" in heading or "read it" in heading for heading in headings)


@pytest.mark.parametrize("paper", paper_names())
@pytest.mark.parametrize("tier", TIERS)
def test_a_paper_says_which_data_every_run_loads(paper: str, tier: str) -> None:
    data = importlib.import_module(f"replications.{paper}.data")
    for run in load_runs(paper, tier):
        for source, split in data.needs(run.settings):
            assert source in data.SOURCES
            assert split in source.splits


@pytest.mark.parametrize("paper", paper_names())
@pytest.mark.parametrize("tier", TIERS)
def test_rehearsals_train_what_the_run_trains(paper: str, tier: str) -> None:
    for run in load_runs(paper, tier):
        settings, brief = run.settings, run.settings.rehearsed()
        assert '"bf16"' not in settings.in_fp32().model_dump_json()
        type(settings).model_validate(brief.model_dump())
        before, after = settings.model_dump(), brief.model_dump()
        for key in (
            "n_steps",
            "batch_size",
            "batch",
            "training",
            "model",
            "models",
            "width",
            "depth",
            "layers",
            "decoder",
            "corpus",
            "epochs",
        ):
            assert before.get(key) == after.get(key), f"{run.name}: {key}"


class PlannedRuns:
    """Stands for a vocabulary: every planned run is measured, every value prints nothing, and the runs asked for are remembered."""

    def __init__(self, paper: str, tier: str) -> None:
        self.planned = {run.name for run in load_runs(paper, tier)}
        self.guards: set[str] = set()
        self.printed: set[str] = set()

    def functions(self, _: list[str] | None) -> dict[str, Callable[..., object]]:
        told: dict[str, Callable[..., object]] = {name: lambda *_, **__: "" for name in FUNCTIONS}
        told |= {
            name: lambda run, *_, **__: self.printed.add(run) or "" for name in ("value", "mean", "interval", "seeds", "cost", "setting")
        }
        told |= {name: lambda run, other, *_, **__: self.printed.update((run, other)) or "" for name in ("difference", "ratio")}
        return told | {"measured": lambda *runs: self.guards.update(runs) or self.planned.issuperset(runs)}


@pytest.mark.parametrize("paper", paper_names())
def test_a_section_prints_numbers_of_planned_runs_at_every_tier(paper: str) -> None:
    everywhere = {run.name for tier in TIERS for run in load_runs(paper, tier)}
    text = (PACKAGE / paper / "section.md").read_text(encoding="utf-8")
    for tier in TIERS:
        asked = PlannedRuns(paper, tier)
        fill(text, asked, "section.md")
        assert asked.printed <= asked.planned, f"{tier}: the text would say 'not measured at this tier'; put it behind measured()"
        assert asked.guards <= everywhere, "a guard names a run that no tier has, so its text never shows"
