"""Citations of the suite, of papers, claims, tables, figures and exhibits, with the evidence they rest on: BibTeX and a plain sentence.

`presentation.reference_formats` writes the same as RIS and CSL-JSON.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from replications.errors import InputError, nearest
from replications.files import replacing
from replications.paths import ROOT
from replications.presentation.answers import judged_statement, stand_in
from replications.presentation.judging import judge_paper
from replications.presentation.latex import escape
from replications.presentation.metadata import read_metadata
from replications.presentation.verdict_log import history, history_sentence
from replications.registry.outputs import METADATA_KIND
from replications.registry.papers import Citation
from replications.registry.run_grid import seeds_label
from replications.registry.yaml_models import read_yaml
from replications.results.reader import Results
from replications.source_code import public_functions
from replications.verdicts.quantity import number, span
from replications.verdicts.verdict import Verdict


@dataclass(frozen=True)
class Cited:
    """One thing to cite.

    Attributes:
        key: stable identifier.
        bibtex: BibTeX entry.
        sentence: the same for people.
        kind: inproceedings, article or misc for published works; software for the suite, dataset for its results.
        fields: BibTeX's fields as plain text.
    """

    key: str
    bibtex: str
    sentence: str
    kind: str = "misc"
    fields: dict[str, str] = field(default_factory=dict)


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", plain.lower())


def _surname(author: str) -> str:
    return author.partition(",")[0] if "," in author else author.rpartition(" ")[2]


def key_of(citation: Citation) -> str:
    """Return the BibTeX key of a work: surname of the first author, year, first long word of the title, as in 'mnih2014recurrent'.

    Args:
        citation: the work.

    Returns:
        Lower-case letters and digits.
    """
    words = [_ascii(word) for word in re.split(r"[\s:-]+", citation.title)]
    long = next((word for word in words if len(word) > 3), next(iter(words), ""))
    return f"{_ascii(_surname(citation.authors[0]))}{citation.year}{long}"


def entry(kind: str, key: str, fields: dict[str, str]) -> str:
    """Return one BibTeX entry. Values are plain text and are escaped here; empty ones are left out; titles keep their capitals.

    Authors are joined by ' and '; an organisation stands in braces, or BibTeX would take it for a person.

    Args:
        kind: type of the entry, for example 'misc'.
        key: its key.
        fields: field -> plain text.

    Returns:
        The entry without a line break at its end.
    """
    lines = [f"@{kind}{{{key},"]
    for name, value in fields.items():
        if value:
            text = value if name in {"url", "eprint", "doi"} else escape(value)
            if name == "author":
                text = " and ".join(f"{{{escape(who[1:-1])}}}" if who.startswith("{") else escape(who) for who in value.split(" and "))
            lines.append(f"  {name} = {{{{{text}}}}}," if name == "title" else f"  {name} = {{{text}}},")
    return "\n".join([*lines, "}"])


def cite_paper(citation: Citation) -> Cited:
    """Return the citation of a published work.

    Args:
        citation: the work.

    Returns:
        Key, BibTeX entry and sentence.
    """
    venue = {"inproceedings": "booktitle", "article": "journal", "misc": "howpublished"}[citation.kind]
    fields = {
        "author": " and ".join(citation.authors),
        "title": citation.title,
        venue: citation.venue,
        "year": str(citation.year),
        "eprint": citation.arxiv or "",
        "archiveprefix": "arXiv" if citation.arxiv else "",
        "url": citation.url or "",
    }
    where = f"{citation.venue}, {citation.year}" + (f", arXiv:{citation.arxiv}" if citation.arxiv else "")
    key = key_of(citation)
    sentence = f"{by_name(citation.authors)}. {citation.title}. {where}."
    return Cited(key, entry(citation.kind, key, fields), sentence, citation.kind, fields)


def by_name(authors: Sequence[str]) -> str:
    """Return authors as one reads them, whether written `Ada Okafor` or `Okafor, Ada`.

    Args:
        authors: names in order; a last one called 'others' stands for those that are not named.

    Returns:
        Names with the surname last, the last one joined by 'and'.
    """
    names = [" ".join(reversed(author.split(", ", 1))) for author in authors]
    if names[-1] == "others":
        return ", ".join([*names[:-1], "et al."]).removesuffix(".")
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


def in_order(works: Mapping[str, Citation]) -> list[tuple[str, Citation]]:
    """Return works as a bibliography lists them: by the surname of the first author, then year and title.

    Args:
        works: key -> work, in any order.

    Returns:
        The same keys and works.
    """
    return sorted(works.items(), key=lambda item: (_ascii(_surname(item[1].authors[0])), item[1].year, item[1].title))


def short_citation(citation: Citation) -> str:
    """Return authors and year, for example 'Mnih et al. (2014)'.

    Args:
        citation: the work.

    Returns:
        Text for a sentence.
    """
    several = " et al." if len(citation.authors) > 2 else ""
    first = _surname(citation.authors[0])
    pair = f" and {_surname(citation.authors[1])}" if len(citation.authors) == 2 else ""
    return f"{first}{several}{pair} ({citation.year})"


@cache
def citation_file() -> dict[str, Any]:
    """The suite's `CITATION.cff`; the least of it where the suite was installed without."""
    path = ROOT / "CITATION.cff"
    least = {"cff-version": "1.2.0", "title": "Replications", "authors": [{"name": "The Replications authors"}], "license": "MIT"}
    return least | (read_yaml(path) if path.is_file() else {})


