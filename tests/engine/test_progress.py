"""Lines of progress: few in a log, and the state file always new."""

import json
from pathlib import Path

import pytest

from replications.engine.progress import Progress


def test_a_log_gets_the_first_and_the_last_line_of_a_stage_and_the_state_every_update(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "progress.json"
    progress = Progress("tea", every=0.0, in_logs=3600, state=state)
    states = []
    for step in range(1, 6):
        progress.update("training", step, 5, loss=1 / step)
        states.append(json.loads(state.read_text())["done"])
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[2] for line in lines] == ["1/5", "5/5"]
    assert states == [1, 2, 3, 4, 5]
    progress.update("evaluation", 1, 2)
    assert "evaluation 1/2" in capsys.readouterr().err
