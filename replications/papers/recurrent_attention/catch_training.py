"""One run of Catch: train all seeds at once by REINFORCE, play test games, record."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from replications.engine.checkpoints import Stateful
from replications.engine.context import Context
from replications.engine.devices import GraphedStep
from replications.engine.optimisation import schedule_factor, set_learning_rate
from replications.engine.precision import matmul_precision
from replications.engine.randomness import Generators
from replications.engine.training import Metrics, train
from replications.papers.recurrent_attention.catch import N_START, new_games
from replications.papers.recurrent_attention.catch_evaluation import (
    FixedGames,
    frame_flops,
    record_costs,
    record_play,
    record_scripted_players,
)
from replications.papers.recurrent_attention.catch_model import CatchAgent, GameNoise, policy_loss
from replications.papers.recurrent_attention.catch_settings import CatchSettings


def play_catch(settings: CatchSettings, context: Context) -> None:
    """Train agents to play Catch and test them.

    Args:
        settings: of the run.
        context: of the run; it has at least one seed.
    """
    with matmul_precision(settings.precision, context.device):
        _train_and_test(settings, context)


class CatchTrainer:
    """One update of all seeds: new games, played to their end, loss, optimiser step. Shapes are static, and nothing waits for the device.

    Args:
        settings: of the run.
        context: of the run.
        agent: to train.
    """

    def __init__(self, settings: CatchSettings, context: Context, agent: CatchAgent) -> None:
        self.settings, self.agent = settings, agent
        device, n_seeds, n_games = context.device, len(context.seeds), settings.batch_size
        self.parameters = list(agent.parameters())
        on_gpu = device.type == "cuda"  # there the rate is a tensor, which a graph reads
        rate = torch.tensor(settings.learning_rate, device=device) if on_gpu else settings.learning_rate
        self.optimiser = torch.optim.Adam(self.parameters, lr=rate, fused=True, capturable=on_gpu)
        self.generators = [context.generator(seed, "train") for seed in context.seeds]
        self.starts = torch.empty(n_seeds, n_games, N_START, device=device)
        self.first = torch.empty(n_seeds, n_games, 2, device=device)
        self.move = torch.empty(n_seeds, settings.decisions, n_games, device=device)
        self.location = torch.empty(n_seeds, settings.decisions - 1, n_games, 2, device=device)
        self.update = GraphedStep(self._update, device, self.generators)

    def __call__(self, step: int) -> Metrics:
        """Make one update of the weights.

        Args:
            step: number of the update, from 0.

        Returns:
            Metrics of the update's games, (seeds,) each.
        """
        factor = schedule_factor(self.settings.schedule, step, self.settings.n_steps)
        set_learning_rate(self.optimiser, self.settings.learning_rate * factor)
        return self.update()

    def _update(self) -> Metrics:
        for seed, generator in enumerate(self.generators):
            draw_noise(self.starts[seed], self.first[seed], self.move[seed], self.location[seed], generator, self.settings)
        play = self.agent(new_games(self.starts, self.settings), GameNoise(self.first, self.move, self.location))
        loss, metrics = policy_loss(play, self.settings.entropy_weight)
        # A random gaze does not train the location network, whose parameters then have no gradient and are skipped.
        for parameter, gradient in zip(self.parameters, torch.autograd.grad(loss, self.parameters, allow_unused=True), strict=True):
            parameter.grad = None if gradient is None else gradient.contiguous()
        self.optimiser.step()
        return metrics


def draw_noise(starts: Tensor, first: Tensor, move: Tensor, location: Tensor, generator: torch.Generator, settings: CatchSettings) -> None:
    """Fill the random numbers of one seed's games, in place.

    Args:
        starts: (batch, 3), uniform in [0, 1): beginnings of games.
        first: (batch, 2), uniform in [-1, 1]: first locations.
        move: (T, batch), uniform in [0, 1): draws of moves.
        location: (T - 1, batch, 2): standard normal for a learned gaze, uniform in [-1, 1] for a random one.
        generator: of the seed, on the device of the tensors.
        settings: of the run.
    """
    starts.uniform_(generator=generator)
    first.uniform_(-1, 1, generator=generator)
    move.uniform_(generator=generator)
    if settings.gaze == "random":
        location.uniform_(-1, 1, generator=generator)
    else:
        location.normal_(generator=generator)


def build_agent(settings: CatchSettings, seeds: Sequence[int], context: Context) -> CatchAgent:
    """Return agents with their initial weights.

    Args:
        settings: of the run.
        seeds: of the chunk.
        context: of the run.

    Returns:
        One agent per seed, on the context's device.
    """
    return CatchAgent(settings, [context.generator(seed, "initialise", device="cpu") for seed in seeds]).to(context.device)


def _train_and_test(settings: CatchSettings, context: Context) -> None:
    agent = build_agent(settings, context.seeds, context)
    trainer = CatchTrainer(settings, context, agent)
    validation, test = (FixedGames(settings, context, split) for split in ("validation", "test"))

    def validate(step: int) -> None:
        reward = validation.play(agent).reward.double()
        context.record("catches", 100 * reward.mean(1), split="validation", step=step, unit="%")

    # Recorded before the checkpoint is read: a training that continues replaces these rows by the equal ones that were saved.
    validate(0)
    record_play(context, test, agent, step=0, model="untrained")
    record_scripted_players(context, test)
    record_costs(settings, context)
    state: dict[str, Stateful] = {"agent": agent, "optimiser": trainer.optimiser, "generators": Generators(trainer.generators)}
    games = settings.batch_size * len(context.seeds)
    train(
        context,
        trainer,
        n_steps=settings.n_steps,
        state=state,
        examples_per_step=games,
        flops_per_step=3 * games * settings.decisions * frame_flops(settings),
        evaluate=validate,
        evaluate_every=max(1, settings.n_steps // settings.evaluations),
    )
    record_play(context, test, agent, step=settings.n_steps)
