"""The command line: every command and group of commands under its name."""

from __future__ import annotations

from typing import Annotated

import typer

from replications.commands import bench, claims, data, figures, listing, live, new, plan, results, schemas, status, training, trial
from replications.commands.options import examples
from replications.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog=examples("list --tier smoke", "claims show --source reference", "settings PAPER"),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"replications {__version__}")
        raise typer.Exit


@app.callback()
def replications(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Replicate papers: train, measure, judge, draw. Exit codes: 0 fine, 1 failed, 2 wrong use or wrong input."""


app.command("list", epilog=examples("list --tier gpu", "list --paper PAPER --json"))(listing.list_runs)
app.command("run", epilog=examples("run PAPER RUN --tier smoke", "run PAPER RUN --seeds 0-1 --device cpu"))(training.run_runs)
app.command("status", epilog=examples("status --tier gpu", "status --tier cpu --watch", "status --tier paper --paper PAPER --json"))(
    status.status
)
app.command("plan", epilog=examples("plan --tier gpu --gpus 1", "plan --tier paper --gpus 64 --budget 200"))(plan.plan)
app.add_typer(claims.app, name="claims")
app.command("figures", epilog=examples("figures PAPER --tier gpu", "figures PAPER --out drawn"))(figures.figures)
app.command("present", hidden=True)(figures.present)
app.add_typer(data.app, name="data")
app.add_typer(results.app, name="results")
app.command("settings", epilog=examples("settings PAPER", "settings PAPER --json"))(listing.settings)
app.command("new", epilog=examples("new attention_is_all", "new attention_is_all --title 'Attention'"))(new.new)
app.command("follow", hidden=True)(live.follow)
app.command("schemas", hidden=True, epilog=schemas.EPILOG)(schemas.schemas)
app.command("bench", epilog=examples("bench", "bench PAPER --threads 1"))(bench.bench)
app.command("trial", epilog=examples("trial --tier gpu --paper PAPER", "trial --tier paper --seeds 1 --out tried"))(trial.trial)
