"""What the site takes from the code says all of it: commands and options, settings, rates, rooms, a paper's claims."""

import csv
import importlib
import inspect
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
import typer

from documentation import architecture, command_reference, data_tables, paper_pages, repository_pages, settings_reference, verdict_tables
from documentation.markdown import table, text
from replications.commands.app import app
from replications.paths import PACKAGE, ROOT
from replications.registry.configuration import Configuration
from replications.registry.papers import load_paper, load_papers, paper_names
from replications.registry.run_grid import load_runs, settings_model
from replications.verdicts.words import WORDS
from report.content import build

COMMAND_PAGE = command_reference.page()
ROOMS = architecture.read_rooms()
SETTINGS_PAGE = settings_reference.page(load_papers())


def functions(group: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every function behind a command that is not hidden, as it was registered."""
    for command in group.registered_commands:
        if not command.hidden and command.callback:
            yield " ".join((*path, command.name or command.callback.__name__.replace("_", "-"))), command.callback
    for member in group.registered_groups:
        if member.typer_instance and not member.hidden:
            yield from functions(member.typer_instance, (*path, str(member.name)))


def entry(name: str) -> str:
    """The part of the page about one command."""
    return re.split(r"^#{2,3} ", COMMAND_PAGE.partition(f" {name} {{ #")[2], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize(("name", "function"), list(functions(app)), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_is_described_with_every_option(name: str, function: Callable[..., Any]) -> None:
    described = entry(name)
    assert described
    summary = (inspect.getdoc(function) or "").partition("\n")[0]
    assert text(summary) in described
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        declared = next(part for part in get_args(parameter.annotation) if hasattr(part, "param_decls"))
        is_option = type(declared).__name__ == "OptionInfo"
        flags = [word for word in (declared.default, *(declared.param_decls or ())) if str(word).startswith("--")]
        shown = [*flags, f"--{parameter.name.replace('_', '-')}"] if is_option else [declared.metavar or parameter.name.upper()]
        assert any(f"`{word}" in described for word in shown), f"{name}: {shown}"


def test_hidden_steps_of_the_workflow_are_not_listed() -> None:
    assert "## exhibits" not in COMMAND_PAGE


@pytest.mark.parametrize("paper", paper_names())
def test_every_setting_of_a_paper_is_listed_with_its_description(paper: str) -> None:
    section = SETTINGS_PAGE.partition(f"## {paper} {{")[2].partition("\n## ")[0]
    for name, field in settings_model(paper).model_fields.items():
        row = next(line for line in section.splitlines() if line.startswith(f"| `{name}` |"))
        assert text(field.description or "") in row


def test_every_key_of_the_configuration_is_listed() -> None:
    for name in Configuration.model_fields:
        assert f"| `{name}` |" in SETTINGS_PAGE


def test_every_simulated_rate_is_printed_and_the_wrong_decision_marked() -> None:
    with (PACKAGE / "verdicts" / "characteristics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = verdict_tables.rates().splitlines()[2:]
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        for name in ("holds", "contradicted", "open"):
            share = f"{100 * float(row[name]):.1f} %"
            assert (f"**{share}**" if name in row["error"].split(" or ") else f"| {share} |") in line


def test_every_word_of_a_verdict_is_explained() -> None:
    words = verdict_tables.words()
    assert all(f"*{word}*" in words for word in WORDS)


def test_the_picture_has_every_room_above_all_that_it_imports() -> None:
    drawing = ET.fromstring(architecture.picture(ROOMS))  # noqa: S314 (made here)
    heights = {
        str(group[1].text): float(group[0].attrib["y"])
        for group in drawing.iter("{http://www.w3.org/2000/svg}g")
        if group[0].tag.endswith("rect")
    }
    assert set(heights) == {path.parent.name for path in PACKAGE.glob("*/__init__.py")} | {"report", "workflow", "documentation"}
    for room in ROOMS:
        assert all(heights[room.name] < heights[other] for other in room.imports), room.name


def test_counted_imports_are_those_that_stand_in_the_files() -> None:
    """Compared with a search of the text, which knows no syntax."""
    for room in ROOMS:
        folder = PACKAGE / room.name if (PACKAGE / room.name).is_dir() else ROOT / room.name
        for other, count in room.imports.items():
            pattern = rf"^\s*(?:from|import) (?:replications\.)?{other}\b|^\s*from replications import .*\b{other}\b"
            assert count == sum(bool(re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)) for path in folder.rglob("*.py"))


def test_an_import_that_a_chain_of_others_implies_is_not_drawn() -> None:
    rooms = [architecture.Room(name, "", 1, dict.fromkeys(uses, 1)) for name, uses in (("a", ""), ("b", "a"), ("c", "ab"))]
    assert architecture.essential(rooms) == [("b", "a"), ("c", "b")]
    assert architecture.levels(rooms) == {"a": 0, "b": 1, "c": 2}


def test_rooms_in_a_circle_are_an_error() -> None:
    rooms = [architecture.Room("a", "", 1, {"b": 1}), architecture.Room("b", "", 1, {"a": 1})]
    with pytest.raises(ValueError, match="circle: a, b"):
        architecture.levels(rooms)


@pytest.mark.slow
def test_a_page_of_a_paper_has_every_claim_with_its_verdict() -> None:
    paper = load_paper("foundations")
    report = build("smoke", "reference", ROOT / "results" / "reference", ROOT / "none", [paper], datetime.now(UTC))
    page = paper_pages.page(report.papers[0])
    assert len(report.papers[0].verdicts) == len(paper.claims)
    for verdict in report.papers[0].verdicts:
        line = next(line for line in page.splitlines() if f'id="claim-{verdict.id.partition(".")[2]}"' in line)
        assert f"| {WORDS[verdict.verdict].symbol} {verdict.verdict}" in line
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors <= set(re.findall(r'id="([^"]+)"', page)), "links of the text lead to rows of the page"
    assert "\ue000" not in page


@pytest.mark.parametrize("name", repository_pages.SHOWN)
def test_links_of_shown_guides_lead_to_the_site_or_to_the_repository(name: str) -> None:
    pages = set(repository_pages.SHOWN.values())
    for target in re.findall(r"\]\(([^)#\s]+)", repository_pages.page(name)):
        assert target.startswith(("https://", "../")) or target in pages, target


def test_text_of_a_cell_cannot_break_its_table() -> None:
    shown = table(["a"], [[text("x | y <b> [z](u) `p | q`")]])
    assert shown.splitlines()[2] == "| x &#124; y &lt;b> \\[z\\](u) `p | q` |"


def test_hours_of_a_data_set_are_those_of_the_runs_that_read_it() -> None:
    """By a plain loop over one paper's tier: every run that declares the data set, one chunk after the other."""
    module = importlib.import_module("replications.papers.recurrent_attention.data")
    runs = [
        run for run in load_runs("recurrent_attention", "cpu") if any(source.name == "mnist" for source, _ in module.needs(run.settings))
    ]
    minutes = 0.0
    for run in runs:
        for _ in run.chunks():
            minutes += run.resources.minutes * run.resources.threads
    row = next(line for line in data_tables.page([load_paper("recurrent_attention")]).splitlines() if "`mnist`" in line and "`cpu`" in line)
    assert row.endswith(f"| {len(runs)} | {minutes / 60:,.2f} core hours |")
