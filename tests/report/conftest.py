"""A paper that does not exist, with results written by the suite's own writers, so that reports can be built in seconds."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import replications
import replications.papers
from replications import paths
from replications.presentation.claims_csv import write_claims_csv
from replications.presentation.exhibits import write_exhibit
from replications.presentation.figure_writer import write_figure
from replications.presentation.judging import judge_paper
from replications.presentation.metadata import write_index
from replications.presentation.tables import write_table
from replications.registry import papers as spec
from replications.registry import run_grid as grid
from replications.registry.scale import claim_digests, scales
from replications.results.reader import Results
from replications.source_code import public_functions
from tests.factories import write_finished

HOSTILE = "<script>alert('x')</script> & \"quotes\" #let x = 1 $x_1^2$ *bold* [link](http://example.org) \\textbf{x}"
PAPER = "lantern_reading"
STAMP = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)

PAPER_YAML = """
short: Lantern reading
question: Does a small reader find a digit in a large field by choosing where to look?
citation:
  title: "Reading by Lantern: Where to Look & What to See"
  authors: ["Émile Durand", "Ada Okafor", "Li Wei"]
  year: 2014
  venue: Proceedings of Imaginary Systems
  arxiv: 1400.00001v1
  url: https://arxiv.org/abs/1400.00001
cites:
  other:
    title: An earlier lantern
    authors: ["Grace Hopper", "Alan Turing"]
    year: 1999
    venue: Journal of Lamps
tables:
  table-1a:
    title: "Reading error on small fields"
    location: v1, table 1a
    measures:
      error: {label: test error, metric: error, unit: "%", better: lower}
    versions:
      v1: {label: arXiv v1, evidence: paper}
      journal: {label: journal, evidence: recalled}
    rows:
      - {label: "Fully connected, 2 x 256", published: {v1: 1.35, journal: 1.69}, run: dense}
      - {label: "Lantern, 4 looks", published: {v1: 1.73, journal: 1.54}, run: looks-4}
      - {label: "Lantern, 6 looks", published: {v1: 1.29, journal: 1.12}, run: looks-6}
      - {label: "Lantern, 8 looks", published: {v1: 1.47}, run: looks-8}
      - {label: "Convolution", published: {journal: 1.21}}
      - {label: "Modern convolution", run: modern, ours_only: true}
  table-2:
    title: "Error and cost"
    location: v1, table 2
    measures:
      error: {label: test error, metric: error, unit: "%", better: lower}
      looks: {label: looks, metric: looks_used, better: lower, digits: 1}
      oil: {label: oil, metric: oil_burnt, unit: ml, better: lower, digits: 0}
    versions:
      v1: {label: v1, evidence: paper}
      reprint: {label: reprint, evidence: paper}
    rows:
      - {label: "Lantern, 6 looks", published: {v1: {error: 1.29, looks: 6, oil: 30}, reprint: {error: 1.30}}, run: looks-6}
    note: "Looks are counted until the reader stops."
