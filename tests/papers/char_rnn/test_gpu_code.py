"""Training on a GPU, tried without one: one run for each kind of training of this paper."""

from pathlib import Path

from tests.engine.gpu_checks import check_runs

RUNS = ["program-text-64+evaluation_characters=2000+probe_characters=2000"]


def test_every_kind_of_training_is_captured_and_keeps_to_its_device(tmp_path: Path) -> None:
    check_runs(Path(__file__).parent.name, RUNS, tmp_path)
