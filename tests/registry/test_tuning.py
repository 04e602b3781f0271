"""The record of trials: valid for every paper here, and refused where trials used judged seeds without saying so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from replications.errors import InputError
from replications.presentation.judging import judge_paper
from replications.registry.papers import load_paper, load_papers
from replications.registry.tuning import MISSING, load_tuning, tuning_remark
from replications.results.reader import Results

TRIALS: dict[str, Any] = {
    "what": "Cups",
    "runs": ["lady"],
    "trials": 3,
    "seeds": [100, 101],
    "split": "validation",
    "test_seen": "Nobody",
    "chosen": "Eight cups",
    "reason": "Fewest errors",
}


@pytest.fixture
def write(discovered: None, tmp_path: Path) -> Callable[..., None]:
    """Write the toy's record of one round of trials at tier gpu, changed as given."""

    def record(tier: str = "gpu", **changes: Any) -> None:
        (tmp_path / "tea" / "tuning.yaml").write_text(yaml.safe_dump({"tiers": {tier: [TRIALS | changes]}}), encoding="utf-8")

    return record


def test_the_record_of_every_paper_here_is_valid() -> None:
    for paper in load_papers():
        record = load_tuning(paper)
        assert record is not None, f"{paper.name} has no tuning.yaml"
        assert {"smoke", "gpu"} & set(record.tiers)


def test_trials_on_other_seeds_need_no_excuse(write: Callable[..., None]) -> None:
    write()
    record = load_tuning(load_paper("tea"))
    assert tuning_remark(record, "gpu", has_runs=True) == ""
    assert tuning_remark(record, "paper", has_runs=True) == MISSING
    assert tuning_remark(record, "smoke", has_runs=True) == "", "the smallest tier judges stand-ins alone"
    assert tuning_remark(None, "gpu", has_runs=False) == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [4, 100]}, "seeds 4 are judged at this tier"),
        ({"seeds": [0, 1], "runs": []}, "seeds 0, 1 are judged"),
        ({"seeds": None}, "its seeds are not recorded, so they may be judged ones"),
        ({"runs": ["ladi"]}, "no tier plans a run 'ladi'. Did you mean 'lady'?"),
        ({"trials": -1}, "trials"),
    ],
)
def test_a_record_that_hides_judged_seeds_is_refused(write: Callable[..., None], changes: dict[str, Any], message: str) -> None:
    write(**changes)
    with pytest.raises(InputError) as caught:
        load_tuning(load_paper("tea"))
    assert message in str(caught.value)


def test_judged_seeds_and_a_missing_record_are_said_at_the_verdict(write: Callable[..., None], results: Path) -> None:
    def beside() -> tuple[str, ...]:
        return judge_paper(Results.read(load_paper("tea"), "gpu", results))[0].said_beside

    assert MISSING in beside()
    write(seeds=[0], overlap="One cup was tasted before.")
    assert "Tuning: One cup was tasted before." in beside()
