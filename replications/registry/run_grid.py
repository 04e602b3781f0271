"""The run grid: `runs.yaml` expanded into runs, and runs gathered into jobs.

Settings are validated here by the paper's own `settings.Settings` (a pydantic model, free of torch), so that a wrong
key in any tier stops everything before the first job starts.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import itertools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from replications.errors import InputError, nearest
from replications.registry.papers import load_paper
from replications.registry.runs_yaml import Resources, RunGrid, Scale
from replications.registry.schema import TIERS
from replications.registry.settings import RunSettings
from replications.registry.yaml_models import read_yaml, validate

S = TypeVar("S", bound=RunSettings)


def settings_digest(paper: str, run: str, settings: dict[str, Any]) -> str:
    """Return the hash of what determines a run's results besides code and data.

    Args:
        paper: name of the paper.
        run: name of the run.
        settings: its settings as JSON holds them.

    Returns:
        Hexadecimal digits.
    """
    content = {"paper": paper, "run": run, "settings": settings}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Run:
    """One training or measurement with fixed settings, repeated over seeds.

    Attributes:
        labels: its grid variables, by which figures and tables select it; stored in its provenance.
        scale: what of it is smaller than published.
        position: place from 0 among the runs of a tier whose jobs start as written; None where the longest start first.
    """

    paper: str
    tier: str
    name: str
    settings: RunSettings
    seeds: tuple[int, ...]
    seeds_per_job: int
    group: str
    resources: Resources
    location: str
    expected: float | None
    labels: dict[str, Any] = field(default_factory=dict)
    scale: Scale = field(default_factory=Scale)
    position: int | None = None

    @property
    def digest(self) -> str:
        """Hash of what determines the run's results besides code and data: paper, name and settings."""
        return settings_digest(self.paper, self.name, self.settings.model_dump(mode="json"))

    def settings_as(self, kind: type[S]) -> S:
        """Return the settings as the paper's own class.

        Args:
            kind: the paper's `Settings`.

        Returns:
            The same object, typed.

        Raises:
            TypeError: they are another paper's.
        """
        if not isinstance(self.settings, kind):
            raise TypeError(f"{self.paper} {self.name} has settings of {type(self.settings).__module__}, not of {kind.__module__}")
        return self.settings

    def chunks(self) -> list[tuple[int, ...]]:
        """Return its seeds, cut into the chunks that one job trains."""
        return [self.seeds[i : i + self.seeds_per_job] for i in range(0, len(self.seeds), self.seeds_per_job)]


def settings_today(stored: object, run: Run) -> dict[str, Any] | None:
    """Return stored settings as today's code reads them.

    A key that the settings gained later has its default there, which stands for the older behaviour, so that results survive
    the growth of the code.

    Args:
        stored: settings as the provenance of a chunk holds them.
        run: the run as it is planned today.

    Returns:
        All keys of today as JSON holds them; None where a key is gone, or a value is not valid today.
    """
    try:
        return type(run.settings).model_validate(stored).model_dump(mode="json")
    except ValidationError:
        return None


def same_settings(stored: object, run: Run) -> bool:
    """Return True when stored settings mean today's settings of a run, compared key by key as `settings_today` reads them.

    Args:
        stored: settings as the provenance of a chunk holds them.
        run: the run as it is planned today.

    Returns:
        True where no difference changes what the run does.
    """
    return settings_today(stored, run) == run.settings.model_dump(mode="json")


@dataclass(frozen=True)
class Job:
    """The work of one process: the runs of one group for one chunk of seeds."""

    paper: str
    tier: str
    group: str
    seeds: tuple[int, ...]
    runs: tuple[Run, ...]

    @property
    def resources(self) -> Resources:
        """Resources of the process, which makes its runs one after the other."""
        return Resources(
            minutes=sum(run.resources.minutes for run in self.runs),
            memory_gb=max(run.resources.memory_gb for run in self.runs),
            gpus=max(run.resources.gpus for run in self.runs),
            nodes=max(run.resources.nodes for run in self.runs),
            gpu_slots=max(run.resources.gpu_slots for run in self.runs),
            threads=max(run.resources.threads for run in self.runs),
        )


