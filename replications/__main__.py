"""Entry of the command line: `replications`, or `python -m replications`."""

from __future__ import annotations

import sys

from replications.startup import start


def main() -> None:
    """Run the command line; an expected error is printed as its message alone, and gives the exit code."""
    start()
    from replications.commands.app import app
    from replications.errors import ReplicationError

    try:
        app(prog_name="replications")
    except ReplicationError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
