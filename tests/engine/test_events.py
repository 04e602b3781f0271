"""Event files hold the training and validation curves, once each, also after a resume."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from replications.engine.events import EventFiles


def row(seed: int, step: int, value: float, split: str = "train", metric: str = "loss") -> dict[str, object]:
    return {"seed": seed, "step": step, "value": value, "split": split, "metric": metric}


def curve(folder: Path, seed: int, tag: str) -> list[tuple[int, float]]:
    """Read by TensorBoard's own reader."""
    read = EventAccumulator(str(folder / f"seed-{seed}"))
    read.Reload()
    return [(event.step, event.value) for event in read.Scalars(tag)]


def test_every_seed_has_its_curves(tmp_path: Path) -> None:
    files = EventFiles(tmp_path / "tb")
    rows = [row(seed, step, 0.5 * step + seed) for step in (1, 2) for seed in (0, 1)]
    files.write(rows)
    rows += [row(0, 3, 9.0), row(0, 3, 0.25, "validation", "error"), row(0, 3, 1.0, "test"), row(0, 0, 1.0)]
    files.write(rows)
    files.write(rows)
    assert curve(tmp_path / "tb", 0, "train/loss") == [(1, 0.5), (2, 1.0), (3, 9.0)]
    assert curve(tmp_path / "tb", 1, "train/loss") == [(1, 1.5), (2, 2.0)]
    assert curve(tmp_path / "tb", 0, "validation/error") == [(3, 0.25)]
    assert not (tmp_path / "tb" / "seed-2").exists()


def test_a_resumed_run_replaces_what_its_first_attempt_wrote(tmp_path: Path) -> None:
    EventFiles(tmp_path / "tb").write([row(0, step, float(step)) for step in (1, 2, 3)])
    restored = [row(0, 1, 1.0), row(0, 2, 2.0)]
    EventFiles(tmp_path / "tb").write([*restored, row(0, 3, 3.0), row(0, 4, 4.0)])
    assert curve(tmp_path / "tb", 0, "train/loss") == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]


@pytest.mark.parametrize("rows", [[], [row(0, 0, 1.0)], [row(0, 1, 1.0, "test")]])
def test_nothing_to_draw_makes_no_file(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    EventFiles(tmp_path / "tb").write(rows)
    assert not (tmp_path / "tb").exists()


def test_a_disk_that_refuses_them_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "tb").write_text("a file where the folder should be")
    EventFiles(tmp_path / "tb" / "below").write([row(0, 1, 1.0)])
    assert (tmp_path / "tb").read_text() == "a file where the folder should be"
    assert [path.name for path in tmp_path.iterdir()] == ["tb"]
