"""What a command sets before it loads any library: how threads wait, what is drawn with, what a terminal gets, where modules are found."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from replications.errors import InputError
from replications.paths import ROOT
from replications.threads import wait_policy


def start() -> None:
    """Make this process independent of the terminal, notebook and folder in which it was started."""
    os.environ.update(wait_policy(os.environ) | DRAWING)
    for stream in (sys.stdout, sys.stderr):
        # A terminal may lack a character, such as a verdict's mark; the line is worth more than the mark.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.path[:] = without_working_folder(sys.path)


DRAWING = {"MPLBACKEND": "Agg"}
"""A notebook names a backend of its own for all programs that it starts, and importing Matplotlib fails where it is not installed."""


def without_working_folder(entries: list[str]) -> list[str]:
    """Return where modules are found, less the working folder, whose `queue.py` or `report.py` would be taken for a module.

    Args:
        entries: of `sys.path`; the first is the working folder in a process started by `python -m`.

    Returns:
        The entries; all of them where the working folder is the suite.
    """
    here = str(Path.cwd())
    return [entry for entry in entries if entry not in ("", here) or here == str(ROOT)]


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
