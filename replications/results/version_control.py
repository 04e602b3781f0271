"""The suite's state in git: commit and uncommitted edits."""

from __future__ import annotations

import subprocess

from replications import paths


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