def suite() -> dict[str, str]:
    """Author (as BibTeX and as people write it), title, version, licence and address of this suite, from CITATION.cff."""
    content = citation_file()
    people = []
    for author in content["authors"]:
        parts = [author.get("family-names", ""), author.get("given-names", "")]
        people.append(f"{{{author['name']}}}" if "name" in author else ", ".join(part for part in parts if part))
    return {
        "author": " and ".join(people),
        "authors": ", ".join(person.strip("{}") for person in people),
        "title": str(content["title"]),
        "version": str(content.get("version", "")),
        "licence": str(content["license"]),
        "url": str(content.get("repository-code", content.get("url", ""))),
        "year": str(content.get("date-released", ""))[:4],
    }


def cite_suite() -> Cited:
    """Return the citation of this suite.

    Returns:
        Key, BibTeX entry and sentence, from CITATION.cff.
    """
    ours = suite()
    fields = {
        "author": ours["author"],
        "title": ours["title"],
        "howpublished": f"Software, version {ours['version']}" if ours["version"] else "Software",
        "year": ours["year"],
        "note": f"{ours['licence']} licence",
        "url": ours["url"],
    }
    sentence = f"{ours['authors']}. {ours['title']} {fields['howpublished']}, {ours['year']}. {ours['url']}"
    return Cited(SUITE, entry("misc", SUITE, fields), sentence.rstrip(), "software", fields)


SUITE = "replications"
"""Id and key of the suite itself."""