claims:
  - id: six-looks
    claim: Six looks reach an error of 1.29 % on small fields.
    location: v1, table 1a
    evidence: paper
    kind: value
    primary: true
    published: 1.29
    margin: 0.4
    better: lower
    unit: "%"
    reason: Three seed standard deviations of a pilot, and above two standard errors of the test set.
    measure: {run: looks-6, metric: error}
    statements: [look-a]
    seeds: 5
    tiers: {smoke: {proxy: fields of 8 by 8 pixels}, gpu: {}}
  - id: four-looks
    claim: Four looks reach an error of 1.73 %.
    location: v1, table 1a
    evidence: paper
    kind: value
    published: 1.73
    margin: 0.2
    better: lower
    unit: "%"
    reason: As for six looks.
    measure: {run: looks-4, metric: error}
    tiers: {smoke: {proxy: fields of 8 by 8 pixels}, gpu: {}}
  - id: looks-beat-dense
    claim: Looking six times beats reading the whole field at once.
    location: v1, section 4
    evidence: paper
    kind: order
    better: lower
    reason: Any difference counts.
    published_text: 1.29 against 1.35 %
    unit: "%"
    ranking: [{run: looks-6, metric: error}, {run: dense, metric: error}]
    tiers: {smoke: {proxy: fields of 8 by 8 pixels}, gpu: {proxy: fields of 8 by 8 pixels}}
  - id: more-looks-help
    claim: Error falls with the number of looks.
    location: v1, figure 2
    evidence: secondary
    kind: trend
    published_text: falls steadily
    statistic: slope
    range: [-1.0, -0.01]
    points:
      - {run: looks-4, metric: error, x: 4}
      - {run: looks-6, metric: error, x: 6}
    reason: A slope of 0.01 a look would be visible in the published table.
    tiers: {smoke: {proxy: fields of 8 by 8 pixels}, gpu: {}}
  - id: dense-error
    claim: The dense reader reaches 1.35 %.
    location: v1, table 1a
    evidence: recalled
    kind: value
    published: 1.35
    margin: 0.3
    better: lower
    unit: "%"
    reason: As for six looks.
    measure: {run: dense, metric: error}
    tiers: {smoke: {proxy: fields of 8 by 8 pixels}, gpu: {}}
  - id: eight-looks
    claim: 'HOSTILE'
    location: v1, table 1a
    evidence: paper
    kind: value
    published: 1.47
    margin: 0.2
    better: lower
    unit: "%"
    reason: 'HOSTILE'
    measure: {run: looks-8, metric: error}
    statements: [look-a, look-b]
    tiers: {smoke: {proxy: fields of 8 by 8 pixels}, gpu: {}}
  - id: large-fields
    claim: The reader also works on fields of 100 by 100.
    location: v1, table 2b
    evidence: paper
    kind: value
    published: 5.2
    margin: 0.5
    better: lower
    unit: "%"
    reason: As for six looks.
    measure: {run: large, metric: error}
    statements: [look-c]
    tiers: {paper: {}}
illustrates: {error_by_looks: [look-d], looking: [look-a, look-d], never_measured: [look-e]}
deviations:
  - {what: Optimiser, paper: SGD with momentum, ours: Adam, effect: better, reason: Reaches the same loss in fewer steps on small machines.}
  - {what: Field, paper: 60 by 60 pixels, ours: 8 by 8 pixels, effect: unknown, reason: 'HOSTILE'}
"""

STATEMENTS_YAML = """
topics:
  - title: Looking
    statements:
      - {id: look-a, sentence: A few looks suffice., note: The paper looks six times.}
      - {id: look-b, sentence: 'HOSTILE'}
      - {id: look-c, sentence: Large fields are read too.}
  - title: Lamps
    statements:
      - {id: look-d, sentence: Looking is a path.}
      - {id: look-e, sentence: Lamps need oil.}
"""

RUNS_YAML = """
tiers:
  smoke:
    seeds: 3
    runs:
      "looks-{looks}": {grid: {looks: [4, 6, 8]}}
      dense: {settings: {looks: 1}}
  gpu: {extends: smoke}
  paper: {runs: {modern: {}, large: {}}}
