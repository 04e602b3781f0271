"""Planted frauds: whoever shows a verdict, a number or a figure withholds what its run did not write."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from replications.commands.app import app
from replications.errors import InputError
from replications.presentation.judging import judge_paper
from replications.presentation.tables import compare
from replications.registry import run_grid
from replications.registry.papers import load_paper, load_papers
from replications.registry.run_grid import settings_digest
from replications.registry.settings import RunSettings
from replications.results.contradictions import contradictions
from replications.results.promotion import promote
from replications.results.provenance import read_provenance, write_provenance
from replications.results.reader import NotMeasured, Results
from replications.results.records import frame, read_records, write_records
from replications.results.store import PROVENANCE, RECORDS, write_chunk

Finish = Callable[..., None]
HONEST = [1.3, 1.25, 1.35, 1.31, 1.2]


def chunk(results: Path, run: str = "lady", seeds: str = "0-4") -> Path:
    return results / "tea" / run / f"seeds-{seeds}"


def call(*arguments: object) -> str:
    shown = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False, env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    return shown.output


def everywhere(results: Path, why: str) -> None:
    """Every reader gives the same answer: the verdict is withheld and says why, and nobody gets a number."""
    read = Results.read(load_paper("tea"), "gpu", results)
    (verdict,) = judge_paper(read)
    assert (verdict.verdict, verdict.ours, verdict.p) == ("withheld", None, None)
    assert why in verdict.reason
    assert why in " ".join(verdict.integrity)
    (row,) = json.loads(call("claims", "show", "--tier", "gpu", "--results", results, "--json"))
    assert (row["verdict"], row["ours"]) == ("withheld", None)
    assert "withheld" in call("claims", "show", "--tier", "gpu", "--results", results)
    assert ": withheld" in call("claims", "cite", "tea.lady-error", "--tier", "gpu", "--results", results)
    call("claims", "judge", "tea", "--tier", "gpu", "--results", results)
    assert pd.read_csv(results / "tea" / "claims.csv")["verdict"].tolist() == ["withheld"]
    assert "lady" not in set(read_records(results / "tea" / "records.parquet")["run"])
    assert compare("cups", read).absences[0] == "withheld"
    with pytest.raises(NotMeasured, match="needs lady, whose records are withheld"):
        read.need("lady")
    with pytest.raises(NotMeasured, match="withheld"):
        read.artifacts("lady")
    with pytest.raises(InputError, match="in doubt"):
        promote(results, results / "reference", load_papers())


def test_honest_records_are_judged(results: Path) -> None:
    (verdict,) = judge_paper(Results.read(load_paper("tea"), "gpu", results))
    assert (verdict.verdict, verdict.integrity) == ("replicated", ())


@pytest.mark.parametrize("keep_hash", [True, False])
def test_a_value_edited_by_hand(results: Path, keep_hash: bool) -> None:
    path = chunk(results) / RECORDS
    records = read_records(path)
    records.loc[0, "value"] += 30
    write_records(path, records)
    if not keep_hash:
        content = read_provenance(chunk(results) / PROVENANCE)
        del content["sha256"]
        write_provenance(chunk(results) / PROVENANCE, content)
    everywhere(results, "SHA-256")


@pytest.mark.parametrize("jitter", [0.0, 1e-6])
@pytest.mark.parametrize("chunks", [1, 5])
def test_one_training_under_several_seed_numbers(results: Path, jitter: float, chunks: int) -> None:
    """The forger writes whole chunks with the suite's own writer, so that every hash is right."""
    place = chunk(results)
    records, content = read_records(place / RECORDS), read_provenance(place / PROVENANCE)
    shutil.rmtree(place)
    one = records[records["seed"] == 0]
    noise = np.random.default_rng(0)
    for seeds in np.array_split(np.arange(5), chunks):
        rows: list[dict[str, Any]] = [
            dict(row) | {"seed": int(seed), "value": row["value"] * (1 + jitter * noise.uniform(-1, 1))}
            for seed in seeds
            for _, row in one.iterrows()
        ]
        whole = [int(seed) for seed in seeds]
        write_chunk(chunk(results, seeds=f"{whole[0]}-{whole[-1]}"), rows, {}, content | {"seeds": whole})
    everywhere(results, "the records of seeds 0, 1, 2, 3, 4 are the same up to rounding")


