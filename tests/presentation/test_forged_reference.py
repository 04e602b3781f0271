"""Planted frauds in the committed reference: what no promotion put there is withheld, and the log keeps every row."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from replications.commands.results import log_promotion
from replications.errors import InputError
from replications.presentation.judging import judge_paper
from replications.registry.papers import load_paper, load_papers
from replications.results.promotion import promote
from replications.results.provenance import read_provenance, write_provenance
from replications.results.reader import Results
from replications.results.records import read_records
from replications.results.store import PROVENANCE, RECORDS, write_chunk
from replications.verdicts.verdict import Verdict


@pytest.fixture
def reference(results: Path, tmp_path: Path) -> Path:
    """A reference with one promoted run."""
    folder = tmp_path / "reference"
    log_promotion(folder, "gpu", load_papers(), promote(results, folder, load_papers()), "")
    return folder


def judged(reference: Path) -> Verdict:
    (verdict,) = judge_paper(Results.read_reference(load_paper("tea"), reference))
    return verdict


def lady(reference: Path, seeds: str = "0-4") -> Path:
    return reference / "gpu" / "tea" / "lady" / f"seeds-{seeds}"


def rewritten(reference: Path) -> None:
    content = read_provenance(lady(reference) / PROVENANCE)
    rows = read_records(lady(reference) / RECORDS).assign(value=lambda records: records["value"] + 0.01)
    write_chunk(lady(reference), rows.to_dict("records"), {}, content)  # type: ignore[arg-type]


def unsigned(reference: Path) -> None:
    content = read_provenance(lady(reference) / PROVENANCE)
    del content["sha256"][PROVENANCE]
    write_provenance(lady(reference) / PROVENANCE, content | {"claims": {"lady-error": load_paper("tea").claims[0].digest("gpu")}})


def added(reference: Path) -> None:
    content = read_provenance(lady(reference) / PROVENANCE) | {"seeds": [5]}
    rows = read_records(lady(reference) / RECORDS).query("seed == 0").assign(seed=5, value=lambda records: records["value"] + 0.01)
    write_chunk(lady(reference, "5-5"), rows.to_dict("records"), {}, content)  # type: ignore[arg-type]


def removed(reference: Path) -> None:
    shutil.rmtree(lady(reference))


def test_a_promoted_run_is_judged_without_remarks(reference: Path) -> None:
    assert (judged(reference).verdict, judged(reference).integrity, judged(reference).remarks) == ("replicated", (), ())


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (rewritten, "lady/seeds-0-4: provenance.json is not the file that was promoted"),
        (unsigned, "lady/seeds-0-4: provenance.json is not the file that was promoted"),
        (added, "lady/seeds-5-5: no promotion added this chunk"),
        (removed, "lady/seeds-0-4: was promoted and is gone"),
    ],
)
def test_what_no_promotion_did_is_withheld_and_not_signed_by_the_next(
    reference: Path, results: Path, forge: Callable[[Path], None], why: str
) -> None:
    forge(reference)
    assert judged(reference).verdict == "withheld"
    assert why in judged(reference).reason
    with pytest.raises(InputError, match=r"was changed since the last promotion(.|\n)*Restore it from git"):
        promote(results, reference, load_papers(), reason="Once more.")


@pytest.mark.parametrize("kept", [None, 1, 0])
def test_a_log_that_lost_or_changed_rows_is_said_at_the_verdict(reference: Path, results: Path, kept: int | None) -> None:
    log = reference / "verdicts.log"
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    if kept == 0:
        log.unlink()
    else:
        log.write_text("".join(lines[:kept]).replace("replicated", "contradicted"), encoding="utf-8")
    assert "verdicts.log is not as the last promotion left it" in judged(reference).remarks[-1]
    with pytest.raises(InputError, match="rows were edited or removed"):
        promote(results, reference, load_papers())


def test_a_description_without_its_hashes_is_said(reference: Path) -> None:
    path = reference / "reference.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"log": None}), encoding="utf-8")
    assert "reference.json has no SHA-256 of verdicts.log" in judged(reference).remarks[-1]
