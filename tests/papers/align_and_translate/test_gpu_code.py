"""Training on a GPU, tried without one: one run for each kind of network of this paper."""

from pathlib import Path

from tests.engine.gpu_checks import check_runs

RUNS = ["made-up-search-8", "made-up-encdec-8"]


def test_every_kind_of_training_keeps_to_its_device(tmp_path: Path) -> None:
    check_runs(Path(__file__).parent.name, RUNS, tmp_path)
