"""The PDF has pages, bookmarks and the text of the content, as text."""

import re
import shutil
import subprocess
import zlib
from datetime import datetime
from pathlib import Path

import pytest

from replications.registry.papers import load_papers
from report.build import write_report


@pytest.fixture(scope="module")
def pdf(finished: Path, stamp: datetime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pdf")
    write_report("gpu", "runs", finished, finished, load_papers(), out, stamp)
    return out / "report.pdf"


def objects(path: Path) -> str:
    """All objects of the file, object streams unpacked."""
    raw = path.read_bytes()
    parts = [raw]
    for match in re.finditer(rb"/Type ?/ObjStm.*?stream\r?\n", raw, re.DOTALL):
        parts.append(zlib.decompressobj().decompress(raw[match.end() :]))
    return b"\n".join(parts).decode("latin-1")


def test_it_has_pages_bookmarks_and_a_title(pdf: Path) -> None:
    text = objects(pdf)
    assert len(re.findall(r"/Type ?/Page\b(?!s)", text)) >= 5
    assert "/Outlines" in text
    assert "/Title" in text


def test_it_holds_no_raster_of_the_figures(pdf: Path) -> None:
    assert "/Subtype/Image" not in objects(pdf).replace(" ", "")


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")
def test_hostile_text_and_verdicts_are_text(pdf: Path) -> None:
    text = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout
    words = " ".join(text.split())
    assert "<script>alert('x')</script>" in words
    assert "#let x = 1" in words
    assert "$x_1^2$ *bold*" in words
    for word in (
        "replicated",
        "exceeded",
        "inconclusive",
        "not tested",
        "Published tables beside ours",
        "How often the rules err",
        "References",
    ):
        assert word in words
    # Punctuation that typesetting could take for its own.
    assert re.search(r"All finished seeds of a run together, on [^;]+; speed is counted over training time alone\.", words)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")
def test_figures_and_tables_are_numbered_and_the_bibliography_is_sorted(pdf: Path) -> None:
    text = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout
    body, _, works = text.rpartition("References")
    for kind in ("Figure", "Table"):
        numbers = [int(number) for number in re.findall(rf"^ *{kind} (\d+)\. ", body, flags=re.M)]
        assert numbers == list(range(1, len(numbers) + 1)) != []
    surnames = re.findall(r"^ *([A-Z][^\W\d_]+), (?:[A-Z]\.)+", works, flags=re.M)
    assert surnames == sorted(surnames) != []
