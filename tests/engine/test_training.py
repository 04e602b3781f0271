"""The loop resumes exactly: whatever step it is stopped at, records and weights equal those of an uninterrupted run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from replications.engine.context import Context
from replications.engine.control import Trial
from replications.engine.optimisation import cosine, set_learning_rate
from replications.engine.randomness import Generators
from replications.engine.training import train
from replications.errors import Preempted, ReplicationError
from tests.contexts import make_context

N_STEPS = 12


def context(folder: Path, seeds: tuple[int, ...] = (0, 1)) -> Context:
    return make_context(folder, "p", seeds)


def fit(given_context: Context, *, stop_at: int | None = None, every_step: bool = False) -> torch.Tensor:
    """A small regression with noise from the generators; `stop_at` sends the stop request during that step."""
    model = torch.nn.Linear(3, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.1)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    generators = [given_context.generator(seed) for seed in given_context.seeds]

    def step(index: int) -> dict[str, torch.Tensor]:
        set_learning_rate(optimiser, 0.1 * cosine(index, N_STEPS))
        losses = torch.stack([(model(torch.randn(4, 3, generator=g)) - torch.randn(4, 1, generator=g)).square().mean() for g in generators])
        optimiser.zero_grad()
        losses.sum().backward()
        optimiser.step()
        if index == stop_at:
            given_context.control.stop.signal = "SIGTERM"
        return {"loss": losses.detach()}

    def evaluate(done: int) -> None:
        given_context.record("weight", [float(model.weight.detach().sum())] * len(given_context.seeds), split="validation", step=done)
        given_context.artifact("weights", model.weight)

    if every_step:
        given_context.control.checkpoint_seconds = 0.0
    train(
        given_context,
        step,
        n_steps=N_STEPS,
        state={"model": model, "optimiser": optimiser, "generators": Generators(generators)},
        examples_per_step=8,
        record_every=2,
        evaluate=evaluate,
        evaluate_every=5,
    )
    return model.weight.detach().clone()


@settings(max_examples=8, deadline=None)
@given(stop_at=st.integers(0, N_STEPS - 1), every_step=st.booleans())
def test_a_stopped_training_ends_like_an_uninterrupted_one(
    tmp_path_factory: pytest.TempPathFactory, stop_at: int, every_step: bool
) -> None:
    whole = context(tmp_path_factory.mktemp("whole"))
    weights = fit(whole)

    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Preempted, match=f"step {stop_at + 1}"):
        fit(context(folder), stop_at=stop_at, every_step=every_step)
    resumed = context(folder)
    assert torch.equal(fit(resumed), weights)
    assert resumed.rows == whole.rows
    assert np.array_equal(resumed.arrays["weights"], whole.arrays["weights"])
    assert resumed.cost["examples"] == whole.cost["examples"] == 8 * N_STEPS
    assert resumed.resumes == (stop_at < N_STEPS - 1)


def test_a_finished_stage_is_not_trained_again(tmp_path: Path) -> None:
    first = context(tmp_path)
    fit(first)
    again = context(tmp_path)
    fit(again)
    assert again.rows == first.rows
    assert again.resumes == 0


def test_two_seeds_differ_and_the_same_seed_agrees(tmp_path: Path) -> None:
    one = context(tmp_path)
    draws = [torch.randn(5, generator=one.generator(seed, purpose)) for seed in (0, 1) for purpose in ("train", "test")]
    for i, left in enumerate(draws):
        for right in draws[i + 1 :]:
            assert not torch.equal(left, right)
    assert torch.equal(draws[0], torch.randn(5, generator=one.generator(0)))


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(ReplicationError, match=r"loss is not finite.*Lower the learning rate"):
        train(
            context(tmp_path),
            lambda _: {"loss": torch.tensor([1.0, float("nan")])},
            n_steps=1,
            state={},
            examples_per_step=1,
        )


def test_a_record_needs_one_value_per_seed(tmp_path: Path) -> None:
    with pytest.raises(ReplicationError, match="3 values for 2 seeds"):
        context(tmp_path).record("error", [1.0, 2.0, 3.0])


def test_a_trial_trains_the_first_steps_evaluates_and_counts_the_whole(tmp_path: Path) -> None:
    short = context(tmp_path / "short")
    trial = short.control.trial = Trial(3)
    fit(short)
    assert {row["step"] for row in short.rows if row["split"] == "validation"} == {3}
    assert short.cost["examples"] == 3 * 8
    assert trial.planned == {"steps": N_STEPS, "examples": N_STEPS * 8, "flops": 0.0}
    whole = context(tmp_path / "whole")
    fit(whole)
    first = [row for row in whole.rows if row["split"] == "train" and row["step"] == 2]
    assert [row for row in short.rows if row["split"] == "train" and row["step"] == 2] == first
