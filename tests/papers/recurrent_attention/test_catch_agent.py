"""The agent that plays Catch: its steps, its gradients, whole runs."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from replications.errors import Preempted
from replications.papers.recurrent_attention import experiment
from replications.papers.recurrent_attention.catch import Games, caught, glimpses, move_paddle, new_games
from replications.papers.recurrent_attention.catch_evaluation import correlation, frame_flops
from replications.papers.recurrent_attention.catch_model import CatchAgent, GameNoise, LSTMCore, draw_moves, policy_loss
from replications.papers.recurrent_attention.catch_settings import CatchSettings
from replications.papers.recurrent_attention.catch_training import CatchTrainer
from replications.papers.recurrent_attention.settings import Settings
from replications.results.records import frame
from tests.contexts import make_context

TINY = {"board": 6, "glimpse_side": 3, "scales": 2, "glimpse_size": 6, "hidden_size": 5}


def agent(settings: CatchSettings, *seeds: int) -> CatchAgent:
    return CatchAgent(settings, [torch.Generator().manual_seed(seed) for seed in seeds]).double()


def play_noise(settings: CatchSettings, n_seeds: int, n: int) -> tuple[Games, GameNoise]:
    generator = torch.Generator().manual_seed(9)
    options = {"generator": generator, "dtype": torch.float64}
    games = new_games(torch.rand(n_seeds, n, 3, **options), settings)
    first = 2 * torch.rand(n_seeds, n, 2, **options) - 1
    move = torch.rand(n_seeds, settings.decisions, n, **options)
    return games, GameNoise(first, move, torch.randn(n_seeds, settings.decisions - 1, n, 2, **options))


def test_the_lstm_is_that_of_torch() -> None:
    settings = CatchSettings.model_validate(TINY)
    core = LSTMCore(settings, [torch.Generator().manual_seed(0)]).double()
    library = torch.nn.LSTM(2 * settings.glimpse_size, settings.hidden_size, dtype=torch.float64)
    with torch.no_grad():
        library.weight_ih_l0.copy_(core.glimpse_to_gates.weight[0].T)
        library.weight_hh_l0.copy_(core.hidden_to_gates.weight[0].T)
        library.bias_ih_l0.copy_(core.glimpse_to_gates.bias[0, 0])
        library.bias_hh_l0.zero_()
    glimpse = torch.randn(7, 4, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    # Gates are in torch's order: input, forget, new, output; ours has the output before the new value.
    order = torch.tensor([0, 1, 3, 2]).repeat_interleave(settings.hidden_size) * settings.hidden_size
    order += torch.arange(settings.hidden_size).repeat(4)
    with torch.no_grad():
        for weight in (library.weight_ih_l0, library.weight_hh_l0, library.bias_ih_l0):
            weight.copy_(weight[order].clone())
    expected, _ = library(glimpse)
    state = torch.zeros(1, 4, 10, dtype=torch.float64)
    for t, row in enumerate(glimpse):
        state = core(row[None], state)
        torch.testing.assert_close(state[0, :, :5], expected[t], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("core", ["lstm", "relu"])
def test_games_played_together_are_those_played_alone(core: str) -> None:
    """One game, one frame at a time, with the retina, the paddle and the log-probabilities by hand."""
    settings = CatchSettings.model_validate(TINY | {"core": core})
    agents = agent(settings, 0, 1)
    games, noise = play_noise(settings, 2, 5)
    play = agents(games, noise)
    for seed, game in itertools.product(range(2), range(5)):
        alone = agent(settings, seed)
        location, paddle = noise.first[seed, game].view(1, 1, 2), games.paddle[seed, game].view(1, 1)
        state = alone.initial_state(location)
        for t in range(settings.decisions):
            torch.testing.assert_close(play.locations[seed, t, game], location[0, 0], rtol=1e-9, atol=1e-9)
            seen = glimpses(games.ball[seed, game, t].view(1, 1), t, paddle, location, settings)
            step = alone.step(seen, location, state)
            probabilities = step.log_moves.exp().flatten().tolist()
            uniform = noise.move[seed, t, game].item()
            move = 0 if uniform < probabilities[0] else 1 if uniform < probabilities[0] + probabilities[1] else 2
            log_probability = step.log_moves[0, 0, move]
            if t < settings.decisions - 1:
                shift = settings.sigma * noise.location[seed, t, game]
                normal = torch.distributions.Normal(torch.zeros(2, dtype=torch.float64), settings.sigma)
                density = (normal.log_prob(shift) - normal.log_prob(normal.mean)).sum()
                log_probability = log_probability + settings.location_weight * density
                location = (step.location_mean + shift).clamp(-1, 1)
            torch.testing.assert_close(play.log_probability[seed, t, game], log_probability, rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(play.baselines[seed, t, game], step.baseline[0, 0], rtol=1e-9, atol=1e-9)
            state, paddle = step.state, (paddle + move - 1).clamp(0, settings.board - settings.paddle)
        assert play.paddles[seed, -1, game] == paddle
        assert play.reward[seed, game] == float(0 <= games.ball[seed, game, -1] - paddle < settings.paddle)


def gradient(value: Tensor, agents: CatchAgent) -> Tensor:
    named = [(name, p) for name, p in agents.named_parameters() if not name.startswith(("baseline", "location"))]
    parts = torch.autograd.grad(value, [p for _, p in named], allow_unused=True)
    return torch.cat([torch.zeros_like(p).flatten() if g is None else g.flatten() for (_, p), g in zip(named, parts, strict=True)])


def test_reinforce_estimates_the_gradient_of_the_expected_reward() -> None:
    """A game of two decisions is small enough to go through all nine pairs of moves: their exact gradient is the mean of the estimates.

    The gaze is fixed by a random policy, whose locations are given, so that moves alone are drawn.
    """
    settings = CatchSettings(board=3, paddle=1, glimpse_side=3, scales=1, glimpse_size=4, hidden_size=4, gaze="random", max_speed=1)
    agents = agent(settings, 0)
    first = torch.tensor([[[0.2, -0.3]]], dtype=torch.float64)
    location = torch.tensor([[[[-0.4, 0.5]]]], dtype=torch.float64)
    games = Games(torch.tensor([[[0, 1, 1]]]), torch.tensor([[0]]))

    def log_moves(moves: tuple[int, ...]) -> tuple[Tensor, list[Tensor]]:
        """Return the rewarded paddle and the log-probabilities at both decisions, when the first move is made."""
        start = glimpses(games.ball[..., 0], 0, games.paddle, first, settings)
        step = agents.step(start, first, agents.initial_state(first))
        before = step.log_moves[0, 0]
        paddle = move_paddle(games.paddle, torch.tensor([[moves[0]]]), settings)
        step = agents.step(glimpses(games.ball[..., 1], 1, paddle, location[:, 0], settings), location[:, 0], step.state)
        return move_paddle(paddle, torch.tensor([[moves[1]]]), settings), [before, step.log_moves[0, 0]]

    expected_reward, estimate = torch.zeros((), dtype=torch.float64), torch.zeros(())
    for moves in itertools.product(range(3), repeat=2):
        paddle, logs = log_moves(moves)
        probability = (logs[0][moves[0]] + logs[1][moves[1]]).exp()
        expected_reward = expected_reward + probability * caught(games, paddle, settings).item()
        # Random numbers in the middle of each move's share draw exactly these moves.
        shares = [log.detach().exp() for log in logs]
        uniform = torch.stack([share[:move].sum() + share[move] / 2 for share, move in zip(shares, moves, strict=True)]).view(1, 2, 1)
        play = agents(games, GameNoise(first, uniform, location))
        estimate = estimate - probability.detach() * gradient(policy_loss(play, entropy_weight=0.0)[0], agents)
    assert 0 < expected_reward.item() < 1
    torch.testing.assert_close(estimate, gradient(expected_reward, agents), rtol=1e-9, atol=1e-12)


def test_reinforce_pulls_the_gaze_towards_locations_that_paid() -> None:
    """Of log N(sample; mean, sigma^2) the gradient is (sample - mean) / sigma^2 (Williams 1992), here through the mean's tanh."""
    settings = CatchSettings.model_validate(TINY | {"board": 3, "location_weight": 0.5})
    agents = agent(settings, 0)
    games, noise = play_noise(settings, 1, 1)
    play = agents(games, noise)
    seen = glimpses(games.ball[..., 0], 0, games.paddle, noise.first, settings)
    step = agents.step(seen, noise.first, agents.initial_state(noise.first))
    advantage = play.reward - step.baseline
    shift = settings.sigma * noise.location[0, 0, 0]
    expected = -settings.location_weight * advantage * shift / settings.sigma**2 * (1 - step.location_mean[0, 0] ** 2)
    found = torch.autograd.grad(policy_loss(play, entropy_weight=0.0)[0], agents.location_network.mean_fc.bias)[0]
    torch.testing.assert_close(found.flatten(), expected.flatten().detach(), rtol=1e-9, atol=1e-12)
    assert found.abs().max() > 0


