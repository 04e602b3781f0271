"""Many small networks trained side by side: one alone leaves a GPU idle, however its kernels are written.

Each update moves every network one chunk on. On a GPU the networks of a run sit on streams of their own, and one update of
them all is captured as one graph, so that hundreds of tiny kernels a network cost no launch and overlap with those of the
others. On a CPU they take turns. Every network reads the same text; seeds differ in initial weights and in where the text,
read as a ring, is cut into streams.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from replications.engine.best_weights import BestWeights
from replications.engine.context import Context
from replications.engine.devices import GraphedStep
from replications.engine.optimisation import clip_value, cosine, set_learning_rate
from replications.engine.precision import uses_bf16
from replications.engine.randomness import seeded_library
from replications.engine.streams import make_streams, run_on_streams
from replications.engine.text import Corpus
from replications.engine.text_batches import Streams
from replications.engine.training import NetworkMetrics
from replications.papers.char_rnn.fused import FusedCharacterModel
from replications.papers.char_rnn.model import State, matched_hidden
from replications.papers.char_rnn.settings import Network, Settings


def rate_factor(settings: Settings, step: int, n_steps: int, steps_per_epoch: int) -> float:
    """Return the factor on the peak learning rate at one update.

    Args:
        settings: give the schedule.
        step: number of the update, from 0.
        n_steps: total number of updates.
        steps_per_epoch: updates per pass over the training text.

    Returns:
        Factor in [0, 1].
    """
    if settings.schedule == "cosine":
        return cosine(step, n_steps, warmup=max(1, int(settings.warmup_share * n_steps)))
    epochs_beyond = step // steps_per_epoch + 1 - settings.decay_after
    return float(settings.decay ** max(0, epochs_beyond))


@dataclass
class TrainingState:
    """One network of the group, with the state that a checkpoint holds.

    Attributes:
        name: of the network, for example 'lstm-2'.
        seed: its seed.
        model: the network.
        optimiser: its optimiser.
        carried: state at the end of the last chunk, as the model takes it.
        initial: weights before the first update.
        best: weights with the lowest validation loss so far, in nats per character.
    """

    name: str
    seed: int
    model: FusedCharacterModel
    optimiser: torch.optim.Optimizer
    carried: State
    initial: dict[str, Tensor]
    best: BestWeights


class ModelGroup:
    """All networks of a run, over its seeds.

    Args:
        context: gives seeds, device and generators.
        settings: of the run.
        corpus: its training text is cut into streams.

    Raises:
        DataError: the training text is shorter than one chunk of every stream.
    """

    def __init__(self, context: Context, settings: Settings, corpus: Corpus) -> None:
        self.context, self.settings = context, settings
        tokens = corpus.tokens("train", context.device)
        self.streams: dict[int, Streams] = {}
        for seed in context.seeds:
            place = torch.randint(len(tokens), (), generator=context.generator(seed, "offset", device="cpu"))
            self.streams[seed] = Streams(
                tokens, settings.batch_size, settings.seq_len, offset=int(place), name=f"training text of {corpus.name}"
            )
        self.steps_per_epoch = self.streams[context.seeds[0]].n_chunks
        self.n_steps = max(1, round(settings.epochs * self.steps_per_epoch))
        self.trainees = [self._trainee(name, seed, len(corpus.vocabulary)) for name in settings.models for seed in context.seeds]
        shape = (settings.seq_len, settings.batch_size)
        self._chunks = {seed: torch.zeros((2, *shape), dtype=torch.int64, device=context.device) for seed in context.seeds}
        self._cuda_streams = make_streams(len(self.trainees), context.device)
        self._step = 0
        self._update = GraphedStep(self._all, context.device) if settings.cuda_graph else self._all

    def _trainee(self, name: str, seed: int, vocabulary: int) -> TrainingState:
        network = Network.parse(name)
        settings, device = self.settings, self.context.device
        hidden = matched_hidden(network.cell, network.layers, settings.size, vocabulary)
        generator = self.context.generator(seed, f"weights {name}", device="cpu")
        model = FusedCharacterModel(
            network.cell,
            network.layers,
            hidden,
            vocabulary,
            dropout=settings.dropout,
            generator=generator,
            init=settings.init,
            forget_bias=settings.forget_bias,
        )
        model.to(device)
        # A tensor that captured graphs read; on the CPU a plain number is what the fused update wants.
        rate: Any = torch.tensor(settings.learning_rate, device=device) if device.type == "cuda" else settings.learning_rate
        optimiser: torch.optim.Optimizer
        if settings.optimiser == "adam":
            optimiser = torch.optim.Adam(model.parameters(), lr=rate, betas=(0.9, 0.99), fused=True, capturable=device.type == "cuda")
        else:
            optimiser = torch.optim.RMSprop(model.parameters(), lr=rate, alpha=0.95, capturable=device.type == "cuda")
        initial = {key: value.clone() for key, value in model.state_dict().items()}
        return TrainingState(name, seed, model, optimiser, model.zero_state(settings.batch_size), initial, BestWeights(1, separate=[model]))

    @property
    def flops_per_step(self) -> float:
        """Counted FLOPs of one update of all networks."""
        return self.settings.batch_size * self.settings.seq_len * sum(trainee.model.flops_per_character for trainee in self.trainees)

    def of(self, name: str) -> list[TrainingState]:
        """Return the training states of one network.

        Args:
            name: name of the network.

        Returns:
            One per seed, in the order of the seeds.
        """
        return [trainee for trainee in self.trainees if trainee.name == name]

    def update(self, step: int) -> NetworkMetrics:
        """Make one update of every network.

        Args:
            step: number of the update, from 0.

        Returns:
            For ('loss', network) of each network the loss in nats per character, shape (seeds,).
        """
        self._step = step
        factor = rate_factor(self.settings, step, self.n_steps, self.steps_per_epoch)
        for seed, streams in self.streams.items():
            inputs, targets = streams.chunk(step)
            self._chunks[seed][0].copy_(inputs)
            self._chunks[seed][1].copy_(targets)
        for trainee in self.trainees:
            set_learning_rate(trainee.optimiser, factor * self.settings.learning_rate)
            if self.streams[trainee.seed].begins_anew(step):
                for part in trainee.carried:
                    part.zero_()
        return {("loss", name): losses for name, losses in self._update().items()}

    def _all(self) -> dict[str, Tensor]:
        """Update each network once on the prepared chunks, on its own CUDA stream if there are streams; return their losses."""
        calls = [functools.partial(self._one, trainee) for trainee in self.trainees]
        losses = run_on_streams(calls, self._cuda_streams, self.context.device)
        by_name = {name: [loss for t, loss in zip(self.trainees, losses, strict=True) if t.name == name] for name in self.settings.models}
        return {name: torch.stack(values) for name, values in by_name.items()}

    def _one(self, trainee: TrainingState) -> Tensor:
        model, (inputs, targets) = trainee.model, self._chunks[trainee.seed]
        model.train()
        device = self.context.device
        bf16 = uses_bf16(self.settings.precision, device, cell=model.cell)
        with self._dropout_seed(trainee), torch.autocast(device.type, torch.bfloat16, enabled=bf16, cache_enabled=False):
            logits, after = model(inputs, trainee.carried)
        loss = functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        trainee.optimiser.zero_grad()
        loss.backward()
        clip_value(model.parameters(), self.settings.clip_value)
        trainee.optimiser.step()
        for part, new in zip(trainee.carried, after, strict=True):
            part.copy_(new)
        return loss.detach()

    def _dropout_seed(self, trainee: TrainingState) -> AbstractContextManager[None]:
        """Fix the library's dropout, which draws from the global generator, by seed, network and step."""
        if not self.settings.dropout:
            return nullcontext()
        generator = self.context.generator(trainee.seed, f"dropout {trainee.name} {self._step}", device="cpu")
        return seeded_library(generator.initial_seed(), self.context.device)

    def keep_best(self, losses: Mapping[tuple[str, int], float]) -> None:
        """Keep the weights of every network whose validation loss is its lowest so far.

        Args:
            losses: (name, seed) -> validation loss.
        """
        for trainee in self.trainees:
            trainee.best.update(torch.tensor([losses[trainee.name, trainee.seed]], dtype=torch.float64))

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimisers, carried states and best weights of all networks."""
        return {
            f"{t.name}/{t.seed}": {
                "model": t.model.state_dict(),
                "optimiser": t.optimiser.state_dict(),
                "carried": list(t.carried),
                "best": t.best.state_dict(),
            }
            for t in self.trainees
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, the hidden states included.

        Args:
            state_dict: of a group with the same networks and seeds.
        """
        for trainee in self.trainees:
            saved = state_dict[f"{trainee.name}/{trainee.seed}"]
            trainee.model.load_state_dict(saved["model"])
            trainee.optimiser.load_state_dict(saved["optimiser"])
            for part, value in zip(trainee.carried, saved["carried"], strict=True):
                part.copy_(value)
            trainee.best.load_state_dict(saved["best"])
