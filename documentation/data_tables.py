"""Which tier reads which data set, in how many runs and for how many hours of them."""

from __future__ import annotations

import importlib
from collections import defaultdict

from documentation.markdown import code, table, text
from replications.registry.papers import Paper
from replications.registry.run_grid import load_runs
from replications.registry.schema import TIERS


def page(papers: list[Paper]) -> str:
    """Return the page of data sets by paper and tier.

    Args:
        papers: whose runs are read.

    Returns:
        Markdown. A run that reads several data sets counts at each of them; data that are read as a stream are not listed.
    """
    rows = []
    for paper in papers:
        needs = importlib.import_module(f"replications.papers.{paper.name}.data").needs
        for tier in TIERS:
            hours: dict[str, float] = defaultdict(float)
            runs: dict[str, int] = defaultdict(int)
            kinds = set()
            for run in load_runs(paper.name, tier):
                kinds.add("GPU" if run.resources.gpus else "core")
                share = (
                    run.resources.gpus
                    if run.resources.gpus > 1
                    else run.resources.gpu_slots / 4
                    if run.resources.gpus
                    else run.resources.threads
                )
                for name in {source.name for source, _ in needs(run.settings)}:
                    hours[name] += run.resources.minutes * len(run.chunks()) * share / 60
                    runs[name] += 1
            unit = " and ".join(sorted(kinds))
            rows += [
                [code(name), text(paper.short), code(tier), str(runs[name]), f"{hours[name]:,.2f} {unit} hours"] for name in sorted(hours)
            ]
    introduction = (
        "What the runs of each tier read, and the hours that `runs.yaml` expects for them. Sizes and terms are under"
        " [Data sets](configuration.md#data-sets); `replications data fetch --paper PAPER --tier TIER` fetches what a tier needs."
    )
    return "\n\n".join(["# Data sets by tier", introduction, table(["data set", "paper", "tier", "runs", "expected"], rows)])
