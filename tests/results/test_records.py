"""Records and artifacts come back as they were written; a failed write leaves what was there."""

import errno
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replications.errors import InputError, ReplicationError
from replications.files import replacing
from replications.registry.claims import Measure
from replications.registry.papers import Paper, load_paper
from replications.results import records as store
from replications.results.reader import NotMeasured, Results
from replications.results.records import COLUMNS, frame, read_artifacts, read_records, write_artifacts, write_records
from replications.results.store import chunks, collect

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
rows = st.fixed_dictionaries(
    {
        "paper": names,
        "run": names,
        "seed": st.integers(0, 2**40),
        "split": names,
        "step": st.integers(0, 2**40),
        "metric": names,
        "value": st.floats(),
        "unit": names,
    }
)


@given(st.lists(rows, max_size=5))
def test_records_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, content: list[dict[str, object]]) -> None:
    path = tmp_path_factory.mktemp("records") / "records.parquet"
    write_records(path, frame(content))
    pd.testing.assert_frame_equal(read_records(path), frame(content), check_exact=True)


def test_artifacts_come_back_with_type_and_shape(tmp_path: Path) -> None:
    arrays = {"paths": np.zeros((2, 3, 4), np.float32), "text": np.array(["a", "bc"]), "flag": np.array(True)}
    write_artifacts(tmp_path / "artifacts.npz", arrays)
    found = read_artifacts(tmp_path / "artifacts.npz")
    assert {name: (array.dtype, array.shape) for name, array in found.items()} == {n: (a.dtype, a.shape) for n, a in arrays.items()}
    with pytest.raises(InputError, match="holds Python objects"):
        write_artifacts(tmp_path / "artifacts.npz", {"bad": np.array([{}])})
    assert set(read_artifacts(tmp_path / "artifacts.npz")) == set(arrays)


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records.parquet"
    old = frame([dict(zip(COLUMNS, ("p", "r", 0, "", "test", 1, "", math.nan, "error", 1.5, "%"), strict=True))])
    write_records(path, old)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReplicationError, match=r"No space left on device.*unchanged") as caught:
        write_records(path, pd.concat([old, old]))
    assert str(path) in str(caught.value)
    monkeypatch.undo()
    pd.testing.assert_frame_equal(read_records(path), old)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise ZeroDivisionError
    assert path.read_text(encoding="utf-8") == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("", encoding="utf-8")
    with pytest.raises(ReplicationError, match=r"Cannot write .*results"):
        write_artifacts(tmp_path / "results" / "artifacts.npz", {})


def test_damaged_and_missing_files_say_what_to_do(tmp_path: Path) -> None:
    for name, reader in (("records.parquet", read_records), ("artifacts.npz", read_artifacts)):
        with pytest.raises(InputError, match=r"is missing\. Run its job again"):
            reader(tmp_path / name)
        (tmp_path / name).write_bytes(b"PK\x03\x04 half a file")
        with pytest.raises(InputError, match="Delete it and run its job again"):
            reader(tmp_path / name)
    pd.DataFrame({"seed": [1]}).to_parquet(tmp_path / "records.parquet")
    with pytest.raises(InputError, match="expected the columns"):
        read_records(tmp_path / "records.parquet")


def test_collecting_sorts_and_adds_the_cost(tmp_path: Path, finish: Callable[..., None]) -> None:
    finish("lady", error=[3.0], first=2)
    finish("lady", error=[1.0, 2.0])
    found = collect(partial(chunks, tmp_path / "results", "tea"), ["lady", "nobody"])
    test = found[found["split"] == "test"]
    assert test["value"].tolist() == [1, 2, 3]
    assert test["seed"].tolist() == [0, 1, 2]
    assert found[found["split"] == "cost"]["metric"].tolist() == ["seconds", "seconds"]
    assert collect(partial(chunks, tmp_path / "results", "tea"), ["nobody"]).empty


def test_seeds_in_two_chunks_count_once(tmp_path: Path, finish: Callable[..., None]) -> None:
    finish("lady", error=[9.0, 9.0])
    finish("lady", error=[1.0, 2.0, 3.0])
    found = collect(partial(chunks, tmp_path / "results", "tea"), ["lady"])
    assert found[found["split"] == "test"]["value"].tolist() == [1, 2, 3]
    finish("lady", error=[5.0, 6.0], first=2)
    assert collect(partial(chunks, tmp_path / "results", "tea"), ["lady"]).empty, "chunks that share seeds are withheld, see test_frauds"


def test_results_are_read_from_the_chunks_and_never_from_the_collected_table(results: Path, discovered: None) -> None:
    collected = collect(partial(chunks, results, "tea"), ["lady"])
    store.write_records(results / "tea" / "records.parquet", collected.assign(value=0.0))
    assert Results.read(load_paper("tea"), "gpu", results).final("lady", "error").tolist() == [1.3, 1.25, 1.35, 1.31, 1.2]