@dataclass(frozen=True)
class Origin:
    """Origin of a set of runs, over all of their chunks; every list without repeats, sorted."""

    commits: tuple[str, ...]
    settings: tuple[str, ...]
    seeds: str
    data: tuple[str, ...]
    date: str

    def text(self) -> str:
        """Everything, in one line."""
        commits = ", ".join(self.commits)
        parts = [
            f"commit{'s' if len(self.commits) > 1 else ''} {commits}" if commits else "",
            f"settings {', '.join(self.settings)}" if self.settings else "",
            f"seeds {self.seeds}" if self.seeds else "",
            f"data {', '.join(self.data)}" if self.data else "",
            f"finished {self.date}" if self.date else "",
        ]
        return "; ".join(part for part in parts if part)

    def digest(self) -> str:
        """Hash of `text`, 12 hexadecimal digits: equal for equal commits, settings, seeds, data and date; empty without any."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:12] if self.text() else ""

    def short(self) -> str:
        """What a note holds: commit, seeds and date for people, and one digest of everything."""
        several = f"{len(self.commits)} commits" if len(self.commits) > 1 else f"commit {''.join(self.commits)}"
        parts = [
            several if self.commits else "",
            f"seeds {self.seeds}" if self.seeds else "",
            f"finished {self.date}" if self.date else "",
            f"provenance {self.digest()}" if self.digest() else "",
        ]
        return "; ".join(part for part in parts if part)


def origin_of(results: Results, runs: Iterable[str]) -> Origin:
    """Return the provenance of the finished chunks of some runs.

    Args:
        results: results of the paper.
        runs: names of runs.

    Returns:
        Commits, digests of settings, seeds, data and the newest date of these chunks.
    """
    cited = [chunk for run in runs for chunk in results.stored.chunks(run)]
    stored = [chunk.provenance for chunk in cited]
    seeds = sorted({int(seed) for provenance in stored for seed in provenance.get("seeds", [])})
    whole = bool(seeds) and seeds == list(range(seeds[0], seeds[-1] + 1))
    listed = (seeds_label(tuple(seeds)) if len(seeds) > 1 else str(seeds[0])) if whole else ", ".join(map(str, seeds))
    prints = {(name, str(note.get("fingerprint", ""))[:12]) for provenance in stored for name, note in provenance.get("data", {}).items()}
    dates = [str(provenance["ended"])[:10] for provenance in stored if provenance.get("ended")]
    commits = {chunk.commit[:12] + ("+edits" if chunk.provenance.get("dirty") else "") for chunk in cited}
    return Origin(
        commits=tuple(sorted(commits)),
        settings=tuple(sorted({str(provenance["settings_digest"]) for provenance in stored if provenance.get("settings_digest")})),
        seeds=listed,
        data=tuple(f"{name}={fingerprint}" for name, fingerprint in sorted(prints)),
        date=max(dates, default=""),
    )


def _ours(results: Results, name: str, what: str, runs: Iterable[str], finding: str = "", tier: str = "") -> Cited:
    """Return the citation of one of our results, with verdict and provenance in the note."""
    ours = suite()
    results = results.of_tier(tier or results.tier)
    origin = origin_of(results, runs)
    key = f"{SUITE}-{results.paper.name}.{name}"
    subject = short_citation(results.paper.citation)
    note = ". ".join(part for part in (finding, f"Tier {results.tier}", origin.short()) if part)
    version = f", version {ours['version']}" if ours["version"] else ""
    fields = {
        "author": ours["author"],
        "title": f"{what}. Replication of {subject}",
        "howpublished": f"{ours['title']}{version}, {results.paper.name}.{name}",
        "year": origin.date[:4] or ours["year"],
        "note": note,
        "url": ours["url"],
    }
    made = origin.date or "not run yet"
    sentence = f"{ours['authors']}. {fields['title']} ({fields['howpublished']}; {made}). {note}."
    return Cited(key, entry("misc", key, fields), sentence, "dataset", fields)


def cite_verdict(verdict: Verdict, results: Results, promoted: str) -> Cited:
    """Return the citation of a claim with its verdict.

    The title says both, and that of a stand-in its bound, so that nobody can cite a claim by us as if it held.

    Args:
        verdict: the verdict.
        results: results of the paper that the claim is of.
        promoted: its rows in the log of verdicts, in a sentence; empty where it has none.

    Returns:
        Key, BibTeX entry and sentence; the provenance is in the note.
    """
    interval = f" ({span(verdict.low, verdict.high, verdict.unit)})" if verdict.low is not None and verdict.high is not None else ""
    measured = "" if verdict.ours is None else f"ours {number(verdict.ours, verdict.unit)}{interval}"
    published = "" if verdict.published is None else f"published {number(verdict.published, verdict.unit)}"
    seeds = f"{verdict.seeds_finished} of {verdict.seeds_planned} planned seeds"
    claim = results.paper.claim(verdict.id.partition(".")[2])
    proxy = stand_in(verdict, claim.margin_reason(verdict.tier))
    numbers = ", ".join(part for part in (published, measured, seeds) if part)
    beside = [sentence.rstrip(".") for sentence in (proxy, *verdict.said_beside, promoted) if sentence]
    finding = ". ".join([numbers[:1].upper() + numbers[1:], *beside])
    what = f"{judged_statement(verdict)}: {verdict.verdict}"
    return _ours(results, verdict.id.partition(".")[2], what, verdict.runs, finding, verdict.tier)


def cite_table(name: str, results: Results) -> Cited:
    """Return the citation of a published table beside ours.

    Args:
        name: key of the table in `paper.yaml`.
        results: results of the paper.

    Returns:
        Key, BibTeX entry and sentence; the provenance is in the note.
    """
    table = results.table(name)
    runs = dict.fromkeys(row.run for row in table.rows if row.run)
    return _ours(results, name, f"{table.title} ({table.location}) beside our runs", runs)


def cite_drawing(kind: str, name: str, results: Results, runs: Iterable[str], tier: str = "", title: str = "") -> Cited:
    """Return the citation of a figure or an exhibit, resting on the runs that its metadata names.

    Args:
        kind: 'figure' or 'exhibit'.
        name: its id without the paper's name.
        results: results of the paper.
        runs: names of the runs that it shows.
        tier: tier that it shows; empty: that of the results.
        title: as the report shows it; empty: the name in words.

    Returns:
        Key, BibTeX entry and sentence; the provenance is in the note.
    """
    shown = title.rstrip(".") or name.replace("_", " ").capitalize()
    return _ours(results, name, f"{shown} ({kind})", runs, tier=tier)


def cite(name: str, results: Results, derived: Path) -> Cited:
    """Return the citation of an id: `<paper>`, or `<paper>.` and a claim, a table, a figure or an exhibit.

    Args:
        name: the id.
        results: results of the paper that the id belongs to.
        derived: folder with `<paper>/{figures,exhibits}/`, whose metadata says which runs are drawn.

    Returns:
        Key, BibTeX entry and sentence.

    Raises:
        InputError: no such id, with the nearest one; or a figure or exhibit that is not drawn.
    """
    paper = results.paper
    _, _, part = name.partition(".")
    if not part:
        return cite_paper(paper.citation)
    if part in [claim.id for claim in paper.claims]:
        verdict = next(verdict for verdict in judge_paper(results) if verdict.id == f"{paper.name}.{part}")
        return cite_verdict(
            verdict, results, history_sentence(history(results.folder).get((verdict.tier, verdict.id), ()), verdict.quantity)
        )
    if part in paper.tables:
        return cite_table(part, results)
    drawings = {kind: public_functions(paper.folder / f"{kind}s.py") for kind in ("figure", "exhibit")}
    for kind, names in drawings.items():
        if part in names:
            path = derived / paper.name / f"{kind}s" / f"{part}.{METADATA_KIND}"
            if not path.is_file():
                raise InputError(f"{name} is not drawn yet: there is no {path}. Draw it with `make report` of that tier or source first.")
            metadata = read_metadata(path)
            return cite_drawing(kind, part, results, metadata.runs, metadata.tier, metadata.title)
    known = [*(claim.id for claim in paper.claims), *paper.tables, *drawings["figure"], *drawings["exhibit"]]
    raise InputError(f"{paper.name} has nothing called '{part}'. {nearest(part, known)}")


def write_bibliography(path: Path, cited: Iterable[Cited]) -> None:
    """Write `citations.bib`, in which every key stands once.

    Args:
        path: file to write.
        cited: citations; equal ones are written once.

    Raises:
        InputError: two different entries share a key.
    """
    entries: dict[str, str] = {}
    for item in cited:
        if entries.setdefault(item.key, item.bibtex) != item.bibtex:
            raise InputError(f"Two different works have the BibTeX key '{item.key}'. Correct the title or year of one of them.")
    with replacing(path) as temporary:
        temporary.write_text("\n\n".join(entries.values()) + "\n", encoding="utf-8")
