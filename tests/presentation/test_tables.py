"""Published tables beside ours: every row, marks explained, numbers those of the seeds."""

import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from replications.errors import InputError
from replications.presentation.latex import escape
from replications.presentation.tables import compare, to_latex, to_markdown, write_table
from replications.registry.papers import Paper
from replications.results.reader import Results

LADY = [1.30, 1.25, 1.35]


@pytest.fixture
def results(
    finish: Callable[..., None], make_paper: Callable[..., Paper], read: Callable[..., Results], discovered: None
) -> Callable[..., Results]:
    def at(tier: str = "gpu") -> Results:
        for run, error in (("lady", LADY), ("guest", [48.0]), ("robot", [3.0, math.nan])):
            finish(run, error=error, changes={"tier": tier, "tables": {"cups": make_paper().tables["cups"].digest}})
        return read(make_paper(), tier)

    at()
    return at


def test_numbers_are_the_published_ones_and_the_95_percent_interval_of_ours(results: Callable[..., Results]) -> None:
    found = compare("cups", results()).numbers
    assert found["label"].tolist() == ["Lady_1", "Guest", "Robot"]
    assert found["book_error"].tolist()[:2] == [1.29, 50]
    assert found["seeds_error"].tolist() == [3, 1, 2]
    half = stats.t.ppf(0.975, 2) * np.std(LADY, ddof=1) / math.sqrt(3)
    assert (found["ours_error"][0], found["half_width_error"][0]) == pytest.approx((1.3, half))
    assert found["ours_error"][1] == 48
    assert found[["half_width_error"]].isna().to_numpy().ravel().tolist() == [False, True, True]


def test_marks_are_shown_and_explained(results: Callable[..., Results]) -> None:
    found = compare("cups", results())
    assert found.shown.columns.tolist() == ["", "Book (%)", "Draft (%)", "ours (%)"]
    assert found.shown.iloc[0].tolist() == ["Lady_1", "1.29", "1.50†", "1.30 ± 0.12 (3 seeds)"]
    assert found.shown.iloc[1].tolist() == ["Guest", "50.00", "", "48.00 (1 seed)"]
    assert found.shown.iloc[2].tolist() == ["Robot*", "", "", "1 of 2 seeds not finite"]
    assert any("recalled" in note for note in found.notes)
    assert any("row that we added" in note for note in found.notes)
    assert not any("stand-in" in note for note in found.notes)
    smoke = compare("cups", results("smoke"))
    assert smoke.shown.iloc[0, 3] == "1.30* ± 0.12 (3 seeds)"
    assert any("stand-in" in note for note in smoke.notes)


def test_a_cell_beside_a_published_value_that_was_edited_after_its_run_says_so(
    results: Callable[..., Results],
    paper_content: dict,
    make_paper: Callable[..., Paper],
    read: Callable[..., Results],
    finish: Callable[..., None],
) -> None:
    results()
    finish("guest", error=[48.0])  # of a run that registered nothing
    mine = read(make_paper())
    assert compare("cups", mine).shown["ours (%)"].tolist()[:2] == ["1.30 ± 0.12 (3 seeds)", "48.00‡ (1 seed)"]
    paper_content["tables"]["cups"]["rows"][0]["published"]["book"] = 1.30
    edited = compare("cups", read(make_paper()))
    assert edited.shown["ours (%)"].tolist()[0] == "1.30‡ ± 0.12 (3 seeds)"
    assert any("edited after the run began" in note for note in edited.notes)


def test_what_a_claim_judges_as_published_is_no_stand_in_at_the_smallest_tier(results: Callable[..., Results], paper_content: dict) -> None:
    paper_content["claims"][0]["tiers"]["smoke"] = {"counted": True}
    shown = compare("cups", results("smoke")).shown["ours (%)"]
    assert shown.tolist()[:2] == ["1.30 ± 0.12 (3 seeds)", "48.00* (1 seed)"]


def test_several_measures_have_a_column_each(
    results: Callable[..., Results], paper_content: dict, make_paper: Callable[..., Paper], read: Callable[..., Results]
) -> None:
    table = paper_content["tables"]["cups"]
    table["measures"]["time"] = {"label": "Time", "metric": "seconds", "unit": "s", "better": "lower", "digits": 0}
    table["rows"][0]["published"] = {"book": {"error": 1.29, "time": 30}}
    table["rows"][1]["published"] = {"book": {"error": 50}}
    found = compare("cups", read(make_paper()))
    assert "Book (Time, s)" in found.shown.columns
    assert found.shown["Book (Time, s)"].tolist() == ["30", "", ""]
    assert found.numbers["book_time"].tolist()[0] == 30


