"""Whole runs: exact resumption, results of a seed alone, real text, and what is refused."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from replications.engine.context import Context
from replications.errors import DataError, InputError, Preempted, ReplicationError
from replications.papers.rnn_vs_transformer import cost, trainer
from replications.papers.rnn_vs_transformer.experiment import run
from replications.papers.rnn_vs_transformer.language import windows
from replications.papers.rnn_vs_transformer.model import SequenceModel
from replications.papers.rnn_vs_transformer.settings import Network, Settings
from replications.paths import ROOT
from replications.results.records import frame
from tests.contexts import make_context


def context(folder: Path, seeds: tuple[int, ...] = (0, 1)) -> Context:
    return make_context(folder / "state", "rnn_vs_transformer", seeds, warn=print)


TRAINING = {"n_steps": 6, "batch_size": 4, "learning_rate": 1e-2, "evaluations": 3, "dropout": 0.1}
RUNS: dict[str, dict[str, Any]] = {
    "recall": {"experiment": "recall", "model": "lstm", "training": TRAINING, "task": {"length": 12, "pairs": [2, 3], "vocabulary": 8}},
    "copying": {
        "experiment": "copying",
        "model": "transformer.alibi",
        "training": TRAINING,
        "task": {"length": 4, "longer": [6], "vocabulary": 5},
    },
    "selective": {
        "experiment": "selective",
        "model": "mamba",
        "training": TRAINING,
        "task": {"length": 6, "letters": 2, "vocabulary": 4, "test_examples": 20},
    },
    "regular": {
        "experiment": "regular",
        "model": "mingru",
        "training": TRAINING,
        "task": {"language": "dyck", "length": 8, "longer": [9], "examples": 9},
    },
    "order": {
        "experiment": "order",
        "model": "rnn",
        "training": TRAINING | {"optimiser": "sgd", "dropout": 0.0},
        "task": {"length": 12, "trials": 2},
    },
    "cost": {
        "experiment": "cost",
        "models": ["lstm", "transformer"],
        "sweep": {"values": [4, 8, 16], "repetitions": 1, "least_seconds": 0},
    },
}


def settings(name: str, **changes: Any) -> Settings:
    return Settings.model_validate({"width": 16, "layers": 1, "head_width": 8} | RUNS[name] | changes)


def untimed(finished: Context) -> pd.DataFrame:
    rows = frame(finished.rows)
    return rows[rows["split"] != "cost"].sort_values(["metric", "model", "split", "seed", "step", "axis", "at"], ignore_index=True)


@pytest.mark.parametrize("name", RUNS)
def test_a_stopped_run_ends_with_the_records_of_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    whole = context(tmp_path / "whole")
    run(settings(name), whole)
    stopped = context(tmp_path / "stopped")
    stopped.control.stop.signal = "SIGTERM"  # stops after the first step or unit
    with pytest.raises(Preempted):
        run(settings(name), stopped)
    resumed = context(tmp_path / "stopped")
    run(settings(name), resumed)
    pd.testing.assert_frame_equal(untimed(resumed), untimed(whole), check_exact=True)
    for key, array in whole.arrays.items():
        np.testing.assert_array_equal(resumed.arrays[key], array, err_msg=key)


def test_the_counted_cost_of_a_training_is_that_of_its_products(tmp_path: Path) -> None:
    finished = context(tmp_path)
    run(settings("order"), finished)
    of_one_position = 2 * (16 * 16 + 16 * 16)  # from the input and from the state before
    sequences = TRAINING["n_steps"] * TRAINING["batch_size"] * 2 * len(finished.seeds)  # two networks per seed
    assert finished.cost["flops"] == 3 * of_one_position * 12 * sequences  # forward, and twice that backward


def test_a_clipped_training_records_in_how_many_updates_clipping_acted(tmp_path: Path) -> None:
    plain = TRAINING | {"dropout": 0.0}
    found = {}
    for name, largest in (("always", 1e-6), ("never", 1e6), ("off", None)):
        found[name] = context(tmp_path / name)
        run(settings("recall", training=plain | {"clip_norm": largest}), found[name])
    rows = {name: untimed(finished) for name, finished in found.items()}
    for name, share in (("always", 1.0), ("never", 0.0)):
        assert set(rows[name].query("metric == 'clipped_share'")["value"]) == {share}
    assert "clipped_share" not in set(rows["off"]["metric"])
    others = rows["never"].query("metric != 'clipped_share'").reset_index(drop=True)
    pd.testing.assert_frame_equal(others, rows["off"], check_exact=True)
    counted = trainer.ClippedUpdates(2, torch.device("cpu"))
    counted.share(torch.tensor([1.0, 0.0]), 1)
    assert counted.share(torch.tensor([0.0, 0.0]), 2).tolist() == [0.5, 0.0]


def test_settings_of_other_experiments_are_stored_without_the_letters_of_selective_copying() -> None:
    """A run keeps the digest of its settings, so that chunks trained before and after are seeds of one run."""
    assert "letters" not in settings("recall").model_dump(mode="json")["task"]
    stored = settings("selective").model_dump(mode="json")
    assert stored["task"]["letters"] == 2
    assert Settings.model_validate(stored) == settings("selective")


def test_the_forms_of_networks_are_compared_and_their_states_counted(tmp_path: Path) -> None:
    finished = context(tmp_path)
    run(
        Settings.model_validate(
            {
                "experiment": "forms",
                "models": ["mamba", "rwkv4", "transformer"],
                "width": 16,
                "layers": 2,
                "head_width": 8,
                "task": {"length": 12},
                "sweep": {"values": [3, 9]},
            }
        ),
        finished,
    )
    records = frame(finished.rows)
    for metric, model, largest in (("form_error", "mamba", 1e-5), ("form_error", "rwkv4", 1e-5), ("sums_error", "rwkv4", 1e-12)):
        errors = records.query("metric == @metric and model == @model")["value"]
        assert len(errors) == 2
        assert ((errors > 0) & (errors < largest)).all(), (metric, model)
    carried = records.query("metric == 'state_over_width' and seed == 0").set_index(["model", "at"])["value"].to_dict()
    mamba = 2 * 2 * (16 + 3)  # two layers a block, two channels a feature: state, and inputs of the convolution
    assert carried == {
        **{("mamba", n): mamba for n in (3, 9)},
        **{("rwkv4", n): 5 for n in (3, 9)},
        **{("transformer", n): 2 * n for n in (3, 9)},
    }


def test_a_seed_gives_the_same_alone(tmp_path: Path) -> None:
    together, alone = context(tmp_path / "a", (0, 1)), context(tmp_path / "b", (1,))
    run(settings("recall"), together)
    run(settings("recall"), alone)
    one, other = (untimed(finished)[lambda rows: rows["seed"] == 1].reset_index(drop=True) for finished in (together, alone))
    pd.testing.assert_frame_equal(one, other, rtol=1e-4)
    assert not one["value"].equals(untimed(together)[lambda rows: rows["seed"] == 0]["value"].reset_index(drop=True))


@pytest.mark.parametrize("name", ["recall", "regular"])
def test_a_batch_in_parts_trains_like_a_whole_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = TRAINING | {"dropout": 0.0}
    whole, parted = context(tmp_path / "whole"), context(tmp_path / "parted")
    run(settings(name, training=plain), whole)
    monkeypatch.setattr(trainer, "TOKENS_AT_ONCE", 1)
    parts: list[int] = []
    split = trainer.Trainer._parts

    def noted(trained: trainer.Trainer, *batch: torch.Tensor) -> list[trainer.Batch]:
        batches = list(split(trained, *batch))
        parts.append(len(batches))
        return batches

    monkeypatch.setattr(trainer.Trainer, "_parts", noted)
    run(settings(name, training=plain), parted)
    assert parts == [4] * 6, "every sequence alone, in every update"
    pd.testing.assert_frame_equal(untimed(parted), untimed(whole), rtol=1e-3)


def test_running_out_of_memory_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = cost.profiling.peak_bytes

    def limited(call: Any, device: torch.device) -> float:
        peak = measured(call, device)
        if peak > 1_000_000:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return peak

    monkeypatch.setattr(cost.profiling, "peak_bytes", limited)
    finished = context(tmp_path, (0,))
    run(
        settings("cost", models=["transformer.naive"], sweep={"values": [8, 64, 512, 1024], "repetitions": 1, "least_seconds": 0}), finished
    )
    records = frame(finished.rows)
    oom = records[(records["metric"] == "out_of_memory") & (records["model"] == "transformer.naive")].set_index("at")["value"]
    assert oom.to_dict() == {8: 0.0, 64: 0.0, 512: 1.0}
    assert not ((records["metric"] == "training_seconds") & (records["at"] == 512)).any()


def test_a_cpu_s_limit_counts_as_out_of_memory(tmp_path: Path) -> None:
    finished = context(tmp_path, (0,))
    sweep = {"values": [64, 128, 256, 512], "repetitions": 1, "least_seconds": 0, "memory_limit_gb": 0.001}
    run(settings("cost", models=["transformer.naive"], sweep=sweep), finished)
    last = [row for row in finished.rows if row["metric"] == "out_of_memory"][-1]
    assert (last["value"], last["at"] < 512 or last["value"]) == (1.0, True)


def test_a_batch_that_does_not_fit_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(trainer.Trainer, "_one", full)
    with pytest.raises(ReplicationError, match=r"a batch of 2 x 4 x 12 .* does not fit .* Lower training.batch_size"):
        run(settings("recall"), context(tmp_path))


def test_a_length_beyond_learned_positions_is_refused() -> None:
    model = SequenceModel(
        Network.model_validate("transformer.learned"), 5, 8, 1, generators=[torch.Generator()], head_width=4, n_positions=6
    )
    assert model(torch.zeros(1, 1, 6, dtype=torch.int64)).shape == (1, 1, 6, 5)
    with pytest.raises(InputError, match="the sequence has 7 positions, the network has learned 6"):
        model(torch.zeros(1, 1, 7, dtype=torch.int64))


def test_zero_tokens_are_refused() -> None:
    model = SequenceModel(Network.model_validate("lstm"), 5, 8, 1, generators=[torch.Generator()])
    with pytest.raises(InputError, match="the sequence has no tokens"):
        model(torch.zeros(1, 1, 0, dtype=torch.int64))


def test_a_text_shorter_than_the_context_is_refused() -> None:
    with pytest.raises(DataError, match=r"100 characters, fewer than one context of 128"):
        windows(torch.zeros(100, dtype=torch.int64), 128, 1000, "the text")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experiment": "recall", "model": "lstn"}, "Did you mean 'lstm'"),
        ({"experiment": "recall", "model": "lstm.naive"}, "has no option 'naive'"),
        ({"experiment": "cost", "models": ["lstm"], "sweep": {"largest": {"gru": 8}}}, "'gru' is not among the networks"),
        ({"experiment": "recall", "models": ["lstm"]}, "needs one network"),
        ({"experiment": "cost", "model": "lstm"}, "needs a list of networks"),
        ({"experiment": "recall", "model": "transformer", "width": 20, "head_width": 8}, "not a multiple of head_width"),
        (
            {"experiment": "cost", "models": ["lstm"], "sweep": {"vary": "tokens", "tokens": 64, "values": [32, 128]}},
            "batch would be empty",
        ),
        ({"experiment": "cost", "models": ["lstm"], "sweep": {"values": [0, 4]}}, "zero tokens"),
        ({"experiment": "recall", "model": "lstm", "task": {"pairs": [9], "length": 20}}, "need a length of 27"),
        ({"experiment": "copying", "model": "transformer.learned", "task": {"length": 8, "longer": [12]}}, "learned positions"),
        ({"experiment": "copying", "model": "mamba-lti", "task": {"length": 8, "longer": [12]}}, "positions for which mamba-lti makes"),
        ({"experiment": "selective", "model": "mamba", "task": {"length": 8}}, "needs 1 to 8 letters"),
        ({"experiment": "selective", "model": "mamba", "task": {"length": 8, "letters": 9}}, "there are 9"),
        ({"experiment": "recall", "model": "rwkv4", "initial": "gpt2"}, "rwkv4 has the initial weights of its authors"),
        ({"experiment": "recall", "model": "rwkv"}, "Did you mean 'rwkv4'"),
    ],
)
def test_settings_that_cannot_run_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate(changes)


def test_a_short_run_on_shakespeare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(os.environ.get("REPLICATIONS_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "text" / "tinyshakespeare.txt.gz").is_file():
        pytest.skip(f"no tiny Shakespeare at {folder}; set REPLICATIONS_DATA to a folder that has text/tinyshakespeare.txt.gz")
    monkeypatch.setenv("REPLICATIONS_DATA", str(folder))
    text = {"corpus": "tiny-shakespeare", "context": 48, "evaluation_characters": 4800, "early": 8}
    training = {"n_steps": 60, "batch_size": 16, "learning_rate": 1e-2, "evaluations": 3}
    finished = context(tmp_path, (0,))
    run(
        Settings.model_validate({"experiment": "language", "model": "lstm", "width": 32, "layers": 1, "text": text, "training": training}),
        finished,
    )
    records = frame(finished.rows)[lambda rows: rows["axis"] == ""].set_index(["metric", "split"])["value"]
    losses = records["loss", "validation"].to_numpy()
    assert 2.0 < losses[-1] < losses[0] < 4.17  # ln 65 is what guessing costs
    assert finished.arrays["loss_by_position"].shape == (1, 48)
    assert float(records["loss", "test"]) == pytest.approx(finished.arrays["loss_by_position"].mean(), rel=1e-6)
