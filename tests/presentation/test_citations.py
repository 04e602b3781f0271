"""Citations have stable keys, escaped fields, and say what a result rests on."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from replications.errors import InputError
from replications.presentation.citations import cite, cite_paper, entry, key_of, origin_of, write_bibliography
from replications.presentation.metadata import DrawingMetadata, write_metadata
from replications.registry.papers import Citation, Paper, load_papers
from replications.registry.run_grid import settings_digest
from replications.results.reader import Results

DIGEST = settings_digest("tea", "lady", {})


def work(**changes: object) -> Citation:
    base = {
        "title": "Recurrent Models of Visual Attention",
        "authors": ["Volodymyr Mnih", "Nicolas Heess", "Alex Graves"],
        "year": 2014,
        "venue": "NIPS & co",
        "arxiv": "1406.6247v1",
    }
    return Citation.model_validate(base | changes)


def balanced(text: str) -> bool:
    plain = re.sub(r"\\[{}]", "", text)
    return plain.count("{") == plain.count("}")


@pytest.fixture
def results(finish: Callable[..., None], make_paper: Callable[..., Paper], read: Callable[..., Results]) -> Results:
    finish("lady", error=[1.3, 1.25, 1.35])
    finish("lady", error=[1.31, 1.2], first=3)
    return read(make_paper())


def test_a_paper_has_a_stable_key_and_escaped_fields() -> None:
    found = cite_paper(work())
    assert found.key == "mnih2014recurrent"
    assert found.bibtex.startswith("@inproceedings{mnih2014recurrent,\n")
    assert "booktitle = {NIPS \\& co}," in found.bibtex
    assert "author = {Volodymyr Mnih and Nicolas Heess and Alex Graves}," in found.bibtex
    assert "title = {{Recurrent Models of Visual Attention}}," in found.bibtex
    assert "eprint = {1406.6247v1}," in found.bibtex
    assert found.sentence.startswith("Volodymyr Mnih, Nicolas Heess and Alex Graves. Recurrent Models")
    assert cite_paper(work(kind="article", venue="PAMI")).bibtex.startswith("@article{mnih2014recurrent,")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"authors": ["Müller-Lüdenscheidt, Jörg"], "title": "On the Übermut of cats"}, "mullerludenscheidt2014ubermut"),
        ({"title": "A B C"}, "mnih2014a"),
        ({"authors": ["OpenAI"], "title": "GPT-4: a report"}, "openai2014report"),
    ],
)
def test_keys_are_plain_ascii(changes: dict[str, object], key: str) -> None:
    assert key_of(work(**changes)) == key


def test_an_organisation_is_no_person() -> None:
    found = entry("misc", "key", {"author": "{Tea & Co} and Müller, Jörg"})
    assert 'author = {{Tea \\& Co} and M{\\"{u}}ller, J{\\"{o}}rg},' in found


def test_a_claim_is_cited_with_verdict_and_origin(results: Results, tmp_path: Path) -> None:
    found = cite("tea.lady-error", results, tmp_path)
    assert found.key == "replications-tea.lady-error"
    note = next(line for line in found.bibtex.splitlines() if line.strip().startswith("note"))
    for part in (
        "Published 1.29 \\%",
        "5 of 5 planned seeds",
        "seeds 0-4",
        "commit c0ffeec0ffee",
    ):
        assert part in note
    full = f"commit c0ffeec0ffee; settings {DIGEST}; seeds 0-4; data cups/test=abcdef012345; finished 2026-01-02"
    assert f"provenance {hashlib.sha256(full.encode()).hexdigest()[:12]}}}" in note
    assert DIGEST not in note, "one digest stands for all"
    assert "year = {2026}" in found.bibtex
    assert "The lady errs in 1.29 % of cups: replicated. Replication of Fisher (1935)" in found.sentence
    assert balanced(found.bibtex)


def test_the_origin_gathers_all_chunks(results: Results) -> None:
    origin = origin_of(results, ["lady", "nobody"])
    assert (origin.seeds, origin.date, origin.settings) == ("0-4", "2026-01-02", (DIGEST,))
    assert origin_of(results, ["nobody"]).text() == ""


def test_papers_and_tables_are_cited_by_id(results: Results, tmp_path: Path) -> None:
    assert cite("tea", results, tmp_path).key == "fisher1935design"
    assert "Cups \\& errors" in cite("tea.cups", results, tmp_path).bibtex


def test_a_figure_is_cited_with_the_runs_that_it_draws_and_no_others(
    results: Results, finish: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    finish("guest", error=[48.0], changes={"settings_digest": "ffff"})
    monkeypatch.setattr(Paper, "folder", tmp_path / "tea")
    (tmp_path / "tea" / "figures.py").write_text("def error_by_cup(results):\n    ...\n\ndef _part(): ...\n", encoding="utf-8")
    (tmp_path / "tea" / "exhibits.py").write_text("def tasting(results):\n    ...\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"not drawn yet: there is no .*error_by_cup\.json"):
        cite("tea.error_by_cup", results, tmp_path)
    titles = {"error_by_cup": "", "tasting": "The lady's cups."}
    for folder, name, runs in (("figures", "error_by_cup", ("guest",)), ("exhibits", "tasting", ("guest", "lady"))):
        metadata = DrawingMetadata(
            id=f"tea.{name}", paper="tea", tier="gpu", title=titles[name], caption="", alt="", drawn=True, why_not="", runs=runs
        )
        write_metadata(tmp_path / "tea" / folder, metadata)
    figure = cite("tea.error_by_cup", results, tmp_path)
    assert figure.key == "replications-tea.error_by_cup"
    assert ". Error by cup (figure). Replication of" in figure.sentence
    assert f"provenance {origin_of(results, ['guest']).digest()}." in figure.sentence
    tasting = cite("tea.tasting", results, tmp_path).sentence
    assert ". The lady's cups (exhibit). Replication of" in tasting
    assert f"provenance {origin_of(results, ['guest', 'lady']).digest()}." in tasting
    with pytest.raises(InputError, match=r"tea has nothing called 'error_by_cups'\. Did you mean 'error_by_cup'"):
        cite("tea.error_by_cups", results, tmp_path)


def test_the_bibliography_holds_every_key_once(tmp_path: Path, results: Results) -> None:
    path = tmp_path / "citations.bib"
    ours = [cite(name, results, tmp_path) for name in ("tea", "tea.lady-error", "tea.cups")]
    write_bibliography(path, [*ours, cite_paper(work()), cite_paper(work())])
    text = path.read_text(encoding="utf-8")
    keys = re.findall(r"^@\w+\{([^,]+),$", text, flags=re.M)
    assert len(keys) == len(set(keys)) == 4
    assert balanced(text)
    with pytest.raises(InputError, match="Two different works have the BibTeX key 'mnih2014recurrent'"):
        write_bibliography(path, [cite_paper(work()), cite_paper(work(venue="ICML"))])
    assert path.read_text(encoding="utf-8") == text


def test_works_that_several_papers_cite_are_cited_alike() -> None:
    works = [work for paper in load_papers() for work in (paper.citation, *paper.cites.values())]
    for name in (key_of, lambda work: work.arxiv):
        for key in {name(work) for work in works} - {None, ""}:
            assert len({work.model_dump_json() for work in works if name(work) == key}) == 1, key
