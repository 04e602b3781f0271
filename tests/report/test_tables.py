"""Published tables beside ours: what is left out, what is said instead, and how a wide one is cut for paper."""

import re
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from replications.registry.papers import load_papers
from report.build import write_report
from report.content import Report
from report.pdf import table_bands
from report.run_tables import Cell, TableContent
from tests.report.conftest import PAPER


def built(results: Path, out: Path, stamp: datetime) -> tuple[Report, str]:
    report = write_report("gpu", "runs", results, results, load_papers(), out, stamp)
    return report, (out / f"{PAPER}.html").read_text(encoding="utf-8")


def table_2(report: Report) -> TableContent:
    return next(table for table in report.papers[0].tables if table.name == "table-2")


def test_columns_without_a_number_are_left_out_and_named(results: Path, tmp_path: Path, stamp: datetime) -> None:
    report, page = built(results, tmp_path / "out", stamp)
    table = table_2(report)
    # The reprint gives an error alone, and no run of ours measures oil.
    assert table.groups == (("test error, %", 3), ("looks", 2), ("oil, ml", 1))
    assert table.columns == ("v1", "reprint", "ours", "v1", "ours", "v1")
    assert [cell.text for cell in table.rows[0][1]][1::4] == ["1.30", "30"]
    assert table.note.startswith("Not measured here: oil.")
    html = page[page.index('id="table-table-2"') :]
    assert re.findall(r'colspan="(\d)"', html[: html.index("</table>")]) == ["3", "2", "1"]


def test_a_run_that_should_have_measured_keeps_its_hole(results: Path, tmp_path: Path, stamp: datetime) -> None:
    shutil.rmtree(results / PAPER / "looks-6")
    table = table_2(built(results, tmp_path / "out", stamp)[0])
    assert table.columns.count("ours") == 3
    assert [cell.detail for cell in table.rows[0][1] if cell.kind == "ours"] == ["missing"] * 3


@pytest.mark.parametrize(("n_measures", "bands"), [(1, [1]), (3, [3]), (4, [2, 2]), (9, [3, 3, 3]), (10, [3, 3, 3, 1])])
def test_a_wide_table_is_cut_between_measures(n_measures: int, bands: list[int]) -> None:
    cells = tuple(Cell(str(i), kind="published" if i % 2 == 0 else "ours") for i in range(2 * n_measures))
    empty = tuple(Cell("1") if i == 0 else Cell("") for i in range(2 * n_measures))
    table = TableContent(
        name="wide",
        title="",
        location="",
        note="",
        columns=("v1", "ours") * n_measures,
        groups=tuple((f"measure {i}", 2) for i in range(n_measures)),
        rows=(("whole", cells), ("first alone", empty)),
        files={},
    )
    cut = table_bands(table)
    assert [len(band["groups"]) for band in cut] == bands
    assert [cell["text"] for band in cut for cell in band["rows"][0]["cells"]] == [str(i) for i in range(2 * n_measures)]
    assert [len(band["rows"]) for band in cut] == [2] + [1] * (len(bands) - 1)
