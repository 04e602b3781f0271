"""Whole runs: resuming, seeds, real data, what is recorded."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from replications.engine.context import Context
from replications.engine.digits import load_digits
from replications.errors import InputError, Preempted
from replications.papers.recurrent_attention import experiment
from replications.papers.recurrent_attention.settings import Settings
from replications.paths import ROOT
from replications.results.records import frame
from tests.contexts import make_context

TINY = {
    "dataset": "digits",
    "canvas": 14,
    "translated": True,
    "glimpses": 3,
    "glimpse_side": 6,
    "scales": 2,
    "glimpse_size": 8,
    "hidden_size": 12,
    "batch_size": 16,
    "learning_rate": 0.003,
    "n_steps": 14,
    "evaluations": 4,
    "samples": 2,
    "fc_size": 8,
    "conv_side": 4,
    "conv_stride": 2,
    "cnn_filters": [4, 4, 4],
}


def context(folder: Path, seeds: tuple[int, ...] = (0, 1)) -> Context:
    return make_context(folder, "recurrent_attention", seeds)


def finish(folder: Path, settings: Settings, seeds: tuple[int, ...] = (0, 1)) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    given = context(folder, seeds)
    experiment.run(settings, given)
    return frame(given.rows), given.arrays


@pytest.mark.parametrize("step", [1, 7, 13])
@pytest.mark.parametrize(
    "varied",
    [{}, {"baseline": "moving-average", "optimiser": "sgd"}, {"sigma_end": 0.3, "episodes": 2, "reward": "log-probability"}],
    ids=str,
)
def test_a_run_stopped_at_any_step_continues_to_the_same_records(
    step: int, varied: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_validate(TINY | varied)
    records, arrays = finish(tmp_path / "whole", settings)
    stopped = context(tmp_path / "stopped")
    original = experiment.Trainer.__call__

    def call(self: experiment.Trainer, index: int) -> object:
        if index == step:
            stopped.control.stop.signal = "SIGTERM"
        return original(self, index)

    monkeypatch.setattr(experiment.Trainer, "__call__", call)
    with pytest.raises(Preempted, match="state saved"):
        experiment.run(settings, stopped)
    monkeypatch.undo()
    again, arrays_again = finish(tmp_path / "stopped", settings)
    pd.testing.assert_frame_equal(records, again, check_exact=True)
    assert arrays.keys() == arrays_again.keys()
    for name, array in arrays.items():
        assert np.array_equal(array, arrays_again[name]), name


@pytest.mark.parametrize("model", ["ram", "fc", "conv", "cnn", "soft"])
def test_a_seed_alone_learns_what_it_learns_among_others(model: str, tmp_path: Path) -> None:
    settings = Settings.model_validate(TINY | {"model": model})
    together = finish(tmp_path / "together", settings, (0, 1, 2))[0]
    alone = finish(tmp_path / "alone", settings, (1,))[0]

    def losses(records: pd.DataFrame) -> np.ndarray:
        return records[(records["seed"] == 1) & (records["metric"] == "loss")]["value"].to_numpy()

    np.testing.assert_allclose(losses(together), losses(alone), rtol=1e-3)
    others = together[(together["seed"] == 0) & (together["metric"] == "loss")]["value"].to_numpy()
    assert not np.allclose(others, losses(alone), rtol=1e-3)


def test_both_checkpoints_and_every_measure_are_recorded(tmp_path: Path) -> None:
    records, arrays = finish(tmp_path, Settings.model_validate(TINY))
    for model in ("", "best"):
        metrics = set(records[(records["split"] == "test") & (records["model"] == model)]["metric"])
        assert metrics >= {"error", "error_sampled", "error_averaged", "touch", "spread_within", "spread_between", "pixels_seen"}
    assert arrays["paths"].shape == (2, 24, 3, 2)
    assert arrays["beliefs"].shape == (2, 24, 3, 10)
    assert arrays["heat"].shape == (2, 3, 24, 24)
    np.testing.assert_allclose(arrays["beliefs"].sum(-1), 1, rtol=1e-5)
    assert arrays["heat"].astype(float).sum((2, 3)) == pytest.approx(1, abs=0.02)


def test_a_random_policy_trains_no_location_network(tmp_path: Path) -> None:
    settings = Settings.model_validate(TINY | {"policy": "random"})
    given = context(tmp_path)
    seen: dict[str, torch.Tensor] = {}
    original = experiment.Trainer.__init__

    def remember(self: experiment.Trainer, *arguments: object) -> None:
        original(self, *arguments)
        weight = self.network.location_network.mean_fc.weight
        seen.update(after=weight, before=weight.detach().clone())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment.Trainer, "__init__", remember)
        experiment.run(settings, given)
    assert torch.equal(seen["after"], seen["before"])


@pytest.mark.parametrize(("optimiser", "factor"), [("adam", 0.1), ("sgd", 1.0)])
def test_with_adam_the_location_network_has_a_rate_of_its_own(tmp_path: Path, optimiser: str, factor: float) -> None:
    settings = Settings.model_validate(TINY | {"location_rate": 0.1, "optimiser": optimiser})
    given = context(tmp_path)
    digits = load_digits(given, "digits", "train")
    network = experiment.build(settings, [given.generator(seed, "initialise", device="cpu") for seed in (0, 1)], given.device)
    trainer = experiment.Trainer(settings, given, network, experiment.CanvasGenerator(settings, digits))
    trainer(0)
    others, locating = trainer.optimiser.param_groups
    assert (others["lr"], locating["lr"]) == (settings.learning_rate, pytest.approx(factor * settings.learning_rate))
    assert {id(p) for p in locating["params"]} == {id(p) for p in network.location_network.parameters()}


def test_several_episodes_share_an_image_and_differ_in_their_first_glimpse(tmp_path: Path) -> None:
    settings = Settings.model_validate(TINY | {"episodes": 3})
    given = context(tmp_path)
    digits = load_digits(given, "digits", "train")
    network = experiment.build(settings, [torch.Generator().manual_seed(seed) for seed in given.seeds], given.device)
    trainer = experiment.Trainer(settings, given, network, experiment.CanvasGenerator(settings, digits))
    images, labels, noise = trainer._batch()
    assert images.shape[:2] == labels.shape == noise.first.shape[:2] == (2, 3 * TINY["batch_size"])
    groups, places = images.unflatten(1, (-1, 3)), noise.first.unflatten(1, (-1, 3))
    assert (groups == groups[:, :, :1]).all()
    assert (labels.unflatten(1, (-1, 3)) == labels[:, ::3, None]).all()
    assert (places[:, :, 0] != places[:, :, 1]).all()
    assert not (groups[:, 0] == groups[:, 1]).all()


def test_settings_that_came_later_leave_the_digest_of_other_runs_alone() -> None:
    later = {"combination", "sigma_end", "episodes", "reward"}
    assert not later & set(Settings().model_dump(mode="json"))
    varied = Settings(combination="multiply", sigma_end=0.2, episodes=2, reward="log-probability")
    assert later <= set(varied.model_dump(mode="json"))
    assert Settings.model_validate(varied.model_dump(mode="json")) == varied


def test_no_seeds_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no seeds\. Give at least one"):
        experiment.run(Settings.model_validate(TINY), context(tmp_path, ()))


def test_the_cost_run_counts_the_same_for_every_seed(tmp_path: Path) -> None:
    settings = Settings.model_validate(TINY | {"experiment": "cost", "cost_canvases": [14, 20]})
    records = finish(tmp_path, settings)[0]
    flops = records[(records["metric"] == "forward_flops") & (records["model"] == "ram")]["value"]
    assert flops.nunique() == 1
    assert len(flops) == 4
    assert (records[records["metric"] == "microseconds"]["value"] > 0).all()


def mirror() -> Path | None:
    """A local mirror that has MNIST: REPLICATIONS_DATA, or shared/data beside the repository."""
    named = os.environ.get("REPLICATIONS_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if (folder / "hub" / "ylecun" / "mnist").is_dir() else None


@pytest.mark.skipif(mirror() is None, reason="MNIST is not at hand: set REPLICATIONS_DATA to a folder with hub/ylecun/mnist")
def test_a_short_run_on_mnist_learns_and_names_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATIONS_DATA", str(mirror()))
    given = context(tmp_path, (0,))
    settings = Settings(model="fc", fc_size=64, n_steps=250, batch_size=128, learning_rate=3e-3, evaluations=1)
    experiment.run(settings, given)
    records = frame(given.rows)
    error = records[(records["split"] == "test") & (records["model"] == "") & (records["metric"] == "error")]["value"].item()
    # A linear classifier makes about 8 %, chance is 90 %.
    assert error < 10
    assert given.data["mnist/train"]["rows"] == "60000"
    assert given.data["mnist/test"]["origin"] == "local mirror"


def test_a_fixed_policy_takes_one_path_whatever_the_image_and_wrong_answers_are_stored_by_image(tmp_path: Path) -> None:
    rows, arrays = finish(tmp_path, Settings(**TINY | {"policy": "fixed"}))
    test = rows[(rows["split"] == "test") & (rows["model"] == "")].set_index("metric")["value"]
    assert (test["spread_between"] < 1e-5).all()
    assert (test["followed"].abs() < 1).all()
    n_images = int(test["test_examples"].iloc[0])
    wrong = np.unpackbits(arrays["wrong_error_test"], axis=1, count=n_images)
    assert np.allclose(100 * wrong.mean(1), test["error"])