def test_columns_in_which_nobody_has_a_number_are_left_out_and_named(
    results: Callable[..., Results], paper_content: dict, make_paper: Callable[..., Paper], read: Callable[..., Results], tmp_path: Path
) -> None:
    table = paper_content["tables"]["cups"]
    table["measures"]["time"] = {"label": "Time", "metric": "seconds", "unit": "s", "better": "lower", "digits": 0}
    table["rows"][0]["published"] = {"book": {"error": 1.29, "time": 30}, "note": {"error": 1.5}}
    table["rows"][1]["published"] = {"book": {"error": 50}}
    found = write_table("cups", read(make_paper()), tmp_path)
    # The draft gives no time, and no run of ours measures one; the numbers keep every column.
    assert found.shown.columns.tolist()[1:] == ["Book (Error, %)", "Draft (Error, %)", "ours (Error, %)", "Book (Time, s)"]
    assert found.notes[0] == "Not measured here: Time."
    assert found.numbers["note_time"].isna().all() and found.numbers["ours_time"].isna().all()
    assert "Draft (Time" not in (tmp_path / "cups.md").read_text() + (tmp_path / "cups.tex").read_text()


def test_a_planned_run_without_records_keeps_its_column(
    paper_content: dict, make_paper: Callable[..., Paper], read: Callable[..., Results], discovered: None
) -> None:
    found = compare("cups", read(make_paper()))
    assert found.shown.columns.tolist()[-1] == "ours (%)"
    assert {absence.value for absence in found.absences} == {"missing"}
    for row in paper_content["tables"]["cups"]["rows"]:
        del row["run"]
    assert compare("cups", read(make_paper())).shown.columns.tolist() == ["", "Book (%)", "Draft (%)"]


def test_three_files_are_written_and_read_back(results: Callable[..., Results], tmp_path: Path) -> None:
    written = write_table("cups", results(), tmp_path / "tables")
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == ["cups.csv", "cups.md", "cups.tex"]
    again = pd.read_csv(tmp_path / "tables" / "cups.csv")
    assert again["ours_error"].tolist()[:2] == pytest.approx(written.numbers["ours_error"].tolist()[:2])
    with pytest.raises(InputError, match="no table 'cup'"):
        write_table("cup", results(), tmp_path)


def test_markdown_has_one_line_per_row_and_equal_columns(results: Callable[..., Results]) -> None:
    lines = [line for line in to_markdown(compare("cups", results())).splitlines() if line.startswith("|")]
    assert len(lines) == 5
    assert {line.count("|") for line in lines} == {5}
    assert r"Robot\*" in lines[-1]


def test_latex_is_escaped_and_balanced(results: Callable[..., Results]) -> None:
    text = to_latex(compare("cups", results()), "tea.cups")
    assert r"Cups \& errors (Table 1, 50 \% of cups)" in text
    assert r"Lady\_1 & 1.29 & 1.50\textsuperscript{\textdagger} & 1.30 $\pm$ 0.12 (3 seeds) \\" in text
    assert text.count(r"\begin") == text.count(r"\end") == 2
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    assert {line.replace(r"\&", "").count("&") for line in body.splitlines() if line.endswith(r"\\")} == {3}


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("50 % & more_or #less $5 {x} ~ ^ \\", r"50 \% \& more\_or \#less \$5 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{}"),
        (
            "Erdős, Müller, Gómez, Øre, Çelik, Ångström",
            r"Erd{\H{o}}s, M{\"{u}}ller, G{\'{o}}mez, {\O}re, {\c{C}}elik, {\r{A}}ngstr{\"{o}}m",
        ),
        ("naïve\n  text", r"na{\"{\i}}ve text"),
        ("a < b", r"a \textless{} b"),
    ],
)
def test_plain_text_becomes_latex_that_prints_it(text: str, latex: str) -> None:
    assert escape(text) == latex


def test_latex_compiles_where_there_is_a_compiler(results: Callable[..., Results], tmp_path: Path) -> None:
    text = to_latex(compare("cups", results()), "tea.cups")
    assert text.isascii()
    if engine := shutil.which("pdflatex"):
        page = rf"\documentclass{{article}}\usepackage{{booktabs}}\usepackage{{textcomp}}\begin{{document}}{text}\end{{document}}"
        (tmp_path / "page.tex").write_text(page, encoding="utf-8")
        subprocess.run([engine, "-interaction=nonstopmode", "-halt-on-error", "page.tex"], cwd=tmp_path, check=True, capture_output=True)