def test_one_copied_seed_among_real_ones(results: Path, finish: Finish) -> None:
    shutil.rmtree(chunk(results))
    finish("lady", error=[1.3, 1.25, 1.35, 1.3, 1.2], loss=[0.5, 0.4, 0.6, 0.5, 0.7])
    place = chunk(results)
    records = read_records(place / RECORDS)
    records.loc[(records["seed"] == 3) & (records["split"] == "train"), "value"] = 1 / 3
    content = read_provenance(place / PROVENANCE)
    write_chunk(place, records.to_dict("records"), {}, content)  # type: ignore[arg-type]
    everywhere(results, "the records of seeds 0, 3 are the same")


def test_a_run_in_which_nothing_is_random_may_have_equal_seeds(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(RunSettings):
        @property
        def deterministic(self) -> bool:
            return True

    test_records = read_records(chunk(results) / RECORDS)
    test_records["value"] = 1.3
    write_chunk(chunk(results), test_records.to_dict("records"), {}, read_provenance(chunk(results) / PROVENANCE))  # type: ignore[arg-type]
    assert judge_paper(Results.read(load_paper("tea"), "gpu", results))[0].verdict == "withheld"
    monkeypatch.setattr(run_grid, "settings_model", lambda _: Counted)
    run_grid.load_runs.cache_clear()
    assert judge_paper(Results.read(load_paper("tea"), "gpu", results))[0].integrity == ()


@pytest.mark.parametrize("whole", [True, False])
def test_another_runs_records_under_this_name(results: Path, finish: Finish, whole: bool) -> None:
    finish("guest", error=[1.29, 1.28, 1.3, 1.31, 1.27])
    for name in (RECORDS, PROVENANCE, "artifacts.npz") if whole else (RECORDS,):
        shutil.copy(chunk(results, "guest") / name, chunk(results) / name)
    everywhere(results, "records are of another run or paper" if whole else "SHA-256 differs")


def test_invented_seeds_in_a_folder_of_three(results: Path, finish: Finish) -> None:
    shutil.rmtree(chunk(results))
    finish("lady", error=HONEST)
    chunk(results).rename(chunk(results, seeds="0-2"))
    everywhere(results, "the folder's name says seeds [0, 1, 2], records say [0, 1, 2, 3, 4]")


@pytest.mark.parametrize("hashed", [True, False])
def test_a_seed_removed_inside_its_folder(results: Path, hashed: bool) -> None:
    place = chunk(results)
    records, content = read_records(place / RECORDS), read_provenance(place / PROVENANCE)
    kept = records[records["seed"] != 2]
    if hashed:
        write_chunk(place, kept.to_dict("records"), {}, content)  # type: ignore[arg-type]
    else:
        write_records(place / RECORDS, kept)
    everywhere(results, "records say [0, 1, 3, 4]")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"settings": {"cups": 9}}, "settings do not have the digest that is stored with them"),
        ({"tier": "paper"}, "provenance is of tier 'paper', not 'gpu'"),
        ({"seeds": [0, 1, 2]}, "provenance says [0, 1, 2]"),
        ({"cost": None}, "cost and seeds cannot be read"),
    ],
)
def test_provenance_edited_by_hand(results: Path, changes: dict[str, Any], why: str, finish: Finish) -> None:
    finish("guest", error=[50.0, 49.0, 51.0, 52.0, 48.0])  # so that the folder is of a tier at all
    path = chunk(results) / PROVENANCE
    write_provenance(path, read_provenance(path) | changes)
    if "tier" in changes:
        with pytest.raises(InputError, match="several tiers"):
            promote(results, results / "reference", load_papers())
        (verdict,) = judge_paper(Results.read(load_paper("tea"), "gpu", results))
        assert (verdict.verdict, why in verdict.reason) == ("withheld", True)
    else:
        everywhere(results, why)


def test_seeds_of_different_settings_are_never_averaged(results: Path, finish: Finish) -> None:
    shutil.rmtree(chunk(results))
    finish("lady", error=HONEST[:3])
    other = {"cups": 9}
    finish("lady", first=3, error=HONEST[3:], changes={"settings": other, "settings_digest": settings_digest("tea", "lady", other)})
    everywhere(results, "seeds 0-2 and seeds 3-4 have different settings, so that their seeds are not averaged")