"""

SETTINGS = '''
"""Settings."""
from pydantic import Field
from replications.registry.settings import RunSettings
class Settings(RunSettings):
    looks: int = Field(6, description="Looks a field.")
    learning_rate: float = Field(0.003, description="Step size.")
'''

FIGURES = '''
"""Figures."""
from replications.presentation import theme
from replications.presentation.figure_writer import Figure
from replications.presentation.tidy_table import published_and_ours
def error_by_looks(results):
    """Test error by the number of looks; every dot is a seed, open diamonds are published values."""
    results.need("looks-4", "looks-6")
    figure, axes = theme.canvas(height=2.4)
    rows = published_and_ours(results, "table-1a")
    ours = rows[(rows["version"] == "ours") & rows["run"].str.startswith("looks-", na=False)]
    looks = ours["run"].str.removeprefix("looks-").astype(int)
    theme.dots(axes[0, 0], looks, ours["value"], colour=theme.PALETTE[0], label="ours <&>")
    theme.published(axes[0, 0], [4, 6, 8], [1.73, 1.29, 1.47], colour=theme.PALETTE[1], label="published, v1")
    axes[0, 0].set(xlabel="looks", ylabel="test error (%)")
    axes[0, 0].legend()
    alt = "Test error falls with the number of looks."
    return Figure(figure, ours, alt=alt, title="Error by looks", runs=sorted(set(ours["run"])))
def never_measured(results):
    """Needs a run that no tier has."""
    results.need("large")
'''

EXHIBITS = '''
"""Exhibits."""
from replications.presentation.exhibits import Exhibit
def looking(results):
    """Where the reader looks, step by step."""
    results.artifacts("looks-6")
    return Exhibit("Looking", "A path of looks over a field.", {"path": [1, 2, "</script><b>"]}, figure="error_by_looks")
'''

PAGE = (
    '<!doctype html><html lang="en"><title>Looking</title><body><p id="p"></p>'
    "<script>const data = /*DATA*/null; p.textContent = data.path;</script></body></html>"
)

SECTION = r"""
## Scope

We ask whether a reader that looks {{ setting("looks-6", "looks") }} times reads as well as {{ cite("paper") }} say;
see also {{ cite("other") }}.

## Method

The reader maximises the expected reward $J(\theta) = \mathbb{E}_{p(s_{1:T};\theta)}\left[\sum_t r_t\right]$ with the estimate

$$\nabla_\theta J \approx \frac{1}{M}\sum_{i=1}^{M} \sum_{t=1}^{T} \nabla_\theta \log \pi(u_t^i \mid s_{1:t}^i; \theta)\,(R^i - b_t)$$

Training uses Adam at {{ setting("looks-6", "learning_rate") }}. | is no table, `x < 1` is code, and *this* is **strong**.

| part | size |
| --- | --- |
| reader | {{ seeds("looks-6") }} seeds |

- one
- two

## Results

Six looks reach {{ value("looks-6", "error") }} ({{ interval("looks-6", "error") }}), the paper
{{ published("table-1a", "Lantern, 6 looks", "v1") }}:
{{ verdict("six-looks") }}. On large fields: {{ value("large", "error") }}. It took {{ cost("looks-6", "seconds") }}.

{{ figure("error_by_looks") }}

## What was easy

The task.
"""


def write_run(results: Path, run: str, seeds: range, error: float, **provenance: object) -> None:
    """Write a finished chunk of the invented paper, its error scattered about `error`, with all that a report prints of a chunk."""
    noise = np.random.default_rng(sum(run.encode())).normal(0, 0.06, 20)
    metrics = {"error": [error + noise[seed] for seed in seeds], "looks_used": [5.0 + seed / 10 for seed in seeds]}
    runs = grid.load_runs(PAPER, "gpu")
    content: dict[str, object] = {
        "settings": next((plan.settings.model_dump(mode="json") for plan in runs if plan.name == run), {}),
        "code_digest": "c0de", "commit": "0123456789abcdef0123456789abcdef01234567", "lock": "10c4", "resumes": 0,
        "packages": {"python": "3.11.7", "snakemake": "9.27.1", "unheard-of": "1"},
        "hardware": {"device": "Imaginary CPU, 2 cores", "kind": "cpu"},
        "data": {"digits/test": {"fingerprint": "feedbeef", "licence": "CC0", "rows": "360"}},
        "started": "2026-01-01T10:00:00+00:00", "ended": "2026-01-01T10:05:00+00:00",
        "command": f"python -m replications run {PAPER} {run} --tier gpu --seeds {seeds[0]}-{seeds[-1]}",
        "claims": claim_digests(spec.load_paper(PAPER), "gpu", run, scales(runs)),
        "tables": {name: table.digest for name, table in spec.load_paper(PAPER).tables.items()},
        "cost": {"seconds": 41.5, "train_seconds": 38.0, "examples": 1.2e6, "flops": 3.4e12, "peak_memory": 3e8},
    }  # fmt: skip
    arrays = {"path": np.zeros((len(seeds), 3))}
    write_finished(results, PAPER, run, seeds, metrics, units={"error": "%"}, arrays=arrays, **(content | provenance))


def write_paper(package: Path) -> None:
    """The paper's folder."""
    folder = package / PAPER
    (folder / "exhibits").mkdir(parents=True)
    texts = {"__init__.py": "", "settings.py": SETTINGS, "figures.py": FIGURES, "exhibits.py": EXHIBITS, "section.md": SECTION}
    quoted = HOSTILE.replace("'", "''")
    texts |= {"paper.yaml": PAPER_YAML.replace("HOSTILE", quoted), "runs.yaml": RUNS_YAML, "exhibits/looking.html": PAGE}
    (package / "statements.yaml").write_text(STATEMENTS_YAML.replace("HOSTILE", quoted), encoding="utf-8")
    for path, text in texts.items():
        (folder / path).write_text(text, encoding="utf-8")


