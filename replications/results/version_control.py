"""The suite's state in git: commit and uncommitted edits, or why they are not known."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from replications import paths

OTHERS = """
    GIT_DIR GIT_COMMON_DIR GIT_WORK_TREE GIT_IMPLICIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX GIT_NAMESPACE GIT_CEILING_DIRECTORIES
    GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_GRAFT_FILE GIT_SHALLOW_FILE GIT_REPLACE_REF_BASE GIT_NO_REPLACE_OBJECTS
    GIT_CONFIG GIT_CONFIG_PARAMETERS GIT_CONFIG_COUNT
""".split()
"""Variables by which git answers for another repository, index or history, as in a program that a hook of another repository starts."""

SECONDS = 60
"""How long git may take; on a network file system it asks about every file."""


@dataclass(frozen=True)
class CodeState:
    """Which code runs, as git knows it.

    Attributes:
        commit: that is checked out; None where it is not known.
        dirty: True when files differ from the commit or code is in none; None where it is not known.
        unknown: why the two are None, as one sentence; empty where they are known.
    """

    commit: str | None
    dirty: bool | None
    unknown: str = ""


def code_state() -> CodeState:
    """Return which code runs. The answer of a repository that is not the suite's own is no answer.

    Returns:
        Commit and edits, or the reason why they are not known.
    """
    root = paths.ROOT.resolve()
    try:
        top = _git("rev-parse", "--show-toplevel")
        if not top or not _same(Path(top), root):
            return _unknown(
                f"{root} is no repository of its own but lies inside that of {top or 'a bare repository'}, which is another one"
            )
        commit = _git("rev-parse", "--verify", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=none")
        added = _git("ls-files", "--others", "--exclude-standard", "--", "replications")
    except FileNotFoundError:
        return _unknown("there is no git on this machine")
    except subprocess.TimeoutExpired:
        return _unknown(f"git gave no answer within {SECONDS} seconds")
    except subprocess.CalledProcessError as error:
        lines = [line.strip() for line in str(error.stderr).splitlines() if line.strip()]
        return _unknown(f"git says: {lines[0]}" if lines else f"git ended with {error.returncode}")
    except OSError as error:
        return _unknown(f"git cannot be started: {error.strerror}")
    return CodeState(commit, bool(changed or added))


def _unknown(reason: str) -> CodeState:
    return CodeState(None, None, f"The commit of the code is not known: {reason}.")


def _same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:
        return False


def _git(*arguments: str) -> str:
    """Return what git prints about the suite's folder.

    The folder is trusted although another user may own it, as in a container that mounts it: its code runs already.
    """
    settings = [word for setting in (f"safe.directory={paths.ROOT.resolve()}", "core.fsmonitor=false") for word in ("-c", setting)]
    command = ["git", *settings, "-C", str(paths.ROOT), *arguments]
    done = subprocess.run(
        command, env=_own_repository(os.environ), capture_output=True, text=True, errors="replace", timeout=SECONDS, check=True
    )
    return done.stdout.strip()


def _own_repository(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which git answers for the suite's folder, in English and without locks that jobs would wait for."""
    return {name: value for name, value in environment.items() if name not in OTHERS} | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
