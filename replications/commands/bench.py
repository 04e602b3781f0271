"""`bench`: interleaved benchmarks of our code against baselines, in one process."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from replications.commands.options import JsonOption
from replications.commands.output import print_rows
from replications.errors import InputError, nearest
from replications.paths import PAPERS
from replications.registry.papers import paper_names

if TYPE_CHECKING:
    from replications.engine.bench import Comparison


def comparisons() -> dict[str, Callable[[], Comparison]]:
    """List the speed comparisons of all papers: the public functions of their `bench.py`.

    Returns:
        '<paper>.<function>' -> function that sets up the comparison.
    """
    functions: dict[str, Callable[[], Comparison]] = {}
    for paper in paper_names():
        if (PAPERS / paper / "bench.py").is_file():
            module = importlib.import_module(f"replications.papers.{paper}.bench")
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if function.__module__ == module.__name__ and not name.startswith("_"):
                    functions[f"{paper}.{name}"] = function
    return functions


def _matching(name: str | None) -> dict[str, Callable[[], Comparison]]:
    """Return the comparisons of a paper, or the one of this name; all where no name is given.

    Raises:
        InputError: there is none; the message names the nearest valid name.
    """
    available = comparisons()
    matching = {key: make for key, make in available.items() if name in (None, key, key.partition(".")[0])}
    if name and not matching:
        valid = [*available, *{key.partition(".")[0] for key in available}]
        raise InputError(f"No comparison is called '{name}'. {nearest(name, valid)}")
    return matching


def bench(
    name: Annotated[str | None, typer.Argument(help="A paper, or paper.comparison; default: all.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each side, interleaved; medians are printed.")] = 7,
    threads: Annotated[int, typer.Option(min=1, help="Threads of both sides, each kept on a core of its own.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Interleaved benchmark against a baseline, in one process on the same input; reports the median ratio.

    Both sides run on one thread, kept on the core that is least busy, so that the ratios hold beside other programs.
    """
    import torch

    from replications.engine.bench import NotComparable, compare_speed
    from replications.engine.cores import on_idle_cores

    torch.set_num_threads(threads)
    rows = []
    with on_idle_cores(threads) as where:
        print(where, file=sys.stderr, flush=True)
        for key, make in _matching(name).items():
            print(f"{key} ...", file=sys.stderr, flush=True)
            try:
                rows.append({"id": key} | dataclasses.asdict(compare_speed(make(), rounds=rounds)))
            except NotComparable as reason:
                print(f"{key} is skipped: {reason}", file=sys.stderr, flush=True)
    print_rows(rows if as_json else [_line(row) for row in rows], as_json=as_json)


def _line(row: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that fit a terminal: ratios of wall and CPU time, and the expected minimum ratio."""
    return {
        "comparison": row["name"],
        "baseline": row["baseline_name"],
        "threads": row["threads"],
        "ours": f"{row['ours_per_second']:,.0f} {row['unit']}/s",
        "theirs": f"{row['baseline_per_second']:,.0f} {row['unit']}/s",
        "ratio": f"{row['ratio']:.2f}",
        "ratio of CPU time": f"{row['cpu_ratio']:.2f}",
        "promised": "" if row["at_least"] is None else f"{row['at_least']:g}",
    }
