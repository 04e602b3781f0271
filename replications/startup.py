"""What a command sets before it loads any library: how threads wait, what draws, what a terminal and caches get."""

from __future__ import annotations

import getpass
import io
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from replications.errors import InputError, ReplicationError
from replications.paths import ROOT
from replications.threads import wait_policy


def start() -> None:
    """Make this process independent of the terminal, notebook and home folder with which it was started."""
    os.environ.update(wait_policy(os.environ) | DRAWING | cache_home(os.environ) | user_name())
    for stream in (sys.stdout, sys.stderr):
        # A terminal may lack a character, such as a verdict's mark; the line is worth more than the mark.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


DRAWING = {"MPLBACKEND": "Agg"}
"""A notebook names a backend of its own for all programs that it starts, and importing Matplotlib fails where it is not installed."""


def cache_home(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that name folders for caches where the user has no home folder that can be written.

    A container that runs as a user without an account has no home folder, or `/`. Every library then fails in its own way; Matplotlib
    makes a folder that ends with the process, and looks through all fonts anew in every job.

    Args:
        environment: of this process; folders that it names are kept.

    Returns:
        Empty where `~/.cache` serves; else XDG_CACHE_HOME, a folder of this user alone among the machine's temporary files, and
        MPLCONFIGDIR, a folder in it.

    Raises:
        ReplicationError: that folder belongs to somebody else.
    """
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (pathlib raises where there is no home folder)
    caches = home / ".cache"
    if home.is_absolute() and os.access(caches if os.access(caches, os.F_OK) else home, os.W_OK | os.X_OK):
        return {}
    named = environment.get("XDG_CACHE_HOME")
    folder = Path(named) if named else _own_temporary_folder()
    folders = {"XDG_CACHE_HOME": str(folder), "MPLCONFIGDIR": str(folder / "matplotlib")}
    return {name: path for name, path in folders.items() if not environment.get(name)}


def _own_temporary_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"replications-cache-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise ReplicationError(
            f"There is no home folder for caches, and {folder} is not this user's alone. Name a folder in XDG_CACHE_HOME that can be written."
        )
    return folder


def user_name() -> dict[str, str]:
    """Return the variable that names the user where the system knows no account, and libraries that ask for the name fail.

    Returns:
        Empty where the name is known; else LOGNAME with the user's number.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # the latter since Python 3.13
        return {"LOGNAME": str(os.getuid())}
    return {}


def module_search(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which processes started from here find the suite, and no module in their working folder.

    Args:
        environment: of this process; what its PYTHONPATH names comes after the suite.

    Returns:
        Variable -> value.

    Raises:
        InputError: the suite lies in a folder that a list of paths cannot name.
    """
    return {"PYTHONPATH": first_in_list(str(ROOT), "PYTHONPATH", environment), "PYTHONSAFEPATH": "1"}


def first_in_list(path: str, name: str, environment: Mapping[str, str]) -> str:
    """Return a variable that lists paths with one more in front.

    Args:
        path: the first entry.
        name: of the variable.
        environment: where the variable is; its empty entries, which stand for the working folder, are left out.

    Returns:
        The new value.

    Raises:
        InputError: the path holds the character that separates entries.
    """
    if os.pathsep in path:
        raise InputError(f"{path} has '{os.pathsep}' in its path, which separates the entries of {name}. Move it to another folder.")
    return os.pathsep.join(dict.fromkeys([path, *filter(None, environment.get(name, "").split(os.pathsep))]))
