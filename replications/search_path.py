"""Where modules are found. Imports nothing but what Python has loaded at its start, since an import could already find a user's file."""

import os
import sys


def leave_working_folder() -> None:
    """Stop this process from finding modules in the working folder, whose `queue.py` or `report.py` would be taken for a module."""
    sys.path[:] = without_working_folder(sys.path, os.getcwd())  # noqa: PTH109 (pathlib is not imported yet)


def without_working_folder(entries: list[str], here: str) -> list[str]:
    """Return where modules are found, less the working folder.

    Args:
        entries: of `sys.path`; the first is the working folder in a process that `python -m` started.
        here: the working folder.

    Returns:
        The entries; all of them where the working folder is the suite's own.
    """
    suite = __file__.removesuffix(f"{os.sep}replications{os.sep}search_path.py")
    return [entry for entry in entries if entry not in ("", here) or here == suite]