def seeds_label(seeds: tuple[int, ...]) -> str:
    """Return the form of consecutive seeds in folder names and on the command line, for example '0-4'.

    Args:
        seeds: consecutive seeds, at least one.

    Returns:
        First and last seed, joined by a hyphen.
    """
    return f"{seeds[0]}-{seeds[-1]}"


MOST_SEEDS = 1000
"""Seeds of one chunk: far more than any claim needs, far fewer than fill the memory of a machine."""


def parse_seeds(label: str) -> tuple[int, ...]:
    """Return the seeds that a text such as '0-4' or '3' names.

    Args:
        label: one seed, or the first and the last one joined by a hyphen.

    Returns:
        Consecutive seeds, at least one.

    Raises:
        InputError: the text is neither, or the range is empty.
    """
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", label)
    if not match:
        raise InputError(f"Seeds '{label}': expected one number or a range like 0-4.")
    first = int(match[1])
    last = int(match[2]) if match[2] else first
    if last < first:
        raise InputError(f"Seeds '{label}': the range is empty. Write the smaller seed first.")
    if last - first >= MOST_SEEDS:
        raise InputError(
            f"Seeds '{label}': {last - first + 1:,} seeds at once, of which all are trained together in memory. Give at most {MOST_SEEDS:,}."
        )
    return tuple(range(first, last + 1))


def run_folder(results: Path, run: Run, seeds: tuple[int, ...]) -> Path:
    """Return the folder of one chunk of a run.

    Args:
        results: folder of the tier's results.
        run: the run.
        seeds: consecutive seeds of the chunk.

    Returns:
        Path of the folder `<results>/<paper>/<run>/seeds-<first>-<last>`; it may not exist.
    """
    return results / run.paper / run.name / f"seeds-{seeds_label(seeds)}"


def settings_model(paper: str) -> type[RunSettings]:
    """Return the settings class of a paper, a frozen pydantic model in `<paper>/settings.py`.

    Args:
        paper: name of the paper.

    Returns:
        The class, not an instance.
    """
    return importlib.import_module(f"replications.papers.{paper}.settings").Settings


