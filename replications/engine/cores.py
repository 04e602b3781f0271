"""Which cores a measurement runs on: those that other programs leave idle, so that its threads neither wait nor move."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

STATISTICS = Path("/proc/stat")
"""The kernel's count of what every core did, in hundredths of a second since the machine started."""
WATCHED = 0.5
"""Seconds for which the cores are watched before some are chosen."""
IDLE = (3, 4)
"""Columns of a core's line that count time without work: idle, and waiting for a disk."""


def busy_and_total(text: str) -> dict[int, tuple[int, int]]:
    r"""Return how long each core has worked, and how long it was watched.

    Args:
        text: content of `/proc/stat`.

    Returns:
        Core -> (busy, total), in hundredths of a second.

    >>> busy_and_total("cpu  9 9\ncpu0 5 0 1 80 4 0 0 0\ncpu12 1 0 1 8 0 0 0 0\nintr 3")
    {0: (6, 90), 12: (2, 10)}
    """
    cores = {}
    for line in text.splitlines():
        name, *counts = line.split()
        if name.startswith("cpu") and name != "cpu":
            times = [int(count) for count in counts[:8]]
            cores[int(name.removeprefix("cpu"))] = (sum(times) - sum(times[column] for column in IDLE), sum(times))
    return cores


def idlest(before: str, after: str, allowed: set[int], count: int) -> list[int]:
    """Return the cores that worked least between two looks at `/proc/stat`.

    Args:
        before: its content at the first look.
        after: its content at the second.
        allowed: cores that may be chosen.
        count: how many are wanted.

    Returns:
        At most `count` cores, the idlest first; of equal ones the last, since systems start their work on the first.
    """
    first, last = busy_and_total(before), busy_and_total(after)
    shares = {}
    for core in allowed & first.keys() & last.keys():
        busy, total = (now - then for now, then in zip(last[core], first[core], strict=True))
        shares[core] = busy / max(total, 1)
    return sorted(shares, key=lambda core: (shares[core], -core))[:count]


@contextlib.contextmanager
def on_idle_cores(threads: int) -> Iterator[str]:
    """Keep this process, and the threads that it starts in a block, on as many idle cores as it has threads.

    Args:
        threads: number of its threads.

    Yields:
        A sentence for the reader of what is measured.
    """
    plural = "s" if threads > 1 else ""
    if not hasattr(os, "sched_setaffinity") or not STATISTICS.is_file():
        yield f"Measured on {threads} thread{plural}; this system does not keep a thread on a core, so that other programs can move it."
        return
    before = STATISTICS.read_text(encoding="ascii")
    time.sleep(WATCHED)
    allowed = os.sched_getaffinity(0)
    chosen = idlest(before, STATISTICS.read_text(encoding="ascii"), allowed, threads)
    if len(chosen) < threads:
        yield f"Measured on {threads} threads, more than the {len(chosen)} cores that this process may use: they wait for each other."
        return
    os.sched_setaffinity(0, chosen)
    try:
        yield f"Measured on {threads} thread{plural}, kept on core{plural} {', '.join(map(str, chosen))}: the least busy of this machine."
    finally:
        os.sched_setaffinity(0, allowed)
