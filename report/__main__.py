"""Entry of `python -m report`."""

from __future__ import annotations

import sys

from replications.startup import start


def main() -> None:
    """Run the command; an expected error is printed as its message alone, and gives the exit code."""
    start()
    import typer

    from replications.errors import ReplicationError
    from report.command import command

    try:
        typer.run(command)
    except ReplicationError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
