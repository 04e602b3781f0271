"""The plan of the house: who may import whom, and what starts without torch."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from replications.paths import PACKAGE, PAPERS, ROOT
from replications.registry.papers import paper_names
from replications.registry.run_grid import load_runs
from replications.registry.schema import TIERS
from replications.source_code import import_closure
from report.prose import fill
from report.template_functions import FUNCTIONS

TORCH_FREE = ("figures", "exhibits", "settings")
SOURCES = [path for room in ("replications", "report", "workflow", "documentation") for path in sorted((ROOT / room).rglob("*.py"))]


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
    found = set()
    for parts in ours:
        if parts[:2] == ("replications", "papers") and len(parts) > 2:
            found.add(parts[2])
        elif parts[0] == "replications" and len(parts) > 1 and (PACKAGE / parts[1]).is_dir() and parts[1] != "papers":
            found.add(parts[1])
        elif parts[0] in ("report", "workflow", "documentation"):
            found.add(parts[0])
    return found


SHOWN = {"registry", "results", "verdicts", "presentation"}
MAY_IMPORT = {
    "registry": {"registry"},
    "results": {"registry", "results"},
    "verdicts": {"registry", "results", "verdicts"},
    "presentation": SHOWN,
    "engine": {"registry", "results", "engine"},
    "commands": {*SHOWN, "engine", "workflow", "commands"},
    "report": {*SHOWN, "report", "workflow"},
    "workflow": {"registry", "results", "workflow"},
    "documentation": {*SHOWN, "commands", "report", "documentation"},
}
"""Which rooms the files of a room may import; the ground floor (errors, files, paths) is open to all."""

FILES = [(room, path) for room in MAY_IMPORT for base in (PACKAGE, ROOT) for path in sorted((base / room).rglob("*.py"))]


@pytest.mark.parametrize(("room", "path"), FILES, ids=lambda value: value if isinstance(value, str) else value.stem)
def test_a_room_imports_what_the_plan_allows(room: str, path: Path) -> None:
    assert rooms(imported(path)) <= MAY_IMPORT[room]


@pytest.mark.parametrize("paper", paper_names())
def test_a_paper_imports_its_own_folder_and_the_shared_rooms(paper: str) -> None:
    trains = {path for name in ("experiment", "bench") for path in import_closure(f"replications.papers.{paper}.{name}")}
    for path in (PAPERS / paper).glob("*.py"):
        allowed = {"registry"} if path.stem == "settings" else {"registry", "results", "verdicts"}
        allowed |= set() if path.stem in TORCH_FREE else {"engine"}
        allowed |= set() if path in trains else {"presentation"}
        assert rooms(imported(path)) <= {*allowed, paper}, path.name


def test_no_two_files_import_each_other() -> None:
    """Neither directly nor in a circle; imports inside functions count."""
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in SOURCES}
    graph = {path: [modules[name] for name in imported(path) if name in modules] for path in SOURCES}
    done: set[Path] = set()

    def visit(path: Path, trail: tuple[Path, ...]) -> None:
        assert path not in trail, " -> ".join(str(step.relative_to(ROOT)) for step in (*trail[trail.index(path) :], path))
        if path not in done:
            for other in graph[path]:
                visit(other, (*trail, path))
            done.add(path)

    for path in graph:
        visit(path, ())


@pytest.mark.parametrize("paper", paper_names())
def test_no_other_file_names_a_paper(paper: str) -> None:
    elsewhere = [path for _, path in FILES] + [*(ROOT / "workflow").rglob("*.smk"), ROOT / "workflow" / "Snakefile"]
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


@pytest.mark.parametrize("path", sorted(PAPERS.glob("*/figures.py")) + sorted(PAPERS.glob("*/exhibits.py")), ids=lambda p: p.parent.name)
def test_figures_read_results_so_that_their_runs_are_known(path: Path) -> None:
    around = [node.lineno for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Attribute) and node.attr == "records"]
    assert not around, f"{path}: use results.select, final or artifacts, which note the run"


def test_what_judges_draws_and_reports_starts_without_torch() -> None:
    modules = ["replications.commands.app", "replications.verdicts.judge", "replications.presentation.theme", "report.command"]
    modules += [
        f"replications.papers.{paper}.{name}" for paper in paper_names() for name in TORCH_FREE if (PAPERS / paper / f"{name}.py").is_file()
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
    assert {"engine/context.py", "engine/checkpoints.py", "engine/datasets.py", "results/provenance.py", "errors.py"} <= closure
    assert "__main__.py" not in closure


@pytest.mark.parametrize("paper", paper_names())
def test_a_paper_brings_every_file_it_promises(paper: str) -> None:
    promised = {"paper.yaml", "runs.yaml", "settings.py", "data.py", "model.py", "experiment.py", "figures.py", "section.md", "__init__.py"}
    assert promised <= {path.name for path in (PAPERS / paper).iterdir()}


@pytest.mark.parametrize("paper", paper_names())
def test_a_paper_tells_what_a_reproducibility_report_does(paper: str) -> None:
    headings = re.findall(r"^## (.+)$", (PAPERS / paper / "section.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {"Question", "Method", "What was easy", "What was difficult"} <= set(headings)
    assert any("esult" in heading or "read it" in heading for heading in headings)


@pytest.mark.parametrize("paper", paper_names())
@pytest.mark.parametrize("tier", TIERS)
def test_a_paper_says_which_data_every_run_loads(paper: str, tier: str) -> None:
    data = importlib.import_module(f"replications.papers.{paper}.data")
    for run in load_runs(paper, tier):
        for source, split in data.needs(run.settings):
            assert source in data.SOURCES
            assert split in source.splits


@pytest.mark.parametrize("paper", paper_names())
@pytest.mark.parametrize("tier", TIERS)
def test_trials_train_what_the_run_trains(paper: str, tier: str) -> None:
    for run in load_runs(paper, tier):
        settings, brief = run.settings, run.settings.for_trial()
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
    text = (PAPERS / paper / "section.md").read_text(encoding="utf-8")
    for tier in (tier for tier in TIERS if load_runs(paper, tier)):
        asked = PlannedRuns(paper, tier)
        fill(text, asked, "section.md")
        assert asked.printed <= asked.planned, f"{tier}: the text would say 'not measured at this tier'; put it behind measured()"
        assert asked.guards <= everywhere, "a guard names a run that no tier has, so its text never shows"


def walk_rows() -> list[tuple[str, list[str]]]:
    """File and functions of every row of the walks in docs/architecture.md."""
    section = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## Three walks")[2].partition("\n## ")[0]
    cells = [line.split("|")[2:4] for line in section.splitlines() if re.match(r"\| \d", line)]
    return [(file.strip(" `"), re.findall(r"`([^`]+)`", functions)) for file, functions in cells]


def defined(path: Path) -> set[str]:
    """Functions and classes of a file, and methods as `Class.method`."""
    body = ast.parse(path.read_bytes()).body
    nested = [(node.name, part) for node in body if isinstance(node, ast.ClassDef) for part in node.body]
    methods = {f"{name}.{part.name}" for name, part in nested if isinstance(part, ast.FunctionDef)}
    return methods | {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


@pytest.mark.parametrize(("file", "functions"), walk_rows())
def test_a_walk_passes_files_and_functions_that_exist(file: str, functions: list[str]) -> None:
    for paper in paper_names() if "<paper>" in file else [""]:
        path = ROOT / file.replace("<paper>", paper)
        assert path.is_file()
        assert set(functions) <= (defined(path) if functions else set())


def test_a_value_a_seed_and_a_figure_are_walked() -> None:
    assert len(walk_rows()) > 30


@pytest.mark.parametrize("module", ["replications", "report"])
def test_every_command_lets_idle_threads_sleep_before_a_library_is_loaded(module: str) -> None:
    check = (
        "import os, sys\n"
        f"sys.argv = ['{module}', '--help']\n"
        "os.environ.pop('OMP_WAIT_POLICY', None)\n"
        f"main = __import__('{module}.__main__', fromlist=['main']).main\n"
        "assert not {'numpy', 'pandas', 'torch'} & set(sys.modules)\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    pass\n"
        "sys.exit(os.environ['OMP_WAIT_POLICY'] != 'PASSIVE')"
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
