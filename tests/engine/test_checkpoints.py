"""State is never half written, never of another run, and a damaged file costs one generation, not the training."""

import errno
import os
from pathlib import Path

import pytest
import torch

from replications.engine import checkpoints
from replications.engine.checkpoints import CheckpointStore
from replications.errors import CheckpointError

CPU = torch.device("cpu")


def store(folder: Path, key: str = "key") -> tuple[CheckpointStore, list[str]]:
    said: list[str] = []
    return CheckpointStore(folder, key, said.append), said


def test_the_newest_state_is_loaded(tmp_path: Path) -> None:
    one, _ = store(tmp_path / "s")
    assert one.load("train", CPU) is None
    for step in (1, 2, 3):
        one.save("train", {"step": step, "weights": torch.full((2,), float(step))})
    loaded = one.load("train", CPU)
    assert loaded is not None
    assert loaded["step"] == 3
    assert torch.equal(loaded["weights"], torch.full((2,), 3.0))


def test_state_of_other_settings_is_discarded_loudly(tmp_path: Path) -> None:
    one, _ = store(tmp_path / "s")
    one.save("train", {"step": 1})
    other, said = store(tmp_path / "s", "other key")
    assert other.load("train", CPU) is None
    assert "starting afresh" in said[0]


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, damage: str) -> None:
    one, said = store(tmp_path / "s")
    one.save("train", {"step": 1})
    one.save("train", {"step": 2})
    path = tmp_path / "s" / "train.checkpoint"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[-10] ^= 1
    path.write_bytes({"truncate": data[: len(data) // 2], "flip": data, "empty": b""}[damage])
    loaded = one.load("train", CPU)
    assert loaded is not None
    assert loaded["step"] == 1
    assert "damaged" in said[0]


def test_a_full_disk_names_the_cure_and_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = store(tmp_path / "s")
    one.save("train", {"step": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"No space left on device.*Free space.*intact"):
        one.save("train", {"step": 2})
    monkeypatch.undo()
    loaded = one.load("train", CPU)
    assert loaded is not None
    assert loaded["step"] == 1
    assert not list((tmp_path / "s").glob(".*.next*"))


def test_finished_outputs_are_put_back_and_the_training_state_dropped(tmp_path: Path) -> None:
    outputs = [tmp_path / "out" / name for name in ("a.txt", "b.txt")]
    outputs[0].parent.mkdir()
    for path in outputs:
        path.write_text(path.name)
    one, _ = store(tmp_path / "s")
    one.save("train", {"step": 9})
    assert not one.restore_finished(tmp_path / "out")
    one.finish(outputs)
    assert one.load("train", CPU) is None
    for path in outputs:
        path.unlink()
    again, _ = store(tmp_path / "s")
    assert again.restore_finished(tmp_path / "out")
    assert [path.read_text() for path in outputs] == ["a.txt", "b.txt"]


def test_a_damaged_finished_output_is_not_put_back(tmp_path: Path) -> None:
    path = tmp_path / "out" / "a.txt"
    path.parent.mkdir()
    path.write_text("right")
    one, _ = store(tmp_path / "s")
    one.finish([path])
    (tmp_path / "s" / "done" / "a.txt").write_text("wrong")
    assert not one.restore_finished(tmp_path / "out")


def test_checkpoints_hold_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("code ran",)

    one, _ = store(tmp_path / "s")
    one.save("train", {"object": Evil()})
    with pytest.raises(checkpoints.torch.serialization.pickle.UnpicklingError, match="Weights only load failed"):
        one.load("train", CPU)
