"""The jobs of the workflow: their inputs, outputs and resources, all known before anything runs."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replications.memory import available_gb
from replications.paths import PACKAGE, PAPERS, ROOT
from replications.registry import run_grid as grid
from replications.registry.checks import check_claims
from replications.registry.configuration import Configuration
from replications.registry.outputs import EXHIBIT_KINDS, FIGURE_KINDS, INDEX, METADATA_KIND, TABLE_KINDS
from replications.registry.papers import load_paper
from replications.registry.runs_yaml import Resources
from replications.results.reference import find_log
from replications.results.store import CHUNK_FILES
from replications.source_code import import_closure, imported_names, public_functions
from replications.startup import DRAWING, cache_home, first_in_list, module_search
from replications.threads import wait_policy

FORMS = {".tex": "LaTeX", ".md": "Markdown"}


@dataclass(frozen=True)
class TrainingRule:
    """One Snakemake rule that trains the runs of one group; each of its jobs is a chunk of seeds.

    Attributes:
        name: of the rule.
        paper: of the runs.
        runs: names of the runs, which a job trains one after the other.
        code: modules that the experiment imports, compared by content.
        outputs: files of all runs, with the wildcard `seeds`.
        digests: of the runs' settings; a parameter of the rule, so that a changed setting retrains.
        resources: in Snakemake's names.
        threads: cores of one job.
        priority: see `training_priority`.
    """

    name: str
    paper: str
    runs: tuple[str, ...]
    code: list[str]
    outputs: list[str]
    digests: str
    resources: dict[str, Any]
    threads: int
    priority: int


def environment() -> dict[str, str]:
    """Compute the environment variables with which jobs find the suite and its Python from any folder, even without an active environment.

    Returns:
        Variable -> value, for `os.environ.update`. Modules of a job, and of the processes that it starts, are never found in the
        working folder; the shell of a job runs no start-up file, which on many clusters loads modules with another Python.

    Raises:
        InputError: the suite lies in a folder that a list of paths cannot name.
    """
    programs = {"PATH": first_in_list(str(Path(sys.executable).parent), "PATH", os.environ)}
    return programs | {"BASH_ENV": ""} | module_search(os.environ) | DRAWING | cache_home(os.environ) | wait_policy(os.environ)


def relative(paths: list[Path]) -> list[str]:
    """Convert paths to paths relative to the working folder, so that a clone that was moved has the same inputs.

    Args:
        paths: absolute or relative.

    Returns:
        Relative paths, in the same order.
    """
    return [os.path.relpath(path) for path in paths]


def code_of(*modules: str) -> list[str]:
    """List the source files on which modules depend, as rule inputs that are compared by content.

    Args:
        modules: names without the package, for example 'papers.char_rnn.experiment'.

    Returns:
        Sorted relative paths of the modules and of all modules of the package that they import.
    """
    return relative(sorted({path for module in modules for path in import_closure(f"{PACKAGE.name}.{module}")}))


def data_file(runs: Path | str, paper: str) -> str:
    """Return the file of a paper's verified data, whose name has a digest of the code that declares, fetches and verifies them.

    That code is no input of the rule that makes the file, because a training depends on it through `ancient`. A rule that runs because
    its own input changed hides from Snakemake what changed in the jobs after it, and asks nothing of those that depend on it through
    `ancient` alone: trainings would be left out whose own code changed too. Under another name the file is missing, and they ask for it.

    Args:
        runs: folder of the tier's results.
        paper: name of the paper.

    Returns:
        Path of a JSON file.
    """
    digest = hashlib.sha256()
    for path in (*import_closure(f"{PACKAGE.name}.papers.{paper}.data"), ROOT / "workflow" / "rules" / "data.smk"):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return f"{runs}/{paper}/data-{digest.hexdigest()[:12]}.json"


def training_rules(config: Configuration) -> list[TrainingRule]:
    """Create one rule per group of runs of the configured papers and tier.

    Args:
        config: papers, tier and folders.

    Returns:
        The rules.

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
                    priority=training_priority(job),
                )
            )
    return rules


DATA_PRIORITY = 1_000_000
"""Priority of fetching and verifying data: above any sum of trainings that could start at once, so that what is missing is said first."""


def training_priority(job: grid.Job) -> int:
    """Compute the priority of a job that trains, 100 and more, so that training starts before what is derived from it.

    It grows with the expected minutes, so that the longest jobs start first. In a tier whose order is `written` it falls from run to
    run instead: the first runs of all papers come before the second ones, and all seeds of a run before the next run.

    Args:
        job: the runs of one group; the first one's place counts.

    Returns:
        Priority below `DATA_PRIORITY`.
    """
    position = job.runs[0].position
    return 100 + (round(10 * job.resources.minutes) if position is None else max(0, 10_000 - position))


