"""Drawing commands write every figure and exhibit with its metadata, in order, and say so where a tier lacks the runs."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from replications.commands import figures as drawing_commands
from replications.errors import InputError
from replications.presentation import theme
from replications.presentation.exhibits import write_exhibit
from replications.presentation.figure_writer import Figure, write_figure
from replications.presentation.tidy_table import published_and_ours
from replications.registry.papers import load_papers
from replications.results.reader import NotMeasured, Results
from report.build import write_report
from report.command import _stamp
from tests.report.conftest import PAPER


def test_figures_come_with_their_files_and_in_the_order_written(results: Path, tmp_path: Path) -> None:
    drawing_commands.figures(PAPER, tier="gpu", results=results, out=tmp_path)
    assert json.loads((tmp_path / "index.json").read_text()) == ["error_by_looks", "never_measured"]
    for name in ("error_by_looks", "never_measured"):
        assert all((tmp_path / f"{name}.{kind}").stat().st_size for kind in ("svg", "pdf", "png", "csv", "json"))
    never = json.loads((tmp_path / "never_measured.json").read_text())
    assert (never["drawn"], never["runs"]) == (False, [])
    assert json.loads((tmp_path / "error_by_looks.json").read_text())["runs"] == ["looks-4", "looks-6", "looks-8"]


def test_a_figure_rests_on_what_it_reads_unless_it_says_what_it_draws(results: Path, tmp_path: Path) -> None:
    def reads(given: Results) -> Figure:
        figure, _ = theme.canvas()
        return Figure(figure, published_and_ours(given, "table-2"), alt="One run.")

    metadata = write_figure(reads, Results.read(load_papers()[0], "gpu", results), tmp_path)
    assert metadata.runs == ("looks-6",)


def test_every_form_of_a_figure_has_the_size_it_is_printed_at(results: Path) -> None:
    base = results / PAPER / "figures" / "error_by_looks"
    inches = (2 * theme.COLUMN, 2.4)
    with Image.open(base.with_suffix(".png")) as picture:
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert picture.size == tuple(round(300 * side) for side in inches)
    points = tuple(72 * side for side in inches)
    drawn = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', base.with_suffix(".svg").read_text(encoding="utf-8"))
    document = base.with_suffix(".pdf").read_bytes()
    box = re.search(rb"/MediaBox \[ *0 0 ([\d.]+) ([\d.]+) *\]", document)
    assert drawn is not None
    assert box is not None
    assert tuple(map(float, drawn.groups())) == pytest.approx(points)
    assert tuple(map(float, box.groups())) == pytest.approx(points)
    assert b"/Type3" not in document, "journals refuse Type 3 fonts"


def test_figures_are_equal_when_drawn_again(results: Path, tmp_path: Path) -> None:
    drawing_commands.figures(PAPER, tier="gpu", results=results, out=tmp_path)
    for kind in ("svg", "csv", "json", "png", "pdf"):
        first = (results / PAPER / "figures" / f"error_by_looks.{kind}").read_bytes()
        assert (tmp_path / f"error_by_looks.{kind}").read_bytes() == first, kind


def test_one_process_judges_and_draws(results: Path, tmp_path: Path) -> None:
    drawing_commands.present(PAPER, tier="gpu", results=results, out=tmp_path)
    assert (tmp_path / "figures" / "error_by_looks.svg").read_bytes() == (results / PAPER / "figures" / "error_by_looks.svg").read_bytes()
    assert (tmp_path / "claims.csv").read_text().startswith("id,")
    exhibits = tmp_path / "exhibits"
    assert json.loads((exhibits / "index.json").read_text()) == ["looking"]
    metadata = json.loads((exhibits / "looking.json").read_text())
    assert metadata["title"] == "Looking"
    assert metadata["runs"] == ["looks-6"]
    assert metadata["caption"] == "Where the reader looks, step by step."
    assert "\\u003c/script\\u003e" in (exhibits / "looking.html").read_text()


def test_an_exhibit_without_its_runs_is_a_page_that_says_so(results: Path, tmp_path: Path) -> None:
    def absent(read: Results) -> object:
        raise NotMeasured("needs <large>")

    metadata = write_exhibit(absent, Results.read(load_papers()[0], "gpu", results), tmp_path)
    assert metadata.drawn is False
    assert "needs &lt;large&gt;" in (tmp_path / "absent.html").read_text()


@pytest.mark.usefixtures("finished")
def test_a_wrong_tier_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'gpu'"):
        drawing_commands.figures(PAPER, tier="gpus")


def test_a_new_report_leaves_nothing_of_the_last_one(results: Path, tmp_path: Path, stamp: object) -> None:
    write_report("gpu", "runs", results, results, load_papers(), tmp_path, stamp)
    stale = tmp_path / "files" / PAPER / "figures" / "forgotten.svg"
    stale.write_text("old")
    write_report("gpu", "runs", results, results, load_papers(), tmp_path, stamp)
    assert not stale.exists()


def test_a_folder_of_somebody_else_keeps_its_files(results: Path, tmp_path: Path, stamp: object) -> None:
    mine = tmp_path / "files" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    (tmp_path / "index.html").write_text("<p>my page</p>")
    write_report("gpu", "runs", results, results, load_papers(), tmp_path, stamp)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("epoch", ["abc", "-1", "1.5", "0", "1667997441000", "²"])
def test_a_time_of_the_build_that_is_none_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, epoch: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(InputError, match=rf"SOURCE_DATE_EPOCH={epoch} is not a time: .* in the years 1980 to 2107"):
        _stamp()


def test_the_time_of_the_build_is_seconds_since_1970(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1667997441")  # the example of reproducible-builds.org's specification, a day in 2022
    assert _stamp() == datetime(2022, 11, 9, 12, 37, 21, tzinfo=UTC)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "4354819199")
    assert _stamp() == datetime(2107, 12, 31, 23, 59, 59, tzinfo=UTC)
