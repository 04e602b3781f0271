"""In what the runs differ that one claim compares: data and code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from replications.results.store import Chunk


def differences(chunks: Mapping[str, Sequence[Chunk]]) -> Iterator[str]:
    """Return in what the chunks of different runs differ besides their settings, one sentence each.

    Args:
        chunks: the sound chunks of each run that a claim reads, by run; what differs inside one run its integrity check says.

    Returns:
        Sentences; none where the runs may be compared.
    """
    states = {run: {str(chunk.provenance.get("code_digest")) for chunk in of_run} for run, of_run in chunks.items() if of_run}
    if len(set(map(frozenset, states.values()))) > 1:
        listed = "; ".join(f"{run}: {', '.join(sorted(state)[:3])}" for run, state in states.items())
        yield f"The runs that are compared were made by different states of the code ({listed})."
    prints: dict[str, dict[str, set[str]]] = {}
    for run, of_run in chunks.items():
        for chunk in of_run:
            data = chunk.provenance.get("data")
            for source, note in data.items() if isinstance(data, dict) else ():
                fingerprint = str(note.get("fingerprint") if isinstance(note, dict) else note)
                prints.setdefault(source, {}).setdefault(fingerprint, set()).add(run)
    for source, runs in prints.items():
        if len(runs) > 1:
            listed = " and ".join(", ".join(sorted(names)) for names in runs.values())
            yield f"The runs that are compared saw different data of {source}: {listed}."