def _merge(base: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """`update` over `base`, mapping by mapping."""
    merged = dict(base)
    for key, value in update.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _inherit(content: dict[str, Any], tier: str, path: Path, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a tier's raw mapping with that of the tier it extends underneath."""
    if tier in seen:
        raise InputError(f"{path}: tiers.{tier}.extends: tiers inherit from each other in a circle.")
    own = content["tiers"][tier]
    if not own.get("extends"):
        return dict(own)
    if own["extends"] not in content["tiers"]:
        raise InputError(
            f"{path}: tiers.{tier}.extends: '{own['extends']}' is no tier of this file. {nearest(own['extends'], content['tiers'])}"
        )
    base = _inherit(content, own["extends"], path, (*seen, tier))
    kept, left_out = own.get("include", list(base["runs"])), own.get("exclude", [])
    for key, names in (("include", kept), ("exclude", left_out)):
        for name in names:
            if name not in base["runs"]:
                raise InputError(f"{path}: tiers.{tier}.{key}: no run '{name}' at tier {own['extends']}. {nearest(name, base['runs'])}")
    # In the order of `include`, which decides where the tier's jobs start as written.
    base = base | {"runs": {name: base["runs"][name] for name in kept if name not in left_out}}
    return _merge(base, own)


def expand(paper: str, tier: str, content: dict[str, Any], path: Path) -> list[Run]:
    """Return all runs of one tier, with validated settings.

    Args:
        paper: name of the paper.
        tier: name of the tier.
        content: the content of `runs.yaml`.
        path: its path, for messages.

    Returns:
        The runs in the order written; empty where the paper does not have the tier.

    Raises:
        InputError: a key or value is not valid; file, run and key are named.
    """
    validate(RunGrid, content, str(path))
    model = settings_model(paper)
    grid = validate(RunGrid, content | {"tiers": {tier: _inherit(content, tier, path)}}, str(path))
    rows = grid.tiers[tier]  # type: ignore[index]
    runs: list[Run] = []
    for template, entry in rows.runs.items():
        for combination in itertools.product(*entry.grid.values()):
            varied = dict(zip(entry.grid, combination, strict=True))
            try:
                name, group = template.format(**varied), (entry.group or template).format(**varied)
            except (KeyError, IndexError):
                raise InputError(f"{path}: tiers.{tier}.runs.{template}: a {{field}} of the name or group is not in its grid.") from None
            for what, text in (("run name", name), ("group", group)):
                if not re.fullmatch(r"[a-z0-9]+(?:[-.][a-z0-9]+)*", text):
                    raise InputError(f"{path}: {what} '{text}': use lower-case letters, digits, '-' and '.'.")
            if name in [run.name for run in runs]:
                raise InputError(f"{path}: tiers.{tier}: two entries give the run name '{name}'.")
            settings = _merge(_merge(grid.settings, rows.settings), _merge(entry.settings, varied))
            seeds = entry.seeds or rows.seeds
            runs.append(
                Run(
                    paper=paper,
                    tier=tier,
                    name=name,
                    settings=validate(model, settings, f"{path}: tiers.{tier}.runs.{name}.settings"),
                    seeds=tuple(range(rows.first_seed, rows.first_seed + seeds)),
                    seeds_per_job=min(entry.seeds_per_job or rows.seeds_per_job or seeds, seeds),
                    group=group,
                    resources=validate(Resources, rows.resources | entry.resources, f"{path}: {name}.resources"),
                    location=entry.location,
                    expected=entry.expected,
                    labels=entry.labels | varied,
                    scale=validate(Scale, rows.scale | entry.scale, f"{path}: tiers.{tier}.runs.{name}.scale"),
                    position=len(runs) if rows.order == "written" else None,
                )
            )
    return runs


@functools.cache
def load_runs(paper: str, tier: str) -> tuple[Run, ...]:
    """Return the runs of a paper at a tier, in the order written; none where the paper does not have the tier.

    Args:
        paper: name of the paper.
        tier: name of the tier.

    Returns:
        The runs with validated settings.

    Raises:
        InputError: the tier or the paper does not exist, or `runs.yaml` is not valid.
    """
    if tier not in TIERS:
        raise InputError(f"No tier is called '{tier}'. {nearest(tier, TIERS)}")
    path = load_paper(paper).folder / "runs.yaml"
    content = read_yaml(path)
    validate(RunGrid, content, str(path))
    return tuple(expand(paper, tier, content, path)) if tier in content["tiers"] else ()


def find_run(paper: str, tier: str, name: str) -> Run:
    """Return the run of this name.

    Args:
        paper: name of the paper.
        tier: name of the tier.
        name: name of the run.

    Returns:
        The run with validated settings.

    Raises:
        InputError: the tier plans none of this name; the nearest is given.
    """
    runs = {run.name: run for run in load_runs(paper, tier)}
    if name not in runs:
        raise InputError(f"{paper} has no run '{name}' at tier {tier}. {nearest(name, runs)}")
    return runs[name]


def jobs(paper: str, tier: str) -> list[Job]:
    """Return the runs gathered by group and cut into chunks of seeds.

    Args:
        paper: name of the paper.
        tier: name of the tier.

    Returns:
        One job per group and chunk of seeds.

    Raises:
        InputError: the runs of a group have different seeds.
    """
    groups: dict[str, list[Run]] = {}
    for run in load_runs(paper, tier):
        groups.setdefault(run.group, []).append(run)
    result = []
    for group, members in groups.items():
        if len({tuple(run.chunks()) for run in members}) > 1:
            raise InputError(f"{paper}, tier {tier}: the runs of group '{group}' must have equal seeds and seeds_per_job.")
        result += [Job(paper, tier, group, seeds, tuple(members)) for seeds in members[0].chunks()]
    return result
