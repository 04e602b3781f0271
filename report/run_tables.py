"""Tables beside ours, cost and provenance: the parts of a paper's content that are accounts of its runs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from replications.presentation import formatting, tables
from replications.registry.outputs import TABLE_KINDS
from replications.registry.run_grid import seeds_label
from replications.results.store import Chunk
from report.results_folder import PaperResults

COST_COLUMNS = {
    "examples": "Examples",
    "tokens": "Tokens",
    "flops": "Counted work",
    "busy": "GPU busy",
    "utilisation": "Of peak",
    "peak_memory": "Peak memory",
    "energy": "Energy",
}
"""Columns of a table of costs beside run, seeds and time: keys of `CostRow.shown`, and their headings."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table: main text, a quieter second line, and what it is ('ours', 'published', '')."""

    text: str
    detail: str = ""
    kind: str = ""


@dataclass(frozen=True)
class TableContent:
    """A published table beside ours. Each row: label, then one cell per column."""

    name: str
    title: str
    location: str
    note: str
    columns: tuple[str, ...]
    groups: tuple[tuple[str, int], ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    files: dict[str, Path]


@dataclass(frozen=True)
class CostRow:
    """Cost of one run over all its finished seeds; empty text where it was not measured."""

    run: str
    seeds: str
    device: str
    seconds: float
    gpu_seconds: float
    energy: float
    shown: dict[str, str]


@dataclass(frozen=True)
class DataNote:
    """One split of a data set as a run saw it: its name, the fingerprint of its content, licence, rows, place and check as text."""

    name: str
    fingerprint: str
    licence: str = ""
    rows: str = ""
    origin: str = ""
    verified: str = ""


@dataclass(frozen=True)
class ProvenanceRow:
    """Provenance of the seeds of one chunk."""

    run: str
    seeds: str
    commit: str
    dirty: bool
    settings: str
    code: str
    lock: str
    data: tuple[str, ...]
    device: str
    started: str
    ended: str
    resumes: int
    command: str
    sources: tuple[DataNote, ...] = ()
    packages: tuple[tuple[str, str], ...] = ()


def table_beside_ours(name: str, found: PaperResults, folder: Path) -> TableContent:
    """Return the comparison of `presentation.tables` as cells: the mean large, its half-width and seeds small.

    Args:
        name: key of the table in `paper.yaml`.
        found: results of the paper.
        folder: folder of the paper's tables.

    Returns:
        Title, columns and rows.
    """
    table = tables.compare(name, found.results)
    rows = []
    for label, texts, absence in zip(table.shown.iloc[:, 0], table.cells, table.absences, strict=True):
        pairs = zip(texts, table.columns, strict=True)
        rows.append((str(label), tuple(_cell(cell, "published" if column.version else "ours", absence) for cell, column in pairs)))
    by_measure = groupby(f"{column.measure.label}{f', {column.measure.unit}' if column.measure.unit else ''}" for column in table.columns)
    return TableContent(
        name=name,
        title=table.title,
        location=table.location,
        note=" ".join(table.notes),
        columns=tuple(column.label for column in table.columns),
        groups=tuple((measure, len(list(same))) for measure, same in by_measure),
        rows=tuple(rows),
        files={suffix: path for suffix in TABLE_KINDS if (path := folder / f"{name}.{suffix}").is_file()},
    )


def _cell(cell: tables.Cell, kind: str, absence: str) -> Cell:
    """Return a cell for the page; an empty one of ours says why."""
    return Cell(cell.number, cell.detail or (absence if kind == "ours" and not cell.number else ""), kind)


def cost_of(run: str, found: PaperResults) -> CostRow | None:
    """Return the cost of a run over all its finished seeds, or None where none was recorded.

    Args:
        run: name of the run.
        found: results of the paper.

    Returns:
        Sums of time, work and energy, and means of speeds.
    """
    rows = found.results.select(run=run, split="cost")
    if not len(rows):
        return None
    total = {metric: float(values.sum()) for metric, values in rows.groupby("metric")["value"]}
    most = {metric: float(values.max()) for metric, values in rows.groupby("metric")["value"]}
    seconds = total.get("train_seconds", 0.0)
    shown = {}
    for amount, unit in (("examples", "/s"), ("tokens", "/s")):
        if total.get(amount) and seconds:
            shown[amount] = formatting.scaled(total[amount] / seconds, unit)
    if "flops" in total:
        shown["flops"] = formatting.scaled(total["flops"], "FLOP")
    if "gpu_busy" in most:
        shown["busy"] = f"{100 * most['gpu_busy']:.2g}{formatting.THIN}%"
    if "utilisation" in most:
        shown["utilisation"] = f"{100 * most['utilisation']:.2g}{formatting.THIN}%"
    if "peak_memory" in most:
        shown["peak_memory"] = formatting.memory(most["peak_memory"])
    if total.get("energy"):
        shown["energy"] = formatting.energy(total["energy"])
    shown["seconds"] = formatting.duration(total.get("seconds", 0.0))
    devices = sorted({str((chunk.provenance.get("hardware") or {}).get("device", "")) for chunk in found.chunks_of(run)} - {""})
    seeds = found.seeds_of(run)
    return CostRow(
        run=run,
        seeds=str(len(seeds)),
        device=", ".join(devices),
        seconds=total.get("seconds", 0.0),
        gpu_seconds=total.get("gpu_seconds", 0.0),
        energy=total.get("energy", 0.0),
        shown=shown,
    )


def origin_of(chunk: Chunk) -> ProvenanceRow:
    """Return the provenance of one chunk; what is not stored stays empty.

    Args:
        chunk: a finished chunk.

    Returns:
        Texts of a table row.
    """
    content: dict[str, Any] = chunk.provenance
    sources = tuple(_data_note(name, note) for name, note in sorted(_mapping(content.get("data")).items()))
    hardware = content.get("hardware") or {}
    return ProvenanceRow(
        run=chunk.run,
        seeds=seeds_label(chunk.seeds),
        commit=chunk.commit,
        dirty=bool(content.get("dirty")),
        settings=str(content.get("settings_digest", "")),
        code=str(content.get("code_digest", "")),
        lock=str(content.get("lock") or ""),
        data=tuple(f"{source.name} {source.fingerprint}".strip() for source in sources),
        device=str(hardware.get("device", "")),
        started=str(content.get("started", "")),
        ended=str(content.get("ended", "")),
        resumes=int(content.get("resumes") or 0),
        command=str(content.get("command", "")),
        sources=sources,
        packages=tuple((str(name), str(version)) for name, version in sorted(_mapping(content.get("packages")).items())),
    )


def _mapping(value: Any) -> dict[str, Any]:
    """Return a part of the provenance that should be a mapping; an empty one where an edit made it something else."""
    return value if isinstance(value, dict) else {}


def _data_note(name: str, note: Any) -> DataNote:
    if not isinstance(note, dict):
        return DataNote(name, str(note))
    return DataNote(name, *(str(note.get(key, "")) for key in ("fingerprint", "licence", "rows", "origin", "verified")))


def advice(verdict: str, needed: int | None, finished: int, runs: tuple[str, ...], found: PaperResults) -> str:
    """Return what would decide an open claim: the seeds, and the time of the missing ones on the device that made the others.

    Args:
        verdict: word of the verdict.
        needed: seeds that would decide; None where that is not known.
        finished: seeds that are finished.
        runs: names of the runs that the claim reads.
        found: results of the paper.

    Returns:
        A sentence; empty where the verdict stands or no number of seeds is known.
    """
    if verdict not in {"inconclusive", "compatible"} or not needed or needed <= finished:
        return ""
    seconds, kinds = 0.0, set()
    for run in runs:
        seeds = len(found.seeds_of(run))
        total = float(found.results.select(run=run, metric="seconds", split="cost")["value"].sum())
        if not seeds or not total:
            return f"About {needed} seeds in all."
        seconds += total / seeds * (needed - finished)
        kinds |= {str((chunk.provenance.get("hardware") or {}).get("device", "")) for chunk in found.chunks_of(run)}
    device = ", ".join(sorted(kinds - {""}))
    return f"About {needed} seeds in all: {needed - finished} more take about {formatting.duration(seconds)}" + (
        f" on {device}." if device else "."
    )