def test_moves_are_drawn_in_their_shares() -> None:
    log_moves = torch.tensor([0.2, 0.5, 0.3]).log()
    uniforms = (torch.arange(1000) + 0.5) / 1000
    counts = torch.bincount(draw_moves(log_moves.expand(1000, 3), uniforms), minlength=3)
    assert counts.tolist() == [200, 500, 300]
    assert draw_moves(log_moves, None) == 1


def test_counted_operations_are_those_that_torch_counts() -> None:
    """The retina as the product that it is in writing, rows times columns of the lit pixels; its code needs fewer operations."""
    from torch.utils.flop_counter import FlopCounterMode

    for board in (8, 30):
        settings = CatchSettings(board=board, glimpse_side=4, scales=2, glimpse_size=8, hidden_size=6)
        agents = CatchAgent(settings, [torch.Generator().manual_seed(0)])
        games = new_games(torch.rand(1, 1, 3, generator=torch.Generator().manual_seed(0)), settings)
        location = torch.zeros(1, 1, 2)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            agents.step(glimpses(games.ball[..., 0], 0, games.paddle, location, settings), location, agents.initial_state(location))
            lit = torch.ones(settings.scales, 1 + settings.paddle, settings.glimpse_side)
            torch.bmm(lit.mT, lit)
        assert counter.get_total_flops() == frame_flops(settings)


