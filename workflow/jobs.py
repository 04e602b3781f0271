"""Jobs of the workflow, with what they read and write, known before anything runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replications.paths import PACKAGE, PAPERS, ROOT
from replications.registry import run_grid as grid
from replications.registry.checks import check_claims
from replications.registry.configuration import Configuration
from replications.registry.outputs import EXHIBIT_KINDS, FIGURE_KINDS, INDEX, METADATA_KIND, TABLE_KINDS
from replications.registry.papers import load_paper
from replications.results.store import CHUNK_FILES
from replications.source_code import import_closure, imported_names, public_functions
from replications.threads import wait_policy

FORMS = {".tex": "LaTeX", ".md": "Markdown"}


@dataclass(frozen=True)
class TrainingRule:
    """One rule: the runs of one group; its jobs are the chunks of seeds."""

    name: str
    paper: str
    runs: tuple[str, ...]
    code: list[str]
    outputs: list[str]
    digests: str
    resources: dict[str, Any]
    threads: int
    priority: int
    """Longest first, so that no long job is left alone at the end; training before all that is derived from it."""


def environment() -> dict[str, str]:
    """Variables of every job: the suite and its Python are found from any folder, whether or not they are activated.

    Returns:
        Variable -> value, for `os.environ.update`.
    """
    paths = {"PATH": Path(sys.executable).parent, "PYTHONPATH": ROOT}
    found = {name: os.pathsep.join(filter(None, [str(first), os.environ.get(name)])) for name, first in paths.items()}
    return found | wait_policy(os.environ)


def relative(paths: list[Path]) -> list[str]:
    """Paths as seen from the working folder, so that a moved clone has the same inputs."""
    return [os.path.relpath(path) for path in paths]


def code_of(*modules: str) -> list[str]:
    """Files of this package that modules import, as inputs that are compared by content."""
    return relative(sorted({path for module in modules for path in import_closure(f"{PACKAGE.name}.{module}")}))


def training_rules(config: Configuration) -> list[TrainingRule]:
    """Every group of runs of the chosen papers at the configured tier.

    Raises:
        InputError: a claim names a run, or more seeds, than the tier plans.
    """
    rules = []
    for paper in config.chosen:
        check_claims(load_paper(paper), config.tier, grid.load_runs(paper, config.tier))
        code = code_of(f"papers.{paper}.experiment")
        groups: dict[str, list[grid.Job]] = {}
        for job in grid.jobs(paper, config.tier):
            groups.setdefault(job.group, []).append(job)
        for group, members in groups.items():
            job = members[0]
            rules.append(
                TrainingRule(
                    name=f"train_{paper}_{group}".replace("-", "_").replace(".", "_"),
                    paper=paper,
                    runs=tuple(run.name for run in job.runs),
                    code=code,
                    outputs=[f"{config.runs_folder}/{paper}/{run.name}/seeds-{{seeds}}/{name}" for run in job.runs for name in CHUNK_FILES],
                    digests=" ".join(run.digest for run in job.runs),
                    resources=job_resources(job.resources, config),
                    threads=job.resources.threads * max(1, job.resources.gpus // job.resources.nodes),
                    priority=100 + round(10 * job.resources.minutes),
                )
            )
    return rules


def growing(first: int, growth: float) -> Callable[..., int]:
    """A resource that a job killed for want of it gets more of at its next attempt.

    >>> [growing(100, 1.5)(None, attempt) for attempt in (1, 2, 3)]
    [100, 150, 225]
    """
    return lambda _, attempt: round(first * growth ** (attempt - 1))


def job_resources(need: grid.Resources, config: Configuration) -> dict[str, Any]:
    """Return the resources of a job in Snakemake's standard names, which every executor translates.

    `nodes` is always said: without it Slurm may spread the GPUs of one job over machines that do not share memory. Run
    time is twice what is expected, since a site's GPUs may be slower, and grows with each attempt; at least ten minutes,
    so that Slurm's warning two minutes before the end (profiles/slurm) never meets a job that has hardly begun.
    """
    resources: dict[str, Any] = {
        "mem_mb": growing(int(need.memory_gb * 1024), 1.5),
        "runtime": growing(max(10, round(need.minutes * 2)), 1.5),
        "nodes": need.nodes,
    }
    if need.gpus:
        resources["gpu_slots"] = 4 * need.gpus if need.gpus > 1 else need.gpu_slots
    if need.nodes > 1:  # Slurm's own name: with `gpu` the plugin would ask for the GPUs of all machines on the first one
        model = f"{config.gpu_model}:" if config.gpu_model else ""
        resources["gres"] = f"gpu:{model}{need.gpus // need.nodes}"
    elif need.gpus:
        resources |= {"gpu": need.gpus} | ({"gpu_model": config.gpu_model} if config.gpu_model else {})
    return resources


def run_outputs(config: Configuration, paper: str) -> list[str]:
    """Every file that the runs of a paper write at the configured tier; of the reference, every file that it has."""
    folders = [grid.run_folder(config.runs_folder, run, seeds) for run in grid.load_runs(paper, config.tier) for seeds in run.chunks()]
    if config.source == "reference":
        folders = sorted(path.parent for path in (config.runs_folder / paper).glob(f"*/seeds-*/{CHUNK_FILES[0]}"))
    return [f"{folder}/{name}" for folder in folders for name in CHUNK_FILES]


def figure_outputs(config: Configuration, paper: str) -> list[str]:
    """Every file that a paper's figures are written to."""
    return _outputs(config, paper, "figures", FIGURE_KINDS)


