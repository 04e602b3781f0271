"""Every exhibit names a figure of its paper, whose small picture stands for it on the opening page."""

import ast

import pytest

from replications.paths import PAPERS
from replications.registry.papers import paper_names
from replications.source_code import public_functions


@pytest.mark.parametrize("paper", paper_names())
def test_every_exhibit_names_a_figure_of_its_paper(paper: str) -> None:
    path = PAPERS / paper / "exhibits.py"
    if not path.is_file():
        return
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Exhibit"]
    named = [keyword.value for call in made for keyword in call.keywords if keyword.arg == "figure"]
    assert len(named) == len(made) == len(public_functions(path))
    figures = public_functions(PAPERS / paper / "figures.py")
    assert all(isinstance(value, ast.Constant) and value.value in figures for value in named)


@pytest.mark.parametrize("paper", paper_names())
def test_every_exhibit_has_a_body_in_which_the_report_puts_the_way_back(paper: str) -> None:
    for path in (PAPERS / paper / "exhibits").glob("*.html"):
        assert path.read_text(encoding="utf-8").count("<body>") == 1, path.name
