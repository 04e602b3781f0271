"""Toss, and learn the share of heads by stochastic gradient descent."""

import time

import torch

from replications.engine.context import Context
from replications.engine.randomness import Generators
from replications.engine.training import train
from replications.papers.coin_toss.data import SIDES
from replications.papers.coin_toss.model import Estimate
from replications.papers.coin_toss.settings import Settings

RATE = 0.05


def run(settings: Settings, context: Context) -> None:
    """Record the estimate's distance from the coin's bias."""
    context.load(SIDES, "all")
    model = Estimate(len(context.seeds))
    generators = [context.generator(seed) for seed in context.seeds]

    def step(_: int) -> dict[str, torch.Tensor]:
        time.sleep(settings.pause)
        tosses = torch.stack([(torch.rand(64, generator=g) < settings.bias).float().mean() for g in generators])
        loss = (model.heads - tosses).square()
        (gradient,) = torch.autograd.grad(loss.sum(), [model.heads])
        model.heads.data -= RATE * gradient  # torch's optimisers import its compiler, which takes longer than this whole run
        return {"loss": loss.detach()}

    state = {"model": model, "generators": Generators(generators)}
    tosses = 64 * len(context.seeds)  # one comparison each
    train(context, step, n_steps=settings.n_steps, state=state, examples_per_step=tosses, flops_per_step=tosses)
    context.record("heads", model.heads)
    context.artifact("heads", model.heads)
