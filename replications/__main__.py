"""Command line: `python -m replications`. Exit codes: 0 fine, 1 failed, 2 wrong use or wrong input."""

from __future__ import annotations

import sys

import typer

from replications.commands import bench, costs, data, drawing, judging, planning, reference, rehearsal, training
from replications.errors import ReplicationError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.command("list")(training.list_runs)
app.command("run")(training.run_runs)
app.command("plan")(planning.plan)
app.command("rehearse")(rehearsal.rehearse)
app.command("status")(planning.status)
app.add_typer(data.app, name="data")
app.command("claims")(judging.claims)
app.command("costs")(costs.costs)
app.command("cite")(judging.cite)
app.command("judge")(judging.judge)
app.command("merge-claims")(judging.merge_claims)
app.command("figures")(drawing.figures)
app.command("exhibits")(drawing.exhibits)
app.command("diff")(reference.diff)
app.command("promote")(reference.promote)
app.command("readme")(reference.readme)
app.command("bench")(bench.bench)


def main() -> None:
    """Run the command line, turning expected errors into their message and exit code."""
    try:
        app(standalone_mode=True)
    except ReplicationError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