def test_correlation_is_numpys_and_zero_where_nothing_varies() -> None:
    a, b = torch.randn(2, 50, generator=torch.Generator().manual_seed(0)), torch.arange(50)
    expected = [np.corrcoef(row, b)[0, 1] for row in a.numpy()]
    np.testing.assert_allclose(correlation(a, b), expected, rtol=1e-6)
    assert correlation(torch.ones(50), b) == 0


RUN = TINY | {"batch_size": 8, "n_steps": 9, "evaluations": 3, "n_test": 40, "learning_rate": 0.01}


def finish(folder: Path, seeds: tuple[int, ...] = (0, 1), **update: object) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    given = make_context(folder, "recurrent_attention", seeds)
    experiment.run(Settings(experiment="catch", catch=CatchSettings.model_validate(RUN | update)), given)
    return frame(given.rows), given.arrays


@pytest.mark.parametrize(("step", "gaze"), [(1, "learned"), (8, "random")])
def test_a_training_stopped_at_any_step_continues_to_the_same_records(
    step: int, gaze: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records, arrays = finish(tmp_path / "whole", gaze=gaze)
    stopped = make_context(tmp_path / "stopped", "recurrent_attention")
    original = CatchTrainer.__call__

    def call(self: CatchTrainer, index: int) -> object:
        if index == step:
            stopped.control.stop.signal = "SIGTERM"
        return original(self, index)

    monkeypatch.setattr(CatchTrainer, "__call__", call)
    with pytest.raises(Preempted, match="state saved"):
        experiment.run(Settings(experiment="catch", catch=CatchSettings.model_validate(RUN | {"gaze": gaze})), stopped)
    monkeypatch.undo()
    again, arrays_again = finish(tmp_path / "stopped", gaze=gaze)
    pd.testing.assert_frame_equal(records, again, check_exact=True)
    assert arrays.keys() == arrays_again.keys()
    assert all(np.array_equal(array, arrays_again[name]) for name, array in arrays.items())


def test_a_seed_alone_learns_what_it_learns_among_others(tmp_path: Path) -> None:
    def losses(records: pd.DataFrame, seed: int) -> np.ndarray:
        return records[(records["seed"] == seed) & (records["metric"] == "loss")]["value"].to_numpy()

    together, alone = finish(tmp_path / "together", (0, 1, 2))[0], finish(tmp_path / "alone", (1,))[0]
    np.testing.assert_allclose(losses(together, 1), losses(alone, 1), rtol=1e-4)
    assert not np.allclose(losses(together, 0), losses(alone, 1), rtol=1e-3)


def test_what_a_run_records(tmp_path: Path) -> None:
    records, arrays = finish(tmp_path)
    tests = records[(records["split"] == "test") & (records["metric"] == "catches")]
    assert set(tests["model"]) == {"", "untrained", "still", "random-moves", "chaser"}
    assert tests["value"].between(0, 100).all()
    assert sorted(set(records[records["split"] == "validation"]["step"])) == [0, 3, 6, 9]
    costs = records[records["metric"] == "frame_flops"]
    assert set(costs["at"]) == {24, 48, 96, 192}
    assert costs["value"].nunique() == 1
    trained = tests[tests["model"] == ""].sort_values("seed")["value"].to_numpy()
    misses = np.unpackbits(arrays["wrong_catches_test"], axis=1, count=40).mean(1)
    np.testing.assert_allclose(trained, 100 * (1 - misses), atol=1e-6)
    assert arrays["balls"].shape == (24, 6)
    assert arrays["paddles"].shape == (2, 24, 6)
    assert arrays["gazes"].shape == (2, 24, 5, 2)


def test_the_stored_games_are_games_and_their_ends_are_the_recorded_ones(tmp_path: Path) -> None:
    _, arrays = finish(tmp_path)
    balls, paddles = arrays["balls"], arrays["paddles"]
    assert (np.abs(np.diff(paddles, axis=2)) <= 1).all()
    assert (np.abs(np.diff(balls, axis=1)) <= 2).all()
    won = (balls[:, -1] >= paddles[:, :, -1]) & (balls[:, -1] < paddles[:, :, -1] + 2)
    misses = np.unpackbits(arrays["wrong_catches_test"], axis=1, count=40)[:, :24]
    np.testing.assert_array_equal(won, misses == 0)


def test_an_agent_learns_to_catch_more_than_a_paddle_that_moves_at_random(tmp_path: Path) -> None:
    """On a board of five pixels a few hundred updates are enough."""
    sizes = {"board": 5, "glimpse_side": 3, "scales": 2, "glimpse_size": 16, "hidden_size": 32}
    training = {"batch_size": 64, "n_steps": 300, "n_test": 1000, "evaluations": 1}
    recipe = {"learning_rate": 0.01, "location_weight": 0.01, "entropy_weight": 0.03}
    records, _ = finish(tmp_path, (3,), **sizes, **training, **recipe)
    catches = records[(records["split"] == "test") & (records["metric"] == "catches")].set_index("model")["value"]
    # A thousand games: five standard errors are 8 points.
    assert catches[""] > catches["random-moves"] + 8
