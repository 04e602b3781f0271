"""The report as a Workflow Run RO-Crate: the workflow, what it read, what it made, with which software, by whom, after which papers.

RO-Crate 1.1, with the profiles Workflow RO-Crate 1.0 and Process and Workflow Run Crate 0.5. Every identifier is derived
from what it stands for, so that two builds are equal.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from rocrate.model import ContextEntity, Entity
from rocrate.rocrate import ROCrate

from replications.presentation.citations import by_name, citation_file
from replications.registry.papers import Citation
from replications.registry.schema import TIERS
from report.bibliography import TITLE
from report.content import Report
from report.exports import LOCK, README, Part
from report.run_tables import DataNote

NAME = "ro-crate-metadata.json"
WORKFLOW = "workflow/Snakefile"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
BIOSCHEMAS = "https://bioschemas.org/profiles"
RESULTS = {
    "claims": "Every claim with its verdict.",
    "table": "A published table beside our runs.",
    "figure": "A figure, or the numbers that it draws.",
    "exhibit": "An interactive page.",
    "report": "The report itself.",
}
"""Kinds of parts that the run made, and what they are."""

# Not `mimetypes`: it reads the machine's own tables, and two builds must be equal everywhere.
FORMATS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".csv": "text/csv",
    ".tex": "application/x-tex",
    ".md": "text/markdown",
    ".bib": "application/x-bibtex",
    ".ris": "application/x-research-info-systems",
    ".cff": "application/yaml",
    ".yaml": "application/yaml",
    ".json": "application/json",
    ".rst": "text/x-rst",
    ".zip": "application/zip",
}


def metadata(report: Report, content: Sequence[Part], out: Path) -> str:
    """Return `ro-crate-metadata.json` of a crate that holds these parts of the report.

    Args:
        report: the content of the report.
        content: files of the crate.
        out: folder of the report, which the parts' paths are relative to.

    Returns:
        JSON-LD.
    """
    return _Builder(report).build(content, out)


class _Builder:
    """One crate, filled from the outside in."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.crate = ROCrate(version="1.1")
        self.origins = [origin for paper in report.papers for origin in paper.origins]
        self.suite = citation_file()

    def add(self, identifier: str, kind: str, /, **properties: Any) -> Entity:
        """A contextual entity, once; properties without a value are left out."""
        known = self.crate.get(identifier)
        if known is not None:
            return known
        return self.crate.add(ContextEntity(self.crate, identifier, properties={"@type": kind} | _said(properties)))

    def build(self, content: Sequence[Part], out: Path) -> str:
        authors = [self.author(author) for author in self.suite["authors"]]
        licence = self.add(f"https://spdx.org/licenses/{self.suite['license']}", "CreativeWork", name=str(self.suite["license"]))
        self.root(authors, licence)
        kinds = {part.kind for part in content}
        outputs = {kind: self.parameter(kind, "File", words) for kind, words in RESULTS.items() if kind in kinds}
        files = {part.path: self.file(part, out, outputs) for part in content if part.path != WORKFLOW}
        workflow = self.workflow(authors, licence, list(outputs.values()))
        made = [files[part.path] for part in content if part.kind in {*RESULTS, "page"}]
        self.crate.root_dataset["mentions"] = self.run(workflow, authors, made)
        return json.dumps(self.crate.metadata.generate(), indent=2, ensure_ascii=False) + "\n"

    def author(self, author: dict[str, Any]) -> Entity:
        """A person or an organisation of CITATION.cff."""
        name = author.get("name") or " ".join(filter(None, (author.get("given-names"), author.get("family-names"))))
        kind = "Organization" if "name" in author else "Person"
        return self.add(str(author.get("orcid") or author.get("website") or f"#{_slug(kind, name)}"), kind, name=name)

    def root(self, authors: list[Entity], licence: Entity) -> None:
        """Describe the crate as a whole."""
        tier, root = self.report.tier, self.crate.root_dataset
        papers = ", ".join(paper.spec.short for paper in self.report.papers)
        root["name"] = f"{TITLE}, tier {tier}"
        root["description"] = f"Published results beside our own, judged by registered rules. Papers: {papers}. Tier: {tier}."
        root["datePublished"] = self.report.stamp.isoformat()
        root["publisher"], root["license"] = authors[0], licence
        cited = [work for paper in self.report.papers for work in (paper.spec.citation, *paper.spec.cites.values())]
        lists = {
            "author": authors,
            "keywords": [str(word) for word in self.suite.get("keywords", ())],
            "isBasedOn": [self.work(paper.spec.citation) for paper in self.report.papers],
            "citation": list({work.id: work for work in map(self.work, cited)}.values()),
        }
        for name, values in _said(lists).items():
            root[name] = values
        root["conformsTo"] = [self.add(url, "CreativeWork", name=name, version=number) for url, (name, number) in PROFILES.items()]
        self.crate.metadata["conformsTo"] = [{"@id": self.crate.metadata.profile}, {"@id": list(PROFILES)[-1]}]

    def work(self, citation: Citation) -> Entity:
        """A published work."""
        preprint = f"https://arxiv.org/abs/{citation.arxiv}" if citation.arxiv else ""
        return self.add(
            citation.url or preprint or f"#{_slug('work', citation.title)}",
            "ScholarlyArticle",
            name=citation.title,
            author=[by_name([author]) for author in citation.authors],
            datePublished=str(citation.year),
            identifier=f"arXiv:{citation.arxiv}" if citation.arxiv else "",
            isPartOf=self.add(f"#{_slug('venue', citation.venue)}", "CreativeWork", name=citation.venue),
        )

    def parameter(self, name: str, kind: str, description: str) -> Entity:
        """A formal input or output of the workflow."""
        return self.add(
            f"#parameter-{name}",
            "FormalParameter",
            name=name,
            additionalType=kind,
            description=description,
            conformsTo={"@id": f"{BIOSCHEMAS}/FormalParameter/1.0-RELEASE"},
        )

    def file(self, part: Part, out: Path, outputs: dict[str, Entity]) -> Entity:
        """One file of the crate."""
        path = out / part.path
        properties: dict[str, Any] = {
            "name": part.name,
            "description": part.about,
            "encodingFormat": FORMATS.get(PurePosixPath(part.path).suffix, "text/plain"),
            "contentSize": str(path.stat().st_size) if path.is_file() else "",
            "exampleOfWork": outputs.get(part.kind),
        }
        if part.path == README:
            properties["about"] = self.crate.root_dataset
        return self.crate.add_file(dest_path=part.path, properties=_said(properties))

    def workflow(self, authors: list[Entity], licence: Entity, outputs: list[Entity]) -> Entity:
        """The main entity: Snakemake's file, what goes in and comes out, and the software it ran with."""
        packages = {package for origin in self.origins for package in origin.packages}
        lock = self.crate.get(LOCK)
        versions = sorted(version for name, version in packages if name == "snakemake")
        workflow = self.crate.add_workflow(
            dest_path=WORKFLOW,
            main=True,
            lang="snakemake",
            lang_version=", ".join(versions) or None,
            properties={
                "name": str(self.suite["title"]),
                "description": str(self.suite.get("abstract", "")),
                "version": str(self.suite.get("version", "")) or self.report.commit,
                "identifier": f"commit {self.report.commit or 'unknown'}",
                "url": str(self.suite.get("repository-code") or self.suite.get("url") or WORKFLOW),
                "dateCreated": self.report.stamp.isoformat(),
                "encodingFormat": "text/plain",
                "conformsTo": {"@id": f"{BIOSCHEMAS}/ComputationalWorkflow/1.0-RELEASE"},
                "publisher": authors[0],
                "sdPublisher": authors[0],
                "license": licence,
            }
            | _said({"creator": authors, "author": authors}),
        )
        workflow["input"] = [
            self.parameter("tier", "Text", f"How much compute: {', '.join(TIERS)}."),
            self.parameter("source", "Text", "runs, or reference for committed results."),
            self.parameter("papers", "Text", "The papers that are replicated."),
        ]
        lists = {
            "output": outputs,
            "hasPart": [entity for entity in self.crate.get_entities() if entity.id.startswith("workflow/rules/")],
            "softwareRequirements": [*(self.package(*package) for package in sorted(packages)), *([lock] if lock else [])],
        }
        for name, values in _said(lists).items():
            workflow[name] = values
        return workflow

    def package(self, name: str, version: str) -> Entity:
        """A package that can move a number, in the version of the run."""
        home = _home_page(name)
        identifier = f"{home}#{_slug(name, version)}" if home else f"#{_slug('package', name, version)}"
        return self.add(identifier, "SoftwareApplication", name=name, softwareVersion=version, url=home)

    def run(self, workflow: Entity, authors: list[Entity], made: list[Entity]) -> Entity:
        """Describe the run: when, from what, to what end."""
        report, origins = self.report, self.origins
        finished, planned = (sum(getattr(paper, key) for paper in report.papers) for key in ("finished_runs", "planned_runs"))
        facts = "; ".join(
            f"{name} {', '.join(found)}"
            for name, found in (
                ("commits", _distinct(origin.commit + (" with changes" if origin.dirty else "") for origin in origins)),
                ("digest of the lock", _distinct(origin.lock for origin in origins)),
                ("devices", _distinct(origin.device for origin in origins)),
            )
            if found
        )
        notes = {(note.name, note.fingerprint): note for origin in origins for note in origin.sources}
        values = {"tier": report.tier, "source": report.source, "papers": ", ".join(paper.name for paper in report.papers)}
        given = [
            self.add(f"#value-{name}", "PropertyValue", name=name, value=value, exampleOfWork=self.crate.get(f"#parameter-{name}"))
            for name, value in values.items()
        ]
        return self.add(
            "#run",
            "CreateAction",
            name=f"Replication of {len(report.papers)} papers at tier {report.tier}",
            description=f"{finished} of {planned} runs finished" + (f"; {facts}." if facts else "."),
            instrument=workflow,
            agent=authors[0],
            startTime=min((origin.started for origin in origins if origin.started), default=""),
            endTime=max((origin.ended for origin in origins if origin.ended), default=report.stamp.isoformat()),
            actionStatus=f"http://schema.org/{'Completed' if finished == planned else 'Failed'}ActionStatus",
            error="" if finished == planned else f"{planned - finished} of {planned} runs are not finished.",
            object=[*given, *(self.data(note) for _, note in sorted(notes.items()))],
            result=made,
        )

    def data(self, note: DataNote) -> Entity:
        """One split of a data set: what it is known by, and under which licence it comes."""
        about = [f"{note.rows} examples" if note.rows else "", f"from: {note.origin}" if note.origin else ""]
        about.append(f"verified: {note.verified}" if note.verified else "")
        key = _slug("data", note.name, note.fingerprint)
        return self.add(
            f"#{key}",
            "CreativeWork",
            name=note.name,
            description="; ".join(filter(None, about)),
            identifier=self.add(f"#{key}-fingerprint", "PropertyValue", name="fingerprint of the content", value=note.fingerprint),
            license=self.add(f"#{_slug('licence', note.licence)}", "CreativeWork", name=note.licence) if note.licence else None,
        )


def _slug(*words: str) -> str:
    return "-".join(filter(None, (re.sub(r"[^\w.]+", "-", word).strip("-").lower() for word in words)))


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted({value for value in values if value})


def _said(properties: dict[str, Any]) -> dict[str, Any]:
    """Properties that have a value; a list of one as that one, as RO-Crate wants it."""
    kept = {name: value for name, value in properties.items() if value not in ("", None, [])}
    return {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in kept.items()}


def _home_page(package: str) -> str:
    """Return the home page that a package states; empty where it is not installed or states none."""
    if package == "python":
        return "https://www.python.org/"
    try:
        about = importlib.metadata.metadata(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
    pages = dict(line.split(", ", 1) for line in about.get_all("Project-URL", ()))
    named = next((url for label, url in pages.items() if label.lower() in {"homepage", "home"}), "")
    home = next(iter(about.get_all("Home-page", ())), "")
    return home or named or next((url for label, url in pages.items() if label.lower().startswith("source")), "")