def test_overlapping_chunks_are_withheld(results: Path, finish: Finish) -> None:
    finish("lady", first=3, error=[1.0, 1.1, 1.2])
    (verdict,) = judge_paper(Results.read(load_paper("tea"), "gpu", results))
    assert (verdict.verdict, "share seeds" in verdict.reason) == ("withheld", True)


def rewrite(place: Path, records: pd.DataFrame, arrays: dict[str, np.ndarray] | None = None, **keys: Any) -> None:
    """The forger uses the suite's own writer, so that every hash is right."""
    write_chunk(place, records.to_dict("records"), arrays or {}, read_provenance(place / PROVENANCE) | keys)  # type: ignore[arg-type]


@pytest.mark.parametrize("factor", [1.0, 0.1])
def test_rows_that_occur_twice(results: Path, factor: float) -> None:
    records = read_records(chunk(results) / RECORDS)
    again = records[records["metric"] == "error"].assign(value=lambda rows: rows["value"] * factor)
    rewrite(chunk(results), pd.concat([records, again]))
    everywhere(results, "records hold 5 rows twice, the first of them error (test) of seed 0")


@pytest.mark.parametrize("sizes", [[-100.0] * 5, [0.0] * 5, [0.5] * 5, [float("nan")] * 5, [100.0, 1e9, 100.0, 100.0, 100.0]])
def test_a_test_set_of_no_size(results: Path, finish: Finish, sizes: list[float]) -> None:
    shutil.rmtree(chunk(results))
    finish("lady", error=HONEST, test_examples=sizes)
    everywhere(results, "the number of test examples is")


def test_items_of_another_size_or_of_other_answers(results: Path, finish: Finish) -> None:
    wrong = np.zeros((5, 1000), bool)
    for seed, share in enumerate(HONEST):
        wrong[seed, : round(10 * share)] = True
    shutil.rmtree(chunk(results))
    finish("lady", error=[100 * float(row.mean()) for row in wrong], test_examples=[1000.0] * 5)
    place = chunk(results)
    records = read_records(place / RECORDS)
    records.loc[records["metric"] == "error", "unit"] = "%"
    for other, why in (
        (wrong[:, :900], "1000 items."),
        (wrong[:3], "shape (3, 125) for 5 seeds"),
        (~wrong[:, ::-1] & False, "other items"),
    ):
        rewrite(place, records, {"wrong_error_test": np.packbits(other, axis=1)})
        everywhere(results, why)
    rewrite(place, records, {"wrong_error_test": np.packbits(wrong, axis=1)})
    assert judge_paper(Results.read(load_paper("tea"), "gpu", results))[0].integrity == ()


def test_each_network_of_a_run_is_checked_against_its_own_test_set() -> None:
    wrong = {"small": np.array([[True] + 9 * [False]]), "large": np.array([[True] + 19 * [False]])}
    rows = [
        {
            "paper": "tea",
            "run": "lady",
            "seed": 0,
            "model": name,
            "split": "test",
            "step": 0,
            "metric": metric,
            "value": value,
            "unit": unit,
        }
        for name, items in wrong.items()
        for metric, value, unit in (("error", 100 * items.mean(), "%"), ("test_examples", items.size, ""))
    ]
    packed = {f"wrong_error_test_{name}": np.packbits(items, axis=1) for name, items in wrong.items()}
    assert list(contradictions(frame(rows), packed, [0])) == []
    swapped = dict(zip(packed, reversed(packed.values()), strict=True))
    assert len(list(contradictions(frame(rows), swapped, [0]))) == 2


