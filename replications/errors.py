"""Errors a user can act on. Each message says what is wrong, where, and what to do."""

import difflib
from collections.abc import Iterable


class ReplicationError(Exception):
    """Base of the suite's errors; the command exits with `exit_code` and prints the message alone."""

    exit_code = 1


class InputError(ReplicationError):
    """Wrong use or wrong input: a setting, a file, an identifier."""

    exit_code = 2


class DataError(InputError):
    """A data set is missing, incomplete, or not the one that was declared."""


class CheckpointError(ReplicationError):
    """Resumable state could not be written or read. What was there before is intact."""


class Preempted(ReplicationError):
    """The run was asked to stop. Its state is saved, and the same command continues it."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return a hint that names the closest valid choice and all of them, to end an error message with.

    Args:
        name: what was given.
        choices: the valid names.

    >>> nearest("gpus", ["gpu", "smoke"])
    "Did you mean 'gpu'? Valid: gpu, smoke."
    """
    known = sorted(choices)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    guess = f"Did you mean '{close[0]}'? " if close else ""
    listed = ", ".join(known[:40]) + (", ..." if len(known) > 40 else "")
    return f"{guess}Valid: {listed or '(none)'}."
