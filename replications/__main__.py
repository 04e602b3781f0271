"""Entry of the command line: `replications`, or `python -m replications`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; an expected error is printed as its message alone, and gives the exit code."""
    # Read when OpenMP is loaded, so before any import of ours: a thread that spins while it waits slows down its neighbours.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from replications.commands.app import app
    from replications.errors import ReplicationError

    try:
        app(prog_name="replications")
    except ReplicationError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
