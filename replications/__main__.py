"""Entry of the command line: `replications`, or `python -m replications`."""

from __future__ import annotations

import sys

from replications.search_path import own_modules_first


def main() -> None:
    """Run the command line; an expected error is printed as its message alone, and gives the exit code."""
    own_modules_first()
    from replications.errors import ReplicationError
    from replications.startup import start

    try:
        start()
        from replications.commands.app import app

        app(prog_name="replications")
    except ReplicationError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