def drawing_priority(config: Configuration, paper: str) -> int:
    """The paper with the most figures is judged and drawn first; tables and exhibits, which take a second, come last. Below all training."""
    return min(99, len(figure_outputs(config, paper)))


def exhibit_outputs(config: Configuration, paper: str) -> list[str]:
    """Every file that a paper's exhibits are written to; none where it has no exhibits."""
    return _outputs(config, paper, "exhibits", EXHIBIT_KINDS)


def _outputs(config: Configuration, paper: str, module: str, kinds: tuple[str, ...]) -> list[str]:
    """One file per public function and kind, and the index that keeps their order."""
    folder = config.derived_folder / paper / module
    names = public_functions(PAPERS / paper / f"{module}.py")
    return [f"{folder}/{name}.{kind}" for name in names for kind in (*kinds, METADATA_KIND)] + ([f"{folder}/{INDEX}"] if names else [])


def table_outputs(config: Configuration, paper: str) -> list[str]:
    """Every file that a paper's published tables beside ours are written to."""
    folder = config.derived_folder / paper / "tables"
    return [f"{folder}/{name}.{kind}" for name in load_paper(paper).tables for kind in TABLE_KINDS]


def text_inputs(paper: str) -> list[str]:
    """The paper's own text and templates, which the report reads, and the style that exhibits share."""
    folder = PAPERS / paper
    style = PACKAGE / "presentation" / "exhibit.css"
    found = [folder / "paper.yaml", folder / "tuning.yaml", folder / "section.md", style, *sorted((folder / "exhibits").glob("*.html"))]
    return relative([path for path in found if path.is_file()])


def labels(path: str) -> dict[str, str]:
    """Return the labels of a figure, table or exhibit for `snakemake --report`: its name and form; none for metadata or an index."""
    file = Path(path)
    name = file.stem.replace("_", " ").replace("-", " ")
    if file.suffix == f".{METADATA_KIND}":
        return {}
    return {"name": name[:1].upper() + name[1:], "form": FORMS.get(file.suffix, file.suffix[1:].upper())}


def report_code() -> list[str]:
    """Return all files that the report generator is made of, what it imports from the suite included."""
    folder = ROOT / "report"
    kinds = {".py", ".j2", ".css", ".js", ".typ"}
    own = [path for path in folder.rglob("*") if path.suffix in kinds]
    imported = {name for path in own if path.suffix == ".py" for name in imported_names(path)}
    return relative(sorted({*own, *(path for name in imported for path in import_closure(name))}))


def workflow_files() -> list[Path]:
    """The workflow, how it is configured, and its lock, which a report hands out with its results."""
    patterns = ("workflow/Snakefile", "workflow/rules/*.smk", "workflow/report/*.rst", "config/config.yaml", "config/schemas/*.json")
    found = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return [path for path in (*found, ROOT / "requirements.lock") if path.is_file()]