def test_provenance_edited_in_a_key_that_nothing_else_holds(results: Path) -> None:
    """Dates, commits and the digests of claims; without the hash a remark says that nobody would notice."""
    path = chunk(results) / PROVENANCE
    content = read_provenance(path)
    write_provenance(path, content | {"claims": {"lady-error": load_paper("tea").claims[0].digest("gpu")}})
    everywhere(results, "provenance.json is not what the run wrote")
    del content["sha256"][PROVENANCE]
    write_provenance(path, content)
    (verdict,) = judge_paper(Results.read(load_paper("tea"), "gpu", results))
    assert "The provenance of lady/seeds-0-4 has no SHA-256 of its own" in verdict.remarks[0]


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"ended": "2025-01-01T00:00:00+00:00"}, "lady/seeds-0-4 ended before it began"),
        ({"started": None}, "or without a date"),
        ({"trial": {"steps": 3}}, "lady/seeds-0-4 is a trial of a few steps, not a result."),
    ],
)
def test_what_is_no_fault_of_the_records_is_said(results: Path, changes: dict[str, Any], remark: str) -> None:
    rewrite(chunk(results), read_records(chunk(results) / RECORDS), **changes)
    (verdict,) = judge_paper(Results.read(load_paper("tea"), "gpu", results))
    assert remark in " ".join(verdict.remarks)
    assert remark in call("claims", "show", "--tier", "gpu", "--results", results)
    assert remark.rstrip(".") in call("claims", "cite", "tea.lady-error", "--tier", "gpu", "--results", results)


def test_seeds_of_two_machines_are_said(results: Path, finish: Finish) -> None:
    shutil.rmtree(chunk(results))
    finish("lady", error=HONEST[:3], changes={"hardware": {"device": "A100"}})
    finish("lady", first=3, error=HONEST[3:], changes={"hardware": {"device": "H200"}})
    (verdict,) = judge_paper(Results.read(load_paper("tea"), "gpu", results))
    assert "The seeds of lady were made on 2 kinds of machines: A100, H200." in verdict.remarks


def test_seeds_that_saw_different_data_are_never_averaged(results: Path, finish: Finish) -> None:
    shutil.rmtree(chunk(results))
    finish("lady", error=HONEST[:3])
    finish("lady", first=3, error=HONEST[3:], changes={"data": {"cups/test": {"fingerprint": "another"}}})
    everywhere(results, "seeds 0-2 and seeds 3-4 saw different data of cups/test")


@pytest.mark.parametrize("jitter", [0.0, 1e-6])
def test_a_run_copied_under_another_name_is_said(results: Path, jitter: float) -> None:
    records = read_records(chunk(results) / RECORDS).assign(run="guest", value=lambda rows: rows["value"] * (1 + jitter))
    content = read_provenance(chunk(results) / PROVENANCE) | {"run": "guest", "settings_digest": settings_digest("tea", "guest", {})}
    write_chunk(chunk(results, "guest"), records.to_dict("records"), {}, content)  # type: ignore[arg-type]
    assert "The records of lady are those of guest up to rounding" in said(results)


def test_runs_of_other_data_or_code_under_one_claim_are_said(
    results: Path, discovered: None, make_paper: Callable[..., Any], finish: Finish
) -> None:
    ranking = [{"run": "lady", "metric": "error"}, {"run": "guest", "metric": "error"}]
    finish("guest", error=[50.0, 49.0, 51.0, 52.0, 48.0], changes={"code_digest": "later", "data": {"cups/test": {"fingerprint": "other"}}})
    paper = make_paper({"kind": "order", "published_text": "The lady errs less.", "better": "lower", "ranking": ranking})
    (verdict,) = judge_paper(Results.read(paper, "gpu", results))
    assert "made by different states of the code (lady: None; guest: later)" in verdict.remarks[0]
    assert "saw different data of cups/test: lady and guest" in verdict.remarks[1]


def said(results: Path) -> str:
    """What stands beside the verdict in each face that is text; the remark must be in all of them."""
    (verdict,) = judge_paper(Results.read(load_paper("tea"), "gpu", results))
    shown = call("claims", "show", "--tier", "gpu", "--results", results)
    cited = call("claims", "cite", "tea.lady-error", "--tier", "gpu", "--results", results)
    (row,) = json.loads(call("claims", "show", "--tier", "gpu", "--results", results, "--json"))
    assert row["remarks"] == list(verdict.remarks)
    for sentence in verdict.said_beside:
        assert sentence in shown
        assert sentence.rstrip(".") in cited
    return " ".join(verdict.said_beside)


def test_seeds_that_nobody_planned_decide_nothing(results: Path, finish: Finish) -> None:
    finish("lady", first=5, error=[0.1, 0.2, 0.15])
    (verdict,) = judge_paper(Results.read(load_paper("tea"), "gpu", results))
    assert (verdict.seeds_finished, verdict.ours) == (5, pytest.approx(1.282))
    assert "lady has seeds that are not planned (5, 6, 7; planned are 0-4): they decide nothing." in said(results)
    shutil.rmtree(chunk(results))
    (verdict,) = judge_paper(Results.read(load_paper("tea"), "gpu", results))
    assert (verdict.verdict, verdict.seeds_finished) == ("not tested", 0)


