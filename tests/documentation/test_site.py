"""The written pages: links, included parts, commands that they print; and the notebooks, which are executed."""

import json
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from documentation import notebooks
from documentation.build import EXERCISES, GENERATED
from documentation.repository_pages import SHOWN
from replications.commands.app import app
from replications.paths import ROOT
from replications.registry.papers import paper_names
from replications.registry.run_grid import load_runs

DOCS = ROOT / "docs"
WRITTEN = [path for path in sorted(DOCS.rglob("*.md")) if not path.is_relative_to(GENERATED)]
NOTEBOOKS = sorted(EXERCISES.glob("*.ipynb"))
PAGES = {
    *(path.relative_to(DOCS).as_posix() for path in [*WRITTEN, *NOTEBOOKS]),
    *(f"generated/{name}" for name in ("commands.md", "data.md", "settings.md", *SHOWN.values())),
    *(f"generated/papers/{paper}.md" for paper in paper_names()),
    *(f"generated/exercises/{path.stem}.md" for path in NOTEBOOKS),
}
GUIDES = [*WRITTEN, *(ROOT / name for name in (*SHOWN, "README.md"))]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).resolve().relative_to(DOCS).as_posix() in PAGES, target


def test_the_navigation_names_pages_that_exist() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", text, flags=re.MULTILINE))
    assert named
    assert named <= PAGES
    assert {page for page in PAGES if page.endswith(".md") and not page.startswith("generated/papers/")} == named


def test_the_site_loads_nothing_from_elsewhere() -> None:
    theme = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["theme"]
    assert theme["font"] is False


def printed_commands() -> list[tuple[str, str]]:
    """Every command in a guide that begins with `replications`, whether in a block or in a sentence."""
    found = []
    for path in GUIDES:
        text = path.read_text(encoding="utf-8")
        lines = re.findall(r"^ {4}(?:\.venv/bin/)?(replications .+)$", text, flags=re.MULTILINE)
        inline = re.findall(r"`(?:\.venv/bin/)?(replications [a-z][^`]*)`", text)
        found += [(path.name, re.sub(r"\s+#.*$", "", " ".join(line.split()))) for line in [*lines, *inline] if " ... " not in f" {line} "]
    return sorted(set(found))


@pytest.mark.parametrize(("where", "line"), printed_commands())
def test_a_command_that_a_guide_prints_exists_with_its_options(where: str, line: str) -> None:
    """And papers and runs that it names are declared."""
    command, words = typer.main.get_command(app), shlex.split(line)[1:]
    while members := getattr(command, "commands", None):
        assert words[0] in members, f"{where}: no command `{line}`"
        command, words = members[words[0]], words[1:]
    options = {option for parameter in command.params for option in parameter.opts}
    for word in words:
        assert not word.startswith("--") or word.partition("=")[0] in options, f"{where}: `{line}`: {word}"
    if command.name == "run" and words[0] in paper_names():
        tier = words[words.index("--tier") + 1] if "--tier" in words else "smoke"
        assert words[1] in {run.name for run in load_runs(words[0], tier)}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_prints_and_draws(path: Path) -> None:
    outputs = [output for kind, _, output in notebooks.execute(path) if kind == "code"]
    assert any(output[0] for output in outputs)
    assert any(image.startswith(b"\x89PNG") for output in outputs for image in output[1:])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)


def test_a_cell_that_fails_is_named(tmp_path: Path) -> None:
    cells = [{"cell_type": "code", "source": ["x = 1\n", "print(x)"]}, {"cell_type": "code", "source": ["x / 0"]}]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    with pytest.raises(notebooks.NotebookFailed, match="cell 2: ZeroDivisionError"):
        notebooks.execute(tmp_path / "a.ipynb")
