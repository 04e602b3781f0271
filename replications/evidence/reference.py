"""The committed reference results: one tier's records, artifacts and provenance, from which everything else is redrawn."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from replications.evidence import provenance
from replications.evidence.errors import InputError, ReplicationError
from replications.evidence.reading import read_yaml, validate
from replications.evidence.records import chunk_folders, replacing
from replications.evidence.runs import Run, load_runs
from replications.evidence.spec import Paper, Strict, Tier

if TYPE_CHECKING:
    from replications.evidence.verdicts import Verdict

FILES = ("records.parquet", "artifacts.npz", "provenance.json")
LARGEST = 20_000_000
"""Bytes that the reference may have in all: it is part of every clone."""

BEGIN, END = "<!-- verdicts of the reference: written by `python -m replications readme` -->", "<!-- end of the verdicts -->"

LABELS = {
    "smoke": (
        "**These are results of tier `smoke`**: small stand-ins, trained in minutes on a CPU on embedded data. They show that the"
        " machinery works, not that a paper holds."
    ),
    "gpu": "These are results of tier `gpu`: real data on one GPU, the headline results, not every published size.",
    "paper": "These are results of tier `paper`: published sizes.",
}


class Reference(Strict):
    """`reference.json`: what the committed results are.

    Attributes:
        promoted: the day on which they became the reference.
        commits: the commits that made them.
        reservations: what is missing or in doubt, one sentence each; empty when the tier is whole.
    """

    tier: Tier
    promoted: str
    commits: list[str]
    reservations: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class Chunk:
    """One finished chunk of a planned run, with its provenance."""

    run: Run
    folder: Path
    sidecar: dict[str, object]

    @property
    def size(self) -> int:
        """Bytes of the files that are kept."""
        return sum((self.folder / name).stat().st_size for name in FILES)


def read_reference(folder: Path) -> Reference:
    """What the reference results in `folder` are. Raises InputError when there are none, or their description is damaged."""
    path = folder / "reference.json"
    if not path.is_file():
        raise InputError(f"{path} is missing, so there are no reference results. `python -m replications promote DIR` makes them.")
    return validate(Reference, read_yaml(path), str(path))


def tier_of(folder: Path) -> Tier:
    """The tier that made a results folder, from the provenance of its chunks.

    Raises:
        InputError: nothing is finished there, or chunks are of different tiers.
    """
    found = {str(provenance.read_provenance(path).get("tier")) for path in folder.glob("*/*/seeds-*/provenance.json")}
    if len(found) != 1:
        what = f"is of several tiers ({', '.join(sorted(found))})" if found else "has no finished run"
        raise InputError(f"{folder} {what}. Give the results folder of one tier, for example results/gpu.")
    return validate(Reference, {"tier": found.pop(), "promoted": "", "commits": []}, f"{folder}: provenance").tier


def finished_chunks(source: Path, papers: Sequence[Paper], tier: str) -> list[Chunk]:
    """Every finished chunk of every planned run, in the order of the plan."""
    return [
        Chunk(run, folder, provenance.read_provenance(folder / "provenance.json"))
        for paper in papers
        for run in load_runs(paper.name, tier)
        for folder in chunk_folders(source, paper.name, run.name)
    ]


def reservations(chunks: Sequence[Chunk], papers: Sequence[Paper], tier: str) -> list[str]:
    """What keeps results from being the whole of a tier, made by committed code from today's settings."""
    found = []
    seeds = Counter((chunk.run.paper, chunk.run.name, seed) for chunk in chunks for seed in _seeds(chunk))
    for paper in papers:
        short = [run.name for run in load_runs(paper.name, tier) if any(not seeds[run.paper, run.name, seed] for seed in run.seeds)]
        changed = [c.run.name for c in chunks if c.run.paper == paper.name and c.sidecar.get("settings_digest") != c.run.digest]
        dirty = [c.run.name for c in chunks if c.run.paper == paper.name and c.sidecar.get("dirty")]
        for names, what in (
            (short, "lacks seeds of"),
            (changed, "has other settings than runs.yaml in"),
            (dirty, "ran uncommitted code in"),
        ):
            if names:
                found.append(f"{paper.name} {what} {', '.join(dict.fromkeys(names))}.")
    return found


def _seeds(chunk: Chunk) -> list[int]:
    listed = chunk.sidecar.get("seeds")
    return listed if isinstance(listed, list) else []


