"""Values are read by place; a slow loop over all records finds the same ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from replications.errors import InputError
from replications.registry.claims import Measure
from replications.registry.papers import Paper
from replications.results.reader import Results

N = 600


@pytest.fixture
def results(make_paper: Callable[..., Paper], tmp_path: Path) -> Results:
    """Records in a random order, some steps recorded twice."""
    draw = np.random.default_rng(3)
    columns = {
        "run": draw.choice(["lady", "guest"], N),
        "seed": draw.integers(0, 4, N),
        "model": draw.choice(["", "small"], N),
        "split": draw.choice(["test", "train"], N),
        "step": draw.integers(1, 4, N),
        "axis": draw.choice(["", "cups"], N),
        "at": draw.choice([1.0, 2.0], N),
        "metric": draw.choice(["error", "loss"], N),
        "value": draw.random(N),
        "unit": "%",
    }
    return Results(make_paper(), "gpu", tmp_path, pd.DataFrame(columns))


def test_values_are_those_of_a_search_of_all_records(results: Results) -> None:
    for run, metric, split, model, (axis, at), step in itertools.product(
        ("lady", "guest"), ("error", "loss"), ("test", "train"), ("", "small"), (("", None), ("cups", 2.0)), ("last", 2)
    ):
        expected: dict[int, tuple[int, float]] = {}
        for row in results.records.itertuples():
            if (row.run, row.metric, row.split, row.model, row.axis) != (run, metric, split, model, axis):
                continue
            if (at is not None and row.at != at) or step not in ("last", row.step):
                continue
            if row.seed not in expected or row.step >= expected[row.seed][0]:
                expected[row.seed] = (row.step, row.value)
        measure = Measure.model_validate(
            {"run": run, "metric": metric, "split": split, "model": model, "axis": axis, "at": at, "step": step}
        )
        assert results.values(measure).to_dict() == {seed: expected[seed][1] for seed in sorted(expected)}
        assert results.unit(measure) == "%"
        assert results.recorded(run, metric, split, model=model, axis=axis, at=at)


def test_what_is_read_is_remembered_and_what_a_run_lacks_is_an_error(results: Results) -> None:
    assert results.used == set()
    results.values(Measure(run="guest", metric="error"))
    assert results.used == {"guest"}
    assert not results.recorded("lady", "error", "validation")
    assert results.values(Measure(run="robot", metric="error")).empty
    with pytest.raises(InputError, match=r"lady: error: no split 'validation' is recorded"):
        results.values(Measure(run="lady", metric="error", split="validation"))
    assert results.used == {"guest"}
