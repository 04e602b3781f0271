"""Figures and exhibits as the report shows them: their metadata, and which of their files there are."""

from __future__ import annotations

from pathlib import Path

from replications.presentation.metadata import DrawingMetadata, read_folder, title_of
from replications.registry.outputs import EXHIBIT_KINDS, FIGURE_KINDS
from replications.registry.papers import Paper
from replications.source_code import public_functions
from report.results_folder import Problem

KINDS = {"figure": FIGURE_KINDS, "exhibit": EXHIBIT_KINDS}


class FigureContent(DrawingMetadata):
    """A figure or an exhibit: its metadata, and its files by suffix."""

    files: dict[str, Path]


def figures_of(folder: Path, paper: Paper, kind: str, problems: list[Problem]) -> tuple[FigureContent, ...]:
    """Return every figure or exhibit of a paper in the order written; those without metadata come last, as not drawn.

    Args:
        folder: where their files are.
        paper: the paper.
        kind: 'figure' or 'exhibit'.
        problems: gets a note on everything that is missing or damaged.

    Returns:
        Figures or exhibits, drawn or not.
    """
    readable, faults = read_folder(folder)
    problems += [Problem(paper.name, f"{kind}s", fault) for fault in faults]
    contents = [_content(metadata, folder, paper, kind, problems) for metadata in readable]
    for name in public_functions(paper.folder / f"{kind}s.py"):
        if name not in {metadata.name for metadata in readable}:
            problems.append(Problem(paper.name, f"{kind} {name}", "is not drawn; run the pipeline again."))
            contents.append(_not_drawn(name, paper))
    return tuple(contents)


def _content(metadata: DrawingMetadata, folder: Path, paper: Paper, kind: str, problems: list[Problem]) -> FigureContent:
    """Return what the metadata says with the files that exist; note the files that do not."""
    name = metadata.name
    paths = {suffix: folder / f"{name}.{suffix}" for suffix in KINDS[kind]}
    files = {suffix: path for suffix, path in paths.items() if path.is_file() and path.stat().st_size}
    lost = [suffix for suffix in paths if suffix not in files]
    problems += [Problem(paper.name, f"{kind} {name}", fault) for fault in metadata.faults]
    if lost:
        problems.append(Problem(paper.name, f"{kind} {name}", f"its {', '.join(lost)} file is missing or empty; draw it again."))
    return FigureContent(**metadata.model_dump(), files=files)


def _not_drawn(name: str, paper: Paper) -> FigureContent:
    """Return what stands in place of a figure or exhibit of which there is no metadata."""
    missing = {"caption": "", "alt": "", "drawn": False, "why_not": "Not drawn yet.", "runs": (), "files": {}}
    return FigureContent(id=f"{paper.name}.{name}", paper=paper.name, tier="", title=title_of(name), **missing)