def write_runs(results: Path) -> None:
    """All runs of the small tier."""
    for run, error in (("looks-4", 1.9), ("looks-6", 1.31), ("looks-8", 1.05), ("dense", 1.45)):
        write_run(results, run, range(3), error)


def write_derived(results: Path) -> None:
    """Verdicts, tables, figures and exhibits from the runs."""
    read = Results.read(spec.load_paper(PAPER), "gpu", results)
    for table in read.paper.tables:
        write_table(table, read, results / PAPER / "tables")
    for module, write in (("figures", write_figure), ("exhibits", write_exhibit)):
        loaded = importlib.import_module(f"replications.papers.{PAPER}.{module}")
        names = public_functions(read.paper.folder / f"{module}.py")
        for function in names:
            write(getattr(loaded, function), read, results / PAPER / module)
        write_index(results / PAPER / module, names)
    write_claims_csv(results / "claims.csv", judge_paper(read))


@contextmanager
def only_papers_in(package: Path) -> Iterator[None]:
    """Make the papers in `package` the only ones that discovery finds."""
    before = paths.PAPERS
    paths.PAPERS = package
    replications.papers.__path__.append(str(package))
    forget()
    try:
        yield
    finally:
        paths.PAPERS = before
        replications.papers.__path__.remove(str(package))
        for module in [module for module in sys.modules if module.startswith(f"replications.papers.{PAPER}")]:
            del sys.modules[module]
        forget()


def forget() -> None:
    """Drop everything cached about papers."""
    spec.load_paper.cache_clear()
    grid.load_runs.cache_clear()
    importlib.invalidate_caches()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where the invented paper and its finished results are, made once."""
    package, results = tmp_path_factory.mktemp("package"), tmp_path_factory.mktemp("results") / "gpu"
    with only_papers_in(package):
        write_paper(package)
        forget()
        write_runs(results)
        write_derived(results)
    return package, results


@pytest.fixture(scope="module")
def finished(made: tuple[Path, Path]) -> Iterator[Path]:
    """A finished results folder of the invented paper; tests that change it take a copy.

    The real papers are back as soon as a test of another module runs, whatever order the tests are dealt in.
    """
    package, results = made
    with only_papers_in(package):
        yield results


@pytest.fixture
def results(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished results that a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "gpu"))


@pytest.fixture
def edit_json() -> Callable[..., None]:
    """Change keys of a JSON file."""

    def edit(path: Path, **changes: object) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


@pytest.fixture(scope="session")
def hostile() -> str:
    """Text that HTML, Markdown, Typst and LaTeX would each like to read as something else."""
    return HOSTILE


@pytest.fixture(scope="session")
def stamp() -> datetime:
    """A fixed time of building."""
    return STAMP