def data_threads(config: Configuration, cores: int | None) -> int:
    """Compute the cores that verifying a paper's data takes.

    All of them, so that no training begins beside it: what is missing for any paper is said before the first training. Embedded
    data cannot be missing.

    Args:
        config: gives the tier.
        cores: of this machine; None where Snakemake does not limit them.

    Returns:
        At least 1.
    """
    return 1 if config.tier == "smoke" else cores or 1


def machine_resources(given: Container[str]) -> dict[str, int]:
    """Compute what this machine has for all jobs that run at once on it.

    Args:
        given: names of the resources that the command line or the profile limits, which stay.

    Returns:
        `mem_mb` in MB; empty where it is given, or where the system does not tell it.
    """
    available = available_gb()
    return {"mem_mb": max(1, int(available * 1000))} if available is not None and "mem_mb" not in given else {}


def memory_warning(rules: Sequence[TrainingRule], available: float | None) -> str:
    """Say in the evening, not at the turn of each run, which runs need more memory than this machine has available.

    Args:
        rules: the rules that train.
        available: GB; None where the system does not tell it.

    Returns:
        One sentence; empty where every run fits.
    """
    needs = {f"{rule.paper} {', '.join(rule.runs)}": rule.resources["mem_mb"](None, 1) / 1024 for rule in rules}
    large = [f"{name} ({need:.3g} GB)" for name, need in needs.items() if available is not None and need > available]
    return f"{available:.1f} GB of memory are available; unless it is more later, refused: {'; '.join(large)}." if large else ""


def retry_resource(first: int, growth: float) -> Callable[..., int]:
    """Create a resource that grows with every attempt of a job.

    >>> [retry_resource(100, 1.5)(None, attempt) for attempt in (1, 2, 3)]
    [100, 150, 225]

    Args:
        first: value of the first attempt.
        growth: factor from one attempt to the next.

    Returns:
        A function of wildcards and attempt, as Snakemake calls it.
    """
    return lambda _, attempt: round(first * growth ** (attempt - 1))


def job_resources(need: Resources, config: Configuration) -> dict[str, Any]:
    """Convert the resources of a job to Snakemake's standard names, which every executor translates.

    `nodes` is always given: without it Slurm may distribute the GPUs of one job over machines that do not share memory. `runtime` is twice
    the expected time, since a site's GPUs may be slower, and grows with each attempt; it is at least ten minutes, so that Slurm's warning
    two minutes before the limit (profiles/slurm) never reaches a job that has only just started. Jobs on GPUs go to the partition, quality
    of service and nodes that the configuration names; others, and whatever it leaves empty, where the profile's `default-resources` say.

    Args:
        need: resources in runs.yaml: GB, minutes, GPUs, nodes, threads.
        config: gives the GPU model, partition, quality of service and constraint.

    Returns:
        Resource -> value, or function of the attempt; `mem_mb` in MB, `runtime` in minutes.
    """
    resources: dict[str, Any] = {
        "mem_mb": retry_resource(int(need.memory_gb * 1024), 1.5),
        "runtime": retry_resource(max(10, round(need.minutes * 2)), 1.5),
        "nodes": need.nodes,
    }
    if need.gpus:
        resources["gpu_slots"] = 4 * need.gpus if need.gpus > 1 else need.gpu_slots
        site = {"slurm_partition": config.gpu_partition, "qos": config.gpu_qos, "constraint": config.gpu_constraint}
        resources |= {name: value for name, value in site.items() if value}
    if need.nodes > 1:  # Slurm's own name: with `gpu` the plugin would ask for the GPUs of all machines on the first one
        model = f"{config.gpu_model}:" if config.gpu_model else ""
        resources["gres"] = f"gpu:{model}{need.gpus // need.nodes}"
    elif need.gpus:
        resources |= {"gpu": need.gpus} | ({"gpu_model": config.gpu_model} if config.gpu_model else {})
    return resources


def run_outputs(config: Configuration, paper: str) -> list[str]:
    """List the files that the runs of a paper write at the configured tier; of the reference, the files that it has.

    Args:
        config: tier, source and folders.
        paper: name of the paper.

    Returns:
        Paths of all files of all chunks.
    """
    folders = [grid.run_folder(config.runs_folder, run, seeds) for run in grid.load_runs(paper, config.tier) for seeds in run.chunks()]
    if config.source == "reference":
        folders = sorted(path.parent for path in config.runs_folder.glob(f"*/{paper}/*/seeds-*/{CHUNK_FILES[0]}"))
    return [f"{folder}/{name}" for folder in folders for name in CHUNK_FILES]


