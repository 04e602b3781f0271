"""Entry of `python -m documentation`, which writes the generated pages that `docs/` needs before MkDocs can build the site."""

from __future__ import annotations

import os
import sys

from replications.threads import wait_policy


def main() -> None:
    """Run the command; an expected error is printed as its message alone, and gives the exit code."""
    os.environ.update(wait_policy(os.environ))
    import typer

    from documentation.build import command
    from replications.errors import ReplicationError

    try:
        typer.run(command)
    except ReplicationError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
