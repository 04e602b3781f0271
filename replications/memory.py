"""Memory that this machine, or the container that this process runs in, still has for new work."""

from __future__ import annotations

import contextlib
from pathlib import Path

MEMORY_INFO = Path("/proc/meminfo")
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Memory that a container may use in all, cgroup version 2 and 1; 'max' or a huge number where there is no limit."""


def available_gb() -> float | None:
    """Return the memory that a new process may use without swapping, in GB (10^9 bytes).

    Returns:
        The kernel's estimate (`MemAvailable`), at most the limit of the container; None on systems without it.
    """
    try:
        fields = dict(line.split(":", 1) for line in MEMORY_INFO.read_text(encoding="ascii").splitlines() if ":" in line)
        amounts = [int(fields["MemAvailable"].split()[0]) * 1024]
    except (OSError, KeyError, ValueError):
        return None
    for limit in LIMITS:
        with contextlib.suppress(OSError, ValueError):  # 'max' is no number
            amounts.append(int(limit.read_text(encoding="ascii")))
    return min(amounts) / 1e9