def presentation_outputs(config: Configuration, paper: str) -> list[tuple[str, str]]:
    """List what readers get of a paper's records: its tables, figures and exhibits.

    Args:
        config: gives the folder.
        paper: name of the paper.

    Returns:
        Kind ('table', 'figure', 'exhibit') and path of every file in every format, the metadata of drawings and the index that keeps
        their order included.
    """
    folder = config.derived_folder / paper
    tables = [("table", f"{folder}/tables/{name}.{kind}") for name in load_paper(paper).tables for kind in TABLE_KINDS]
    return [*tables, *_drawings(paper, folder, "figure", FIGURE_KINDS), *_drawings(paper, folder, "exhibit", EXHIBIT_KINDS)]


def _drawings(paper: str, folder: Path, what: str, kinds: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return one path per public function of `<what>s.py` and format, and the path of the index; nothing where it has none."""
    names = public_functions(PAPERS / paper / f"{what}s.py")
    files = [f"{name}.{kind}" for name in names for kind in (*kinds, METADATA_KIND)] + ([INDEX] if names else [])
    return [(what, f"{folder}/{what}s/{file}") for file in files]


def presentation_priority(config: Configuration, paper: str) -> int:
    """Compute the priority of judging and drawing a paper: papers with more figures come first, all after training.

    Args:
        config: gives the folder.
        paper: name of the paper.

    Returns:
        Priority, 0 to 99.
    """
    return min(99, sum(kind == "figure" for kind, _ in presentation_outputs(config, paper)))


def presentation_code(paper: str) -> list[str]:
    """List the source files on which the verdicts, tables, figures and exhibits of a paper depend.

    Args:
        paper: name of the paper.

    Returns:
        As `code_of` does.
    """
    drawing = [f"papers.{paper}.{module}" for module in ("figures", "exhibits") if (PAPERS / paper / f"{module}.py").is_file()]
    return code_of("presentation.judging", "presentation.tables", *drawing)


def text_inputs(paper: str) -> list[str]:
    """List the text files of a paper that the report reads, and the style sheets of figures and exhibits.

    Args:
        paper: name of the paper.

    Returns:
        Relative paths of the files that exist.
    """
    folder = PAPERS / paper
    styles = [PACKAGE / "presentation" / name for name in ("seaborn.mplstyle", "exhibit.css")]
    texts = [folder / name for name in ("paper.yaml", "tuning.yaml", "section.md")]
    candidates = [*texts, *styles, *sorted((folder / "exhibits").glob("*.html"))]
    return relative([path for path in candidates if path.is_file()])


def log_inputs(config: Configuration) -> list[str]:
    """List the log of verdicts, from which the report says how often a verdict was made.

    Args:
        config: source, tier and folder of the results.

    Returns:
        The path of the log; empty where there is none.
    """
    log = find_log(config.runs_folder / config.tier if config.source == "reference" else config.runs_folder)
    return [str(log)] if log else []


def labels(path: str) -> dict[str, str]:
    """Return the labels with which `snakemake --report` lists a figure, table or exhibit.

    Args:
        path: of the file.

    Returns:
        'name' and 'form'; empty for metadata and indices, which are not listed.
    """
    file = Path(path)
    name = file.stem.replace("_", " ").replace("-", " ")
    if file.suffix == f".{METADATA_KIND}":
        return {}
    return {"name": name[:1].upper() + name[1:], "form": FORMS.get(file.suffix, file.suffix[1:].upper())}


def report_code() -> list[str]:
    """List the files of the report generator, including the modules of the suite that it imports.

    Returns:
        Sorted relative paths.
    """
    folder = ROOT / "report"
    kinds = {".py", ".j2", ".css", ".js", ".typ"}
    sources = [path for path in folder.rglob("*") if path.suffix in kinds]
    imports = {name for path in sources if path.suffix == ".py" for name in imported_names(path)}
    return relative(sorted({*sources, *(path for name in imports for path in import_closure(name))}))


def workflow_files() -> list[Path]:
    """List the files of the workflow, its configuration and the lock, which are published with a report.

    Returns:
        Paths of the files that exist.
    """
    patterns = ("workflow/Snakefile", "workflow/rules/*.smk", "workflow/report/*.rst", "config/config.yaml", "config/schemas/*.json")
    matches = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return [path for path in (*matches, ROOT / "requirements.lock") if path.is_file()]