def test_a_measure_is_the_last_record_of_each_seed_or_that_of_its_step(make_paper: Callable[..., Paper], tmp_path: Path) -> None:
    base = {"paper": "tea", "run": "lady", "split": "test", "metric": "error", "unit": "%"}
    values = [(0, 10, 5.0), (0, 20, 4.0), (1, 20, 3.0), (1, 10, 6.0)]
    results = Results(make_paper(), "gpu", tmp_path, frame([base | {"seed": s, "step": t, "value": v} for s, t, v in values]))
    assert results.final("lady", "error").to_dict() == {0: 4.0, 1: 3.0}
    assert results.values(Measure(run="lady", metric="error", step=10)).to_dict() == {0: 5.0, 1: 6.0}
    with pytest.raises(InputError, match=r"no metric 'errors' is recorded\. Did you mean 'error'"):
        results.final("lady", "errors")
    assert results.final("guest", "error").empty


def test_a_record_is_selected_by_model_axis_and_position(make_paper: Callable[..., Paper], tmp_path: Path) -> None:
    base = {"paper": "tea", "run": "lady", "seed": 0, "split": "test", "step": 0, "metric": "error", "unit": "%"}
    rows = [base | {"model": "green", "axis": "cups", "at": cups, "value": float(cups)} for cups in (2, 4)]
    rows += [base | {"model": "black", "value": 7.0}]
    results = Results(make_paper(), "gpu", tmp_path, frame(rows))
    assert results.final("lady", "error", model="green", axis="cups", at=4).to_dict() == {0: 4.0}
    assert results.final("lady", "error", model="black").to_dict() == {0: 7.0}
    assert results.select(run="lady", axis="cups")["at"].tolist() == [2, 4]
    for wrong, message in (({"model": "blue"}, "no model 'blue'"), ({"model": "green", "axis": "cups", "at": 3}, "no at '3.0'")):
        with pytest.raises(InputError, match=message):
            results.final("lady", "error", **wrong)
    with pytest.raises(ValueError, match="belong together"):
        results.final("lady", "error", model="green", axis="cups")


def test_a_run_that_no_tier_plans_is_an_error_in_whoever_reads_it(make_paper: Callable[..., Paper], tmp_path: Path) -> None:
    results = Results(make_paper(), "gpu", tmp_path, frame([]), frozenset({"lady"}))
    assert results.final("lady", "error").empty
    for ask in (lambda: results.final("lad", "error"), lambda: results.select(run="lad"), lambda: results.need("lad")):
        with pytest.raises(InputError, match=r"plans no run 'lad' at any tier\. Did you mean 'lady'"):
            ask()


def test_artifacts_are_cut_by_seed_and_their_faults_named(
    finish: Callable[..., None], make_paper: Callable[..., Paper], read: Callable[..., Results]
) -> None:
    finish("cells", arrays={"score": np.array([[1.0, 2.0], [3.0, 4.0]])})
    finish("cells", arrays={"score": np.array([[5.0, 6.0]])}, first=2)
    found = read(make_paper()).by_seed("cells", "score")
    assert {seed: arrays[0].tolist() for seed, arrays in found.items()} == {0: [1, 2], 1: [3, 4], 2: [5, 6]}
    with pytest.raises(InputError, match=r"no artifact 'scores'\. Did you mean 'score'"):
        read(make_paper()).by_seed("cells", "scores")
    with pytest.raises(NotMeasured):
        read(make_paper()).by_seed("nobody", "score")
    finish("other", error=[1.0, 2.0, 3.0], arrays={"score": np.zeros((2, 5))})
    with pytest.raises(InputError, match="has 2 rows for 3 seeds"):
        read(make_paper()).by_seed("other", "score")


def test_results_know_which_runs_were_read_and_not_only_asked_about(
    finish: Callable[..., None], make_paper: Callable[..., Paper], read: Callable[..., Results]
) -> None:
    for run in ("lady", "guest", "robot", "cells"):
        finish(run, error=[1.0], arrays={"score": np.zeros((1, 2))})
    results = read(make_paper())
    results.need("lady", "guest")
    assert results.finished("robot")
    with pytest.raises(InputError):
        results.final("lady", "errors")
    assert results.used == set()
    results.final("lady", "error")
    results.artifacts("guest")
    results.by_seed("cells", "score")
    assert results.used == {"lady", "guest", "cells"}
    assert results.unused().used == set()
    assert set(results.select(metric="error")["run"]) == results.used == {"lady", "guest", "cells", "robot"}
