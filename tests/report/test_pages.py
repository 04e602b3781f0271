"""The pages open from disk, are well formed, load nothing from outside, and show every text as text."""

import itertools
import re
import shutil
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

from replications.presentation.characteristics_csv import read_characteristics
from replications.presentation.citations import cite
from replications.registry.papers import load_papers
from replications.results.reader import Results
from replications.verdicts.words import WORDS
from report.bibliography import entries
from report.build import write_report
from report.claims import VERDICTS
from report.content import build
from report.verdict_marks import SHAPES

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """Every element with its attributes, text by element, and what is wrong with the nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.faults: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        self.faults += [f"<{tag}> has {name} twice" for name in set(names) if names.count(name) > 1]
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes something else")

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def folder(finished: Path, stamp: datetime, tmp_path_factory: pytest.TempPathFactory) -> Path:

    out = tmp_path_factory.mktemp("report")
    write_report("gpu", "runs", finished, finished, load_papers(), out, stamp)
    return out


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, Page]:
    return {path.name: Page(path.read_text(encoding="utf-8")) for path in folder.glob("*.html")}


def test_there_is_an_opening_page_one_page_per_paper_and_one_on_lectures(pages: dict[str, Page]) -> None:
    assert sorted(pages) == ["index.html", "lantern_reading.html", "statements.html"]


def test_the_simulated_rates_of_every_rule_are_printed(pages: dict[str, Page]) -> None:
    text = "".join(pages["index.html"].text)
    for row in read_characteristics():
        assert row.situation in text


def test_the_adjusted_p_value_of_either_family_stands_in_the_row(pages: dict[str, Page]) -> None:
    text = "".join(pages["lantern_reading.html"].text)
    assert re.search(r"p = [\d.e-]+, (against the claim [\d.e-]+, )?after Holm [\d.e-]+", text)  # six-looks is primary
    assert re.search(r"p = [\d.e-]+, (against the claim [\d.e-]+, )?after false-discovery adjustment [\d.e-]+", text)  # the others are not


def test_every_element_is_closed_in_order(pages: dict[str, Page]) -> None:
    assert {name: page.faults for name, page in pages.items()} == {name: [] for name in pages}


def test_ids_are_unique_within_a_page(pages: dict[str, Page]) -> None:
    for page in pages.values():
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))


def test_nothing_is_loaded_from_outside_and_every_link_leads_somewhere(folder: Path, pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for tag, attributes in page.elements:
            for key in ("href", "src", "data", "srcset", "action", "poster"):
                target = attributes.get(key)
                if target is None or target.startswith("data:"):
                    continue
                parts = urlsplit(target)
                assert not (parts.scheme or parts.netloc) or (tag == "a" and key == "href"), f"{name}: <{tag} {key}={target}>"
                if parts.scheme:
                    continue
                other = pages.get(parts.path or name)
                assert other or (folder / parts.path).is_file(), f"{name}: {target} is missing"
                if parts.fragment and other:
                    assert unquote(parts.fragment) in {a.get("id") for _, a in other.elements}, f"{name}: {target} leads nowhere"


def test_style_and_scripts_load_nothing_from_outside(folder: Path) -> None:
    paths = [path for path in (folder / "assets").iterdir() if path.suffix in (".css", ".js")]
    assert paths
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?://|@import|url\(\s*['\"]?(?!data:)", text), path.name


def test_hostile_text_stays_text(folder: Path, pages: dict[str, Page], hostile: str) -> None:

    for name, page in pages.items():
        assert hostile in "".join(page.text), name
        inline = [attributes for attributes in page.all("script") if "src" not in attributes]
        assert inline == []
        assert "<script>alert" not in (folder / name).read_text(encoding="utf-8")


def test_exhibit_data_cannot_end_its_script(folder: Path) -> None:
    page = Page((folder / "exhibits" / "lantern_reading.looking.html").read_text(encoding="utf-8"))
    assert page.all("b") == []


def test_an_exhibit_has_a_small_picture_on_the_opening_page_and_a_way_back(folder: Path, pages: dict[str, Page]) -> None:
    picture = "assets/lantern_reading.error_by_looks.png"
    assert picture in {attributes["src"] for attributes in pages["index.html"].all("img")}
    with Image.open(folder / picture) as image:
        assert image.width == 480
    exhibit = Page((folder / "exhibits" / "lantern_reading.looking.html").read_text(encoding="utf-8"))
    assert "../lantern_reading.html#exhibit-looking" in {attributes["href"] for attributes in exhibit.all("a")}


def test_exhibits_run_in_a_sandbox_and_have_a_title(pages: dict[str, Page]) -> None:
    frames = pages["lantern_reading.html"].all("iframe")
    assert len(frames) == 1
    assert frames[0]["sandbox"] == "allow-scripts"
    assert "A path of looks" in frames[0]["title"]


def test_every_picture_says_what_it_shows(pages: dict[str, Page]) -> None:
    for page in pages.values():
        for attributes in page.all("img"):
            assert attributes.get("alt")
        for attributes in page.all("svg"):
            assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label")


def test_headings_begin_at_one_and_skip_no_level(pages: dict[str, Page]) -> None:
    for page in pages.values():
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))


def test_every_form_control_has_a_name(pages: dict[str, Page]) -> None:
    for page in pages.values():
        assert all("name" in attributes for tag in ("input", "select") for attributes in page.all(tag))


def test_verdicts_differ_in_colour_shape_and_word() -> None:
    assert len({entry.slug for entry in WORDS.values()}) == len({SHAPES[entry.shape] for entry in WORDS.values()}) == len(WORDS)
    assert set(WORDS) == set(VERDICTS)


def test_every_claim_is_below_its_papers_answer_and_in_both_tables(pages: dict[str, Page]) -> None:
    paper = load_papers()[0]
    tiles = {attributes["href"] for attributes in pages["index.html"].all("a") if "title" in attributes}
    bodies = {name: {attributes.get("id") for attributes in page.all("tbody")} for name, page in pages.items()}
    for claim in paper.claims:
        assert f"#claim-lantern_reading.{claim.id}" in tiles
        assert f"claim-lantern_reading.{claim.id}" in bodies["index.html"]
        assert f"claim-{claim.id}" in bodies["lantern_reading.html"]


def test_copy_buttons_carry_bibtex_and_a_sentence(pages: dict[str, Page]) -> None:
    copied = [attributes["data-copy"] for attributes in pages["lantern_reading.html"].all("button") if "data-copy" in attributes]
    entries = [text for text in copied if text.startswith("@")]
    paper = load_papers()[0]
    parts = [*(claim.id for claim in paper.claims), *paper.tables, "error_by_looks", "looking"]
    keys = sorted(text[text.index("{") + 1 : text.index(",")] for text in entries)
    assert keys == sorted(["durand2014reading", *(f"replications-lantern_reading.{part}" for part in parts)])
    assert len(copied) == 2 * len(entries)


def test_the_report_cites_as_the_command_does(finished: Path, stamp: datetime) -> None:
    paper = load_papers()[0]
    report = build("gpu", "runs", finished, finished, [paper], stamp)
    results = Results.read(paper, "gpu", finished)
    cited = {name: entry for name, entry in entries(report).items() if name.startswith(paper.name) and ".cites." not in name}
    assert len(cited) == 1 + len(paper.claims) + len(paper.tables) + 3
    assert {name: cite(name, results, finished) for name in cited} == cited


def test_the_bibliography_holds_everything_once(folder: Path, finished: Path, stamp: datetime) -> None:
    keys = re.findall(r"^@\w+\{(.+),$", (folder / "citations.bib").read_text(encoding="utf-8"), flags=re.M)
    cited = entries(build("gpu", "runs", finished, finished, load_papers(), stamp))
    assert sorted(keys) == sorted({entry.key for entry in cited.values()})


def test_figures_follow_the_theme_and_lose_scripts_and_styles(folder: Path) -> None:
    text = (folder / "lantern_reading.html").read_text(encoding="utf-8")
    drawing = text[text.index('<svg class="drawing"') : text.index("</svg>", text.index('<svg class="drawing"'))]
    assert "var(--series-1)" in drawing
    assert "var(--ink)" in drawing
    assert "#0072b2" not in drawing.lower()
    assert "<style" not in drawing
    assert "ours &lt;&amp;&gt;" in drawing


def test_smoke_says_in_its_first_words_what_it_cannot_show(finished: Path, stamp: datetime, tmp_path: Path) -> None:

    write_report("smoke", "runs", finished, finished, load_papers(), tmp_path, stamp)
    for path in tmp_path.glob("*.html"):
        text = " ".join("".join(Page(path.read_text(encoding="utf-8")).text).split())
        assert "shows that the machinery works, not that the papers hold" in text[:600]


def test_two_builds_are_equal_byte_for_byte(folder: Path, finished: Path, stamp: datetime, tmp_path: Path) -> None:

    moved = shutil.copytree(finished, tmp_path / "elsewhere")
    write_report("gpu", "runs", moved, moved, load_papers(), tmp_path / "again", stamp)
    first = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    second = {path.relative_to(tmp_path / "again"): path.read_bytes() for path in (tmp_path / "again").rglob("*") if path.is_file()}
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_downloads_are_the_drawn_files_themselves(folder: Path, finished: Path) -> None:
    for kind in ("svg", "pdf", "png", "csv"):
        copied = folder / "files" / "lantern_reading" / "figures" / f"error_by_looks.{kind}"
        assert copied.read_bytes() == (finished / "lantern_reading" / "figures" / f"error_by_looks.{kind}").read_bytes()
