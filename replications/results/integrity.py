"""The integrity check of a run: whether its chunks are what the run wrote, and may be read together.

A fault withholds every verdict, table cell and figure that reads the run. A remark is said beside the verdict.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from replications.registry.run_grid import Run, same_settings, seeds_label, settings_today
from replications.results.equal_records import copied_seeds
from replications.results.store import PROVENANCE, Chunk, file_digest


@dataclass(frozen=True)
class RunIntegrity:
    """What the integrity check of one run says, one sentence each.

    Attributes:
        faults: why nothing is to be judged from the run; empty when its records can be trusted.
        remarks: what a reader should know and does not withhold a verdict: uncommitted code, several commits, older settings.
    """

    faults: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def check_run(chunks: Sequence[Chunk], tier: str, plan: Run | None = None, promoted: Mapping[str, str] | None = None) -> RunIntegrity:
    """Return what is wrong with the chunks of one run, each alone and all together.

    Args:
        chunks: the finished chunks of the run, by first seed.
        tier: the tier that they must be of.
        plan: the run as it is planned today; None where it is not planned, so that settings are compared between chunks alone.
        promoted: SHA-256 of the provenance of each promoted chunk of the run, by `place`; None outside the reference.

    Returns:
        The faults, which withhold verdicts, and the remarks, which do not.
    """
    faults = [f"{place(chunk)}: {fault}" for chunk in chunks for fault in chunk.integrity_faults(tier)]
    faults += not_as_promoted(chunks, promoted) if promoted is not None else []
    if faults:  # what cannot be read or trusted alone is not compared
        return RunIntegrity(tuple(faults))
    faults += _mixed(chunks, plan)
    if not (plan and plan.settings.deterministic):
        faults += _copied_seeds(chunks)
    return RunIntegrity(tuple(faults), tuple(_remarks(chunks, plan, promoted=promoted is not None)))


def place(chunk: Chunk) -> str:
    """Return how messages name a chunk: its run and the folder of its seeds.

    Args:
        chunk: a finished chunk.

    Returns:
        For example 'lstm-2/seeds-0-4'.
    """
    return f"{chunk.run}/{chunk.folder.name}"


def not_as_promoted(chunks: Sequence[Chunk], promoted: Mapping[str, str]) -> Iterator[str]:
    """Return how the chunks of a run differ from those that were promoted: added, edited or removed by hand, one sentence each.

    Args:
        chunks: the chunks of one run in the reference.
        promoted: SHA-256 of the provenance of each promoted chunk of the run, by `place`.

    Returns:
        Sentences that name the chunk.
    """
    there = {place(chunk): chunk for chunk in chunks}
    for name, chunk in there.items():
        if name not in promoted:
            yield f"{name}: no promotion added this chunk to the reference."
        elif file_digest(chunk.folder / PROVENANCE) != promoted[name]:
            yield f"{name}: {PROVENANCE} is not the file that was promoted: its SHA-256 differs."
    yield from (f"{name}: was promoted and is gone from the reference." for name in promoted if name not in there)


def _mixed(chunks: Sequence[Chunk], plan: Run | None) -> Iterator[str]:
    """Chunks of different settings or data are different experiments, whose seeds have no common mean."""
    if not chunks:
        return
    run = chunks[0].run
    digests = _by_value(chunks, lambda content: _settings_meant(content, plan))
    if len(digests) > 1:
        yield f"{run}: {_listed(digests)} have different settings, so that their seeds are not averaged."
    sources = {source for chunk in chunks for source in _mapping(chunk.provenance.get("data"))}
    for source in sorted(sources):
        prints = _by_value(chunks, lambda content, source=source: _fingerprint(_mapping(content.get("data")).get(source)))  # type: ignore[misc]
        if len(prints) > 1:
            yield f"{run}: {_listed(prints)} saw different data of {source}, so that their seeds are not averaged."


def _copied_seeds(chunks: Sequence[Chunk]) -> Iterator[str]:
    """Two seeds with equal records are one training under two numbers."""
    for seeds in copied_seeds(pd.concat([chunk.records for chunk in chunks])) if chunks else ():
        yield (
            f"{chunks[0].run}: the records of seeds {', '.join(map(str, seeds))} are the same up to rounding, as of one training under"
            " several numbers. Where nothing in a run is random, its settings say so (`deterministic`)."
        )


def _remarks(chunks: Sequence[Chunk], plan: Run | None, *, promoted: bool) -> Iterator[str]:
    trials = [place(chunk) for chunk in chunks if "trial" in chunk.provenance]
    if trials:
        yield f"{', '.join(trials)} {'is a trial' if len(trials) == 1 else 'are trials'} of a few steps, not a result."
    clocks = [place(chunk) for chunk in chunks if not _ran_forward(chunk.provenance)]
    if clocks:
        yield f"{', '.join(clocks)} ended before it began, or without a date: a clock was set back, or the times were edited."
    unsigned = [place(chunk) for chunk in chunks if PROVENANCE not in _mapping(chunk.provenance.get("sha256"))]
    if unsigned and not promoted:
        yield f"The provenance of {', '.join(unsigned)} has no SHA-256 of its own, so that an edit of it would not be noticed."
    unplanned = [seed for chunk in chunks for seed in chunk.seeds if plan and seed not in plan.seeds]
    if plan and unplanned:
        listed = ", ".join(str(seed) for seed in unplanned)
        yield f"{plan.name} has seeds that are not planned ({listed}; planned are {seeds_label(plan.seeds)}): they decide nothing."
    dirty = [place(chunk) for chunk in chunks if chunk.provenance.get("dirty")]
    if dirty:
        yield f"{', '.join(dirty)} ran uncommitted code."
    unknown = [place(chunk) for chunk in chunks if chunk.code_unknown]
    if unknown:
        yield f"{', '.join(unknown)} ran code of which no commit is known."
    for key, what in (("commit", "commits"), ("code_digest", "states of the code"), ("lock", "sets of package versions")):
        values = _by_value(chunks, lambda content, key=key: str(content.get(key) or "unknown"))  # type: ignore[misc]
        if len(values) > 1:
            yield f"The seeds of {chunks[0].run} were made by {len(values)} {what}: {', '.join(value[:10] for value in values)}."
    devices = _by_value(chunks, lambda content: str(_mapping(content.get("hardware")).get("device")))
    if len(devices) > 1:
        yield f"The seeds of {chunks[0].run} were made on {len(devices)} kinds of machines: {', '.join(devices)}."
    changed = [place(chunk) for chunk in chunks if plan and not same_settings(chunk.provenance.get("settings"), plan)]
    if changed:
        yield f"{', '.join(changed)} {'was' if len(changed) == 1 else 'were'} made with other settings than runs.yaml has now."


def _ran_forward(content: Mapping[str, Any]) -> bool:
    """Return True where a provenance has a start and an end, as ISO 8601 in UTC, in this order."""
    try:
        return datetime.fromisoformat(str(content.get("started"))) <= datetime.fromisoformat(str(content.get("ended")))
    except (TypeError, ValueError):
        return False


def _by_value(chunks: Sequence[Chunk], value: Callable[[Mapping[str, Any]], str]) -> dict[str, list[Chunk]]:
    groups: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        groups.setdefault(value(chunk.provenance), []).append(chunk)
    return groups


def _settings_meant(provenance: Mapping[str, Any], plan: Run | None) -> str:
    """Return one text for all settings that mean the same today: a key that came later has its default."""
    today = settings_today(provenance.get("settings"), plan) if plan else None
    return str(provenance.get("settings_digest")) if today is None else json.dumps(today, sort_keys=True)


def _listed(groups: Mapping[str, Sequence[Chunk]]) -> str:
    return " and ".join(f"seeds {', '.join(seeds_label(chunk.seeds) for chunk in group)}" for group in groups.values())


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _fingerprint(note: object) -> str:
    return str(note.get("fingerprint")) if isinstance(note, dict) else str(note)