def promote(source: Path, target: Path, papers: Sequence[Paper], *, partial: bool = False) -> list[Chunk]:
    """Make the finished results of one tier the reference, whole or not at all; the reference before it is replaced.

    Args:
        source: results of one tier.
        target: the reference's folder; its file system must hold both the old and the new for a moment.
        papers: the papers that it is to have.
        partial: also where something is missing or in doubt; `reference.json` and the report then say so.

    Raises:
        InputError: `source` is no results folder or a rehearsal, something is missing or in doubt, or it is larger than `LARGEST`.
        ReplicationError: the target cannot be written; what was there before is intact.
    """
    tier = tier_of(source)
    chunks = finished_chunks(source, papers, tier)
    rehearsed = list(dict.fromkeys(chunk.run.name for chunk in chunks if "rehearsal" in chunk.sidecar))
    if rehearsed:
        raise InputError(
            f"{source} holds rehearsals, which are no results: {', '.join(rehearsed)}. Train them: `snakemake --config tier={tier}`."
        )
    doubts = reservations(chunks, papers, tier)
    if doubts and not partial:
        told = "\n  ".join(doubts)
        raise InputError(
            f"{source} is not the whole tier {tier}:\n  {told}\nFinish it with `snakemake --config tier={tier}`, or give --partial."
        )
    size = sum(chunk.size for chunk in chunks)
    if size > LARGEST:
        largest = max(chunks, key=lambda chunk: chunk.size)
        raise InputError(
            f"{source} has {size / 1e6:.1f} MB to keep, more than {LARGEST / 1e6:.0f} MB. The largest is {largest.folder} with"
            f" {largest.size / 1e6:.1f} MB; let its experiment keep only the artifacts that figures need."
        )
    commits = sorted({str(chunk.sidecar.get("commit")) for chunk in chunks})
    reference = Reference(tier=tier, promoted=provenance.now()[:10], commits=commits, reservations=doubts)
    fresh, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    try:
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)
        for chunk in chunks:
            kept = fresh / chunk.folder.relative_to(source)
            kept.mkdir(parents=True)
            for name in FILES:
                shutil.copyfile(chunk.folder / name, kept / name)
        with replacing(fresh / "reference.json") as temporary:
            temporary.write_text(reference.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if old.exists() and not target.exists():
            old.rename(target)
        raise ReplicationError(f"Cannot write {target}: {error.strerror or error}. What was there before is unchanged.") from error
    return chunks


def summary(reference: Reference, verdicts: Sequence[Verdict]) -> str:
    """Verdicts of the reference as Markdown: what tier it is, and for each paper how many claims got which verdict."""
    from replications.evidence.verdicts import MARKS

    words = [word for word in MARKS if any(verdict.verdict == word for verdict in verdicts)]
    lines = [LABELS[reference.tier], ""]
    lines += [f"| paper | {' | '.join(f'{MARKS[word].symbol} {word}' for word in words)} |", "|---|" + "--:|" * len(words)]
    for paper in dict.fromkeys(verdict.paper for verdict in verdicts):
        count = Counter(verdict.verdict for verdict in verdicts if verdict.paper == paper)
        lines.append(f"| `{paper}` | {' | '.join(str(count[word] or '') for word in words)} |")
    lines += ["", *(f"- {doubt}" for doubt in reference.reservations)]
    return "\n".join(lines).strip() + "\n"


def fill_readme(text: str, generated: str, where: str) -> str:
    """A README with the part between its two marks replaced. Raises InputError when it has no such marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{where} has no place for the verdicts: it needs the lines\n{BEGIN}\n{END}")
    return f"{before}{BEGIN}\n\n{generated}\n{END}{after}"


def page(reference: Reference, generated: str) -> str:
    """The README of the reference's folder."""
    commits = ", ".join(f"`{commit[:10]}`" for commit in reference.commits)
    return f"""# Reference results

{generated}
Promoted on {reference.promoted}; made by {commits}.

`<paper>/<run>/seeds-<first>-<last>/` holds the records (parquet), the arrays that figures need (npz) and the provenance of
each job, as the job wrote them. There are no checkpoints and no data. Everything else is redrawn from these files, without
a GPU and without training:

    make report SOURCE=reference     # results/from-reference/report/
    make figures SOURCE=reference    # results/from-reference/<paper>/figures/

This folder is replaced as a whole, never edited: `make report TIER=gpu`, then
`.venv/bin/python -m replications promote results/gpu`, and commit. `.venv/bin/python -m replications diff results/reference
results/gpu` says before that what would change.
"""
