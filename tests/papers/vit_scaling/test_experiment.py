"""Runs: they learn, resume exactly, keep their budget, and record transfer and analyses."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from replications.engine.context import Context
from replications.errors import InputError, Preempted
from replications.papers.vit_scaling import attention_analysis, transfer
from replications.papers.vit_scaling.experiment import run
from replications.papers.vit_scaling.figure_data import series_of
from replications.papers.vit_scaling.settings import Settings
from replications.papers.vit_scaling.trainer import BatchOrder
from replications.registry.run_grid import load_runs

MakeContext = Callable[..., Context]
SmallSettings = Callable[..., Settings]


def value(context: Context, metric: str, split: str = "test", seed: int = 0) -> float:
    result = [row["value"] for row in context.rows if (row["metric"], row["split"], row["seed"]) == (metric, split, seed)]
    return float(result[-1])


@pytest.mark.parametrize("changes", [{"learning_rate": 0.003}, {"family": "resnet", "learning_rate": 0.003}])
def test_a_small_network_learns_what_it_sees(small: SmallSettings, context: MakeContext, tmp_path: Path, changes: dict[str, Any]) -> None:
    result = context(tmp_path, seeds=(0,))
    run(small(n_steps=80, batch_size=32, **changes), result)
    assert value(result, "accuracy", "train") > 60  # chance: 25
    assert value(result, "accuracy", "test") > 35


class StopAt:
    """Counts checks of the stop request and sets it at one of them."""

    def __init__(self, context: Context, at: int) -> None:
        self.context, self.left = context, at
        self.asked = context.asked_to_stop

    def __call__(self) -> bool:
        self.left -= 1
        if self.left == 0:
            self.context.control.stop.signal = "SIGTERM"
        return self.asked()


@pytest.mark.parametrize("stop_at", [1, 4, 9])
def test_a_stopped_run_ends_like_an_uninterrupted_one(
    small: SmallSettings, context: MakeContext, tmp_path: Path, stop_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small(
        experiment="frontier",
        n_steps=4,
        augmentation="strong",
        dropout=0.1,
        sub_runs=[
            {"label": "vit-a"},
            {"label": "vit-b", "settings": {"n_steps": 3}},
            {"label": "resnet-a", "settings": {"family": "resnet"}},
        ],
    )
    whole = context(tmp_path / "whole")
    run(settings, whole)
    stopped = context(tmp_path / "stopped")
    monkeypatch.setattr(stopped, "asked_to_stop", StopAt(stopped, stop_at))
    with pytest.raises(Preempted):
        run(settings, stopped)
    resumed = context(tmp_path / "stopped")
    run(settings, resumed)
    assert resumed.rows == whole.rows
    assert resumed.cost["examples"] == whole.cost["examples"] == 2 * 8 * (4 + 3 + 4)


def test_a_seed_does_not_depend_on_its_company(small: SmallSettings, context: MakeContext, tmp_path: Path) -> None:
    together, alone = context(tmp_path / "a", seeds=(0, 1)), context(tmp_path / "b", seeds=(1,))
    for result in (together, alone):
        run(small(augmentation="light"), result)
    assert value(together, "loss", "train", seed=1) == value(alone, "loss", "train", seed=1)
    assert value(together, "loss", "train", seed=0) != value(together, "loss", "train", seed=1)


def test_every_step_has_a_full_batch_and_every_epoch_every_image_whatever_n() -> None:
    for n in (3, 8, 20):
        order = BatchOrder(n, 8, lambda epoch, n=n: torch.randperm(n, generator=torch.Generator().manual_seed(epoch)))
        batches = [order.rows(step) for step in range(15)]
        assert all(len(batch) == 8 for batch in batches)
        seen = torch.cat(batches)
        for epoch in range(len(seen) // n):
            assert sorted(seen[epoch * n : (epoch + 1) * n].tolist()) == list(range(n))
        later = BatchOrder(n, 8, order.permutation)  # a resumed run starts anywhere
        assert torch.equal(later.rows(11), batches[11])


@pytest.mark.parametrize("tier", ["smoke", "gpu", "paper"])
def test_within_a_question_all_sizes_have_the_same_budget_and_families_equal_compute(tier: str) -> None:
    from replications.papers.vit_scaling.counting import counts

    runs = load_runs("vit_scaling", tier)
    for name in ("pre-training", "scratch"):
        curves = {
            family: [r.settings_as(Settings) for r in runs if r.labels.get("curve") == name and series_of(r) == family]
            for family in ("vit", "resnet")
        }
        both = [s for curve in curves.values() for s in curve]
        assert len({(s.n_steps, s.batch_size, s.augmentation) for s in both}) <= 1
        sizes = [sorted(s.n_images for s in curve) for curve in curves.values()]
        assert sizes[0] == sizes[1]
        if both and tier != "paper":  # ViT-S/16 and ResNet-50 have 4.6 and 4.1 GFLOPs, the usual pair
            vit, resnet = (counts(curves[family][0])[1] for family in ("vit", "resnet"))
            assert vit == pytest.approx(resnet, rel=0.05)
    tuned = [len(s.sub_runs) for r in runs if (s := r.settings_as(Settings)).experiment == "tuning"]
    assert len(set(tuned)) <= 1


def test_zero_seeds_are_refused(small: SmallSettings, context: MakeContext, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no seeds"):
        run(small(), context(tmp_path, seeds=()))


def test_least_squares_equals_its_definition_in_both_forms() -> None:
    generator = torch.Generator().manual_seed(0)
    for n, d in ((20, 5), (5, 20)):
        x, labels = torch.randn(n, d, generator=generator), torch.arange(n) % 3
        weights, offsets = transfer.least_squares(transfer.Features(x, labels), 3, penalty=0.7)
        targets = 2.0 * torch.nn.functional.one_hot(labels, 3) - 1
        residual = x.double() @ weights + offsets - targets
        gradient = x.double().mT @ residual + 0.7 * weights
        assert float(gradient.abs().max()) < 1e-8
        assert float(residual.sum(0).abs().max()) < 1e-8


def test_transfer_probes_and_fine_tunes(small: SmallSettings, context: MakeContext, tmp_path: Path) -> None:
    result = context(tmp_path, seeds=(0,))
    settings = small(
        family="resnet",
        n_steps=30,
        batch_size=32,
        transfer="digits",
        shots=(5,),
        probe_draws=2,
        probe_images=300,
        finetune_steps=200,
        finetune_learning_rate=0.005,
    )
    run(settings, result)
    assert value(result, "probe_accuracy", "transfer") > value(result, "few_shot_accuracy", "transfer") > 15  # chance: 10
    assert value(result, "finetuned_accuracy", "transfer") > 35


def test_attention_is_measured_as_defined(small: SmallSettings, context: MakeContext, tmp_path: Path) -> None:
    even = torch.full((1, 1, 1, 5, 5), 0.2)  # class token and a grid of 2 x 2
    expected = 4 * (0 + 1 + 1 + 2**0.5) / 4
    assert float(attention_analysis.attention_distance(even, 2, 4)) == pytest.approx(expected)
    assert float(attention_analysis.attention_distance(torch.eye(5)[None, None, None], 2, 4)) == 0
    maps = torch.rand(3, 2, 4, 5, 5, generator=torch.Generator().manual_seed(0)).softmax(-1)
    slow = torch.eye(5)
    for layer in maps:
        slow = 0.5 * (layer[1].mean(0) + torch.eye(5)) @ slow
    torch.testing.assert_close(attention_analysis.rollout(maps)[1], slow)
    torch.testing.assert_close(attention_analysis.rollout(maps).sum(-1), torch.ones(2, 5))
    result = context(tmp_path)
    run(small(save_attention=True), result)
    assert result.arrays["attention_distance"].shape == (2, 2, 2)
    assert result.arrays["rollout"].shape == (2, 12, 16)
    assert np.allclose(result.arrays["rollout"].sum(-1), 1, atol=1e-5)
    assert np.allclose(np.diagonal(result.arrays["position_similarity"], axis1=1, axis2=2), 1, atol=1e-5)
    assert result.arrays["filters"].shape == (2, 12, 3, 2, 2)


def test_a_short_run_on_cifar10(context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    folder = Path(os.environ.get("REPLICATIONS_DATA", beside))
    if not (folder / "hub" / "uoft-cs" / "cifar10").is_dir():
        pytest.skip("CIFAR-10 is not on this machine; set REPLICATIONS_DATA to a folder that has hub/uoft-cs/cifar10")
    monkeypatch.setenv("REPLICATIONS_DATA", str(folder))
    settings = Settings.model_validate(
        {
            "dataset": "cifar10",
            "n_images": 2000,
            "image_size": 32,
            "family": "resnet",
            "stages": (1, 1, 1),
            "channels": 8,
            "n_steps": 60,
            "batch_size": 64,
            "learning_rate": 0.005,
            "augmentation": "light",
        }
    )
    result = context(tmp_path, seeds=(0,))
    run(settings, result)
    assert value(result, "accuracy") > 20  # chance: 10
    assert result.data["cifar10/test"]["rows"] == "10000"
