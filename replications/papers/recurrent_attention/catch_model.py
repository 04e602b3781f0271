"""The agent that plays Catch (Mnih et al. 2014, sections 3 and 4.2), one frame at a time.

It sees a frame only through the retina, and after each glimpse decides two things: how to move the paddle (softmax) and where to look in
the next frame (normal distribution). As in `model.py`, every tensor has a leading seed axis; to follow the paper, read `seeds = 1`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from replications.engine.layers import SeedLinear
from replications.papers.recurrent_attention.catch import MOVES, Games, caught, glimpses, move_paddle
from replications.papers.recurrent_attention.catch_settings import CatchSettings
from replications.papers.recurrent_attention.model import BaselineNetwork, CoreNetwork, GlimpseNetwork, LocationNetwork


class GameNoise(NamedTuple):
    """Random numbers of one batch of games.

    Attributes:
        first: (seeds, batch, 2) in [-1, 1], the location l_0 of the first glimpse, which is always random.
        move: (seeds, T, batch) in [0, 1), by which moves are drawn; None: the most probable move is made.
        location: (seeds, T - 1, batch, 2); of a learned gaze standard normal, its exploration; of a random gaze the later locations, in
            [-1, 1]; None: the policy's means.
    """

    first: Tensor
    move: Tensor | None = None
    location: Tensor | None = None


class Step(NamedTuple):
    """Outputs of the agent after one glimpse.

    Attributes:
        state: of the core; of an LSTM (seeds, batch, 2 * hidden_size), h_t beside its cells, of a ReLU layer h_t alone.
        log_moves: (seeds, batch, 3) log-probabilities of the moves.
        location_mean: (seeds, batch, 2) mean of the next location.
        baseline: (seeds, batch) predicted reward b_t.
    """

    state: Tensor
    log_moves: Tensor
    location_mean: Tensor
    baseline: Tensor


class Play(NamedTuple):
    """What happened in games of T decisions, and the inputs of the loss, with gradients.

    Attributes:
        reward: (seeds, batch), 1 for a catch, else 0.
        log_probability: (seeds, T, batch) log-probability of each move, plus that of the location chosen with it, weighted.
        entropy: (seeds, T, batch) of the distribution of moves, in nats.
        baselines: (seeds, T, batch) predicted reward at each decision.
        locations: (seeds, T, batch, 2) where the agent looked, within the screen.
        paddles: (seeds, T + 1, batch) leftmost column of the paddle in each frame.
    """

    reward: Tensor
    log_probability: Tensor
    entropy: Tensor
    baselines: Tensor
    locations: Tensor
    paddles: Tensor


class LSTMCore(nn.Module):
    """The core network as a layer of LSTM units (section 4.2), without peepholes.

    i, f, o = sigmoid(Linear(g_t, h_{t-1})), c_t = f c_{t-1} + i tanh(Linear(g_t, h_{t-1})), h_t = o tanh(c_t). The forget gates start open,
    with a bias of 1.

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: CatchSettings, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        hidden = settings.hidden_size
        self.glimpse_to_gates = SeedLinear(2 * settings.glimpse_size, 4 * hidden, generators=generators)
        self.hidden_to_gates = SeedLinear(hidden, 4 * hidden, generators=generators, bias=False)
        bias = self.glimpse_to_gates.bias
        assert bias is not None  # noqa: S101 (for the type checker: the layer has one)
        with torch.no_grad():
            bias[..., hidden : 2 * hidden] = 1

    def forward(self, glimpse: Tensor, state: Tensor) -> Tensor:
        """Return the next state.

        Args:
            glimpse: (seeds, batch, 2 * glimpse_size) g_t.
            state: (seeds, batch, 2 * hidden_size) h_{t-1} and c_{t-1}.

        Returns:
            (seeds, batch, 2 * hidden_size) h_t and c_t.
        """
        hidden, cells = state.chunk(2, -1)
        gates = self.glimpse_to_gates(glimpse) + self.hidden_to_gates(hidden)
        i, f, o, new = gates.chunk(4, -1)
        cells = f.sigmoid() * cells + i.sigmoid() * new.tanh()
        return torch.cat([o.sigmoid() * cells.tanh(), cells], -1)


