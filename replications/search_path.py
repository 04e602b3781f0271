"""Where modules are found. Imports nothing but what Python has loaded at its start, since an import could already find a user's file."""

import os
import sys

SUITE = __file__.removesuffix(f"{os.sep}replications{os.sep}search_path.py")


def own_modules_first() -> None:
    """Make this process find the suite's modules and packages before those of the working folder and of PYTHONPATH."""
    here = os.getcwd()  # noqa: PTH109 (pathlib is not imported yet)
    sys.path[:] = named_last(without_working_folder(sys.path, here), os.environ.get("PYTHONPATH", "").split(os.pathsep))


def without_working_folder(entries: list[str], here: str) -> list[str]:
    """Return where modules are found, less the working folder, whose `queue.py` or `report.py` would be taken for a module.

    Args:
        entries: of `sys.path`; the first is the working folder in a process that `python -m` started.
        here: the working folder.

    Returns:
        The entries; all of them where the working folder is the suite's own.
    """
    return [entry for entry in entries if entry not in ("", here) or here == SUITE]


def named_last(entries: list[str], named: list[str]) -> list[str]:
    """Return where modules are found, with what PYTHONPATH names behind everything else.

    Clusters' environment modules name packages of another Python there, which would be imported in place of the locked ones.

    Args:
        entries: of `sys.path`.
        named: entries of PYTHONPATH; the suite's own folder stays where it is.
    """
    later = {entry for entry in named if entry != SUITE}
    return sorted(entries, key=later.__contains__)
