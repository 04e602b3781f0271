"""The suite's state in git: commit, uncommitted edits, and the registration of claims."""

from __future__ import annotations

import functools
import subprocess
from datetime import UTC, datetime

from replications import paths
from replications.registry.yaml_models import entry_lines


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(paths.ROOT), *arguments], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def commit() -> str | None:
    """Return the commit that is checked out, or None outside a repository."""
    return _git("rev-parse", "HEAD")


def dirty() -> bool | None:
    """Return True when tracked files differ from the commit; None outside a repository."""
    status = _git("status", "--porcelain", "--untracked-files=no")
    return None if status is None else bool(status)


@functools.cache
def registrations(paper: str) -> dict[str, dict[str, str]]:
    """Return, for each claim, the newest commit that touched its entry in `paper.yaml`, so that its margin can be dated.

    Comments and blank lines are not part of an entry; content behind an alias is.

    Args:
        paper: name of the paper.

    Returns:
        Claim id -> {commit, date}; empty outside a repository. An uncommitted edit counts as commit 'uncommitted'.
    """
    blame = _git("blame", "--line-porcelain", "--", str(paths.PAPERS / paper / "paper.yaml"))
    if blame is None:
        return {}
    texts: list[str] = []
    edits: list[dict[str, str]] = []
    sha, when = "", ""
    for line in blame.split("\n"):
        if line.startswith("\t"):
            texts.append(line[1:])
            edits.append({"commit": "uncommitted" if set(sha) == {"0"} else sha, "date": when})
        elif line.startswith("committer-time "):
            when = datetime.fromtimestamp(int(line.split()[1]), UTC).isoformat(timespec="seconds")
        elif len(line.partition(" ")[0]) == 40:
            sha = line.partition(" ")[0]
    entries = entry_lines("\n".join(texts), "claims")
    return {claim: max((edits[line] for line in lines), key=lambda edit: edit["date"]) for claim, lines in entries.items()}
