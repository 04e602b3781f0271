"""Entry of `python -m report`."""

from __future__ import annotations

import sys

from replications.search_path import own_modules_first


def main() -> None:
    """Run the command; an expected error is printed as its message alone, and gives the exit code."""
    own_modules_first()
    from replications.errors import ReplicationError
    from replications.startup import start

    try:
        start()
        import typer

        from report.command import command

        typer.run(command)
    except ReplicationError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
