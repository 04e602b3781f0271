"""Figures and exhibits as the report shows them: what their sidecars say, and which files there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replications.registry.papers import Paper
from replications.source_code import public_functions
from report.results_folder import Problem, read_sidecars


@dataclass(frozen=True)
class FigureContent:
    """A figure or an exhibit: its sidecar, which names the runs it draws, and its files by kind."""

    name: str
    id: str
    title: str
    caption: str
    alt: str
    drawn: bool
    why_not: str
    files: dict[str, Path]
    runs: tuple[str, ...] = ()


def figures_of(folder: Path, paper: Paper, kind: str, problems: list[Problem]) -> tuple[FigureContent, ...]:
    """Every figure or exhibit in the order written; what is missing or damaged is noted in `problems`."""
    sidecars, faults = read_sidecars(folder)
    problems += [Problem(paper.name, f"{kind}s", fault) for fault in faults]
    pictures = []
    named = {str(sidecar["id"]).rpartition(".")[2] for sidecar in sidecars}
    for name in public_functions(paper.folder / f"{kind}s.py"):
        if name not in named:
            sidecars.append(
                {
                    "id": f"{paper.name}.{name}",
                    "title": name.replace("_", " ").capitalize(),
                    "why_not": "Not drawn yet.",
                    "drawn": False,
                    "lost": True,
                }
            )
            problems.append(Problem(paper.name, f"{kind} {name}", "is not drawn; run the pipeline again."))
    for sidecar in sidecars:
        name = str(sidecar["id"]).rpartition(".")[2]
        kinds = ("svg", "pdf", "png", "csv") if kind == "figure" else ("html",)
        files = {suffix: path for suffix in kinds if (path := folder / f"{name}.{suffix}").is_file() and path.stat().st_size}
        lost = [suffix for suffix in kinds if suffix not in files and not sidecar.get("lost")]
        if lost:
            problems.append(Problem(paper.name, f"{kind} {name}", f"its {', '.join(lost)} file is missing or empty; draw it again."))
        shown = {key: str(sidecar.get(key, "")) for key in ("id", "title", "caption", "alt", "why_not")}
        runs = tuple(str(run) for run in sidecar.get("runs") or ())
        pictures.append(FigureContent(name=name, drawn=bool(sidecar["drawn"]), files=files, runs=runs, **shown))
    return tuple(pictures)