class CatchAgent(nn.Module):
    """Retina and glimpse network, core, and the networks that read its state: moves, next location, baseline (figure 1C).

    The gradient of the log-probabilities reaches everything but the baseline, through time (equation 2). Locations are samples, through which no
    gradient flows.

    Args:
        settings: sizes, rules, standard deviation of the location policy.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: CatchSettings, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.settings = settings
        self.glimpse_network = GlimpseNetwork(settings, generators)
        self.core_network: nn.Module = (LSTMCore if settings.core == "lstm" else CoreNetwork)(settings, generators)
        self.move_network = SeedLinear(settings.hidden_size, len(MOVES), generators=generators)
        self.location_network = LocationNetwork(settings, generators)
        self.baseline_network = BaselineNetwork(settings, generators)

    def initial_state(self, first: Tensor) -> Tensor:
        """Return the state before the first glimpse, zeros.

        Args:
            first: (seeds, batch, 2) first locations, whose shape and device are used.

        Returns:
            (seeds, batch, 2 * hidden_size) for an LSTM, (seeds, batch, hidden_size) for a ReLU layer.
        """
        width = self.settings.hidden_size * (2 if self.settings.core == "lstm" else 1)
        return first.new_zeros(*first.shape[:2], width)

    def step(self, glimpse: Tensor, location: Tensor, state: Tensor) -> Step:
        """Take in one glimpse and decide.

        Args:
            glimpse: (seeds, batch, scales * g * g) rho(x_t, l_{t-1}), from `glimpses`.
            location: (seeds, batch, 2) l_{t-1}, where it was taken.
            state: of the core.

        Returns:
            The new state and the outputs of the networks that read it.
        """
        state = self.core_network(self.glimpse_network(glimpse, location), state)  # h_t = f_h(h_{t-1}, f_g(x_t, l_{t-1}))
        hidden = state[..., : self.settings.hidden_size]
        log_moves = self.move_network(hidden).log_softmax(-1)
        return Step(state, log_moves, self.location_network(hidden), self.baseline_network(hidden))

    def forward(self, games: Games, noise: GameNoise) -> Play:
        """Play games to their end: T decisions, T = board - 1, each after a glimpse.

        Args:
            games: of shape (seeds, batch).
            noise: the random numbers of the games.

        Returns:
            What happened, and the inputs of the loss.
        """
        s = self.settings
        location, paddle, state = noise.first, games.paddle, self.initial_state(noise.first)
        log_probabilities, entropies, baselines, locations, paddles = [], [], [], [location], [paddle]
        for t in range(s.decisions):
            seen = glimpses(games.ball[..., t], t, paddle, location, s)
            step = self.step(seen, location, state)
            state = step.state
            move = draw_moves(step.log_moves, None if noise.move is None else noise.move[:, t])
            paddle = move_paddle(paddle, move, s)
            log_probability = step.log_moves.gather(-1, move[..., None]).squeeze(-1)
            if t < s.decisions - 1:  # nothing is seen of the last frame, so no location is chosen for it
                sample = self.sample_location(step.location_mean, noise, t)
                if s.gaze == "learned":
                    distance = (sample - step.location_mean).square().sum(-1)
                    log_probability = log_probability - s.location_weight * distance / (2 * s.sigma**2)
                location = sample.clamp(-1, 1)
                locations.append(location)
            log_probabilities.append(log_probability)
            entropies.append(-(step.log_moves.exp() * step.log_moves).sum(-1))
            baselines.append(step.baseline)
            paddles.append(paddle)
        return Play(
            reward=caught(games, paddle, s),
            log_probability=torch.stack(log_probabilities, 1),
            entropy=torch.stack(entropies, 1),
            baselines=torch.stack(baselines, 1),
            locations=torch.stack(locations, 1),
            paddles=torch.stack(paddles, 1),
        )

    def sample_location(self, mean: Tensor, noise: GameNoise, t: int) -> Tensor:
        """Draw the location of the glimpse that follows decision t, without gradient.

        Args:
            mean: (seeds, batch, 2) of the policy.
            noise: of the games.
            t: number of the decision, 0..T - 2.

        Returns:
            (seeds, batch, 2), which may lie outside the screen.
        """
        if self.settings.gaze == "random":
            assert noise.location is not None  # noqa: S101 (a random gaze has no mean to fall back on)
            return noise.location[:, t]
        sample = mean.detach()
        return sample if noise.location is None else sample + self.settings.sigma * noise.location[:, t]


def draw_moves(log_moves: Tensor, uniforms: Tensor | None) -> Tensor:
    """Draw moves from their distribution, or take the most probable ones.

    Args:
        log_moves: (..., 3) log-probabilities.
        uniforms: (...,) in [0, 1), compared with the cumulated probabilities; None: the most probable move.

    Returns:
        (...,) int64, index in `MOVES`.
    """
    if uniforms is None:
        return log_moves.argmax(-1)
    cumulated = log_moves.detach().exp().cumsum(-1)[..., :-1]
    return (uniforms[..., None] >= cumulated).sum(-1)


def policy_loss(play: Play, entropy_weight: float) -> tuple[Tensor, dict[str, Tensor]]:
    """Return a loss whose gradient is minus the REINFORCE estimate of the reward's (equation 3), plus the squared error of the baseline.

    Every decision of a game gets the same reward, the one at its end, less the baseline at that decision.

    Args:
        play: games with gradients.
        entropy_weight: of the entropy of moves.

    Returns:
        The loss summed over seeds, so that each seed's gradient is its own, and metrics of shape (seeds,).
    """
    reward = play.reward[:, None]
    advantage = reward - play.baselines.detach()
    reinforce = -(play.log_probability * advantage).sum(1).mean(1)
    squared = (play.baselines - reward).square().mean((1, 2))
    entropy = play.entropy.mean((1, 2))
    total = reinforce + squared - entropy_weight * play.entropy.sum(1).mean(1)
    metrics = {
        "catches": 100 * play.reward.mean(1),
        "loss": reinforce.detach(),
        "baseline_error": squared.detach(),
        "entropy": entropy.detach(),
    }
    return total.sum(), metrics