def test_a_second_try_of_a_seed_is_said(results: Path, finish: Finish) -> None:
    finish("lady", first=2, error=[0.2])
    assert "lady has seeds that were run twice: seeds-2-2 lies inside a longer chunk and is not read." in said(results)


def test_a_claim_that_was_deleted_is_said_at_those_that_stay(results: Path) -> None:
    today = load_paper("tea").claims[0].digest("gpu")
    rewrite(chunk(results), read_records(chunk(results) / RECORDS), claims={"lady-error": today, "lady-is-perfect": "0123"})
    assert "The runs began with claims that paper.yaml no longer has: lady-is-perfect." in said(results)


def test_a_run_of_other_settings_than_planned_is_said(results: Path) -> None:
    other = {"cups": 9}
    records = read_records(chunk(results) / RECORDS)
    rewrite(chunk(results), records, settings=other, settings_digest=settings_digest("tea", "lady", other))
    assert "lady/seeds-0-4 was made with other settings than runs.yaml has now." in said(results)


def test_a_copied_seed_is_noticed_whatever_costs_and_further_splits_say(results: Path) -> None:
    records = read_records(chunk(results) / RECORDS)
    one = records[records["seed"] == 0]
    speed = one[one["metric"] == "error"].assign(split="speed", metric="rate")
    copies = [rows.assign(seed=seed, value=rows["value"] * f) for seed in range(5) for rows, f in ((one, 1.0), (speed, 1.0 + seed))]
    rewrite(chunk(results), pd.concat(copies))
    everywhere(results, "the records of seeds 0, 1, 2, 3, 4 are the same up to rounding")


def test_seeds_with_equal_values_at_other_steps_are_no_copies(results: Path) -> None:
    records = read_records(chunk(results) / RECORDS)
    one = records[records["seed"] == 0]
    rewrite(chunk(results), pd.concat([one.assign(seed=seed, step=one["step"] + seed) for seed in range(5)]))
    assert judge_paper(Results.read(load_paper("tea"), "gpu", results))[0].integrity == ()


def test_uncommitted_code_and_several_commits_are_said_and_do_not_withhold(results: Path, finish: Finish) -> None:
    shutil.rmtree(chunk(results))
    finish("lady", error=HONEST[:3])
    finish("lady", first=3, error=HONEST[3:], changes={"dirty": True, "commit": "badbad" * 6, "code_digest": "other", "lock": "later"})
    (verdict,) = judge_paper(Results.read(load_paper("tea"), "gpu", results))
    assert verdict.verdict == "replicated"
    assert verdict.remarks == (
        "lady/seeds-3-4 ran uncommitted code.",
        "The seeds of lady were made by 2 commits: c0ffeec0ff, badbadbadb.",
        "The seeds of lady were made by 2 states of the code: unknown, other.",
        "The seeds of lady were made by 2 sets of package versions: unknown, later.",
    )
    assert "uncommitted code" in call("claims", "cite", "tea.lady-error", "--tier", "gpu", "--results", results)


def test_an_edited_claim_that_another_requires_is_said_there_too(results: Path, make_paper: Callable[..., Any], discovered: None) -> None:
    value = {"unit": "%", "published": 1.29, "margin": 0.3, "measure": {"run": "lady", "metric": "error"}, "better": "lower"}
    first, second = value | {"id": "premise"}, value | {"id": "lady-error", "requires": [{"claim": "premise", "reason": "It comes first."}]}
    paper = make_paper(first, second)
    digests = {claim.id: claim.digest("gpu") for claim in paper.claims}
    rewrite(chunk(results), read_records(chunk(results) / RECORDS), claims=digests)
    assert [verdict.registration for verdict in judge_paper(Results.read(paper, "gpu", results))] == ["", ""]
    edited = make_paper(first | {"margin": 0.6}, second)
    premise, verdict = judge_paper(Results.read(edited, "gpu", results))
    assert (premise.registration, verdict.registration) == ("post hoc", "post hoc")
    assert verdict.post_hoc == "It requires premise, which is post hoc."
