"""Training the networks of all seeds at once; on a GPU one update is one captured graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from replications.engine.checkpoints import Stateful
from replications.engine.context import Context
from replications.engine.devices import GraphedStep
from replications.engine.optimisation import clip_norm_per_seed, clip_value, decay_groups, schedule_factor, set_learning_rate
from replications.engine.precision import uses_bf16
from replications.engine.randomness import Generators
from replications.engine.training import train
from replications.errors import ReplicationError
from replications.papers.rnn_vs_transformer.accounting import network_flops
from replications.papers.rnn_vs_transformer.model import Dropout, SequenceModel, seed_gradients
from replications.papers.rnn_vs_transformer.profiling import out_of_memory
from replications.papers.rnn_vs_transformer.settings import Settings
from replications.papers.rnn_vs_transformer.tasks import IGNORED

Batch = tuple[Tensor, Tensor]
"""Tokens and targets, int64 (seeds, batch, n) each; positions whose target is `IGNORED` are not scored."""

TOKENS_AT_ONCE = 1 << 12
"""Largest number of tokens of one seed that go through a network at once on a CPU."""

SeedBatch = Callable[[torch.Generator], Batch]
"""Function that draws tokens and targets of one seed, (batch, n) each, on the generator's device."""


def make_model(settings: Settings, context: Context, vocabulary: int, n_positions: int) -> SequenceModel:
    """Return the run's network with initial weights from each seed's own generator.

    Args:
        settings: settings of the run.
        context: seeds, device and generators.
        vocabulary: number of distinct tokens.
        n_positions: number of learned position embeddings, if the network has them.

    Returns:
        The networks of all seeds, on the device.
    """
    network = settings.network
    model = SequenceModel(
        network,
        vocabulary,
        settings.width,
        settings.layers,
        generators=[context.generator(seed, f"weights {network.name}", device="cpu") for seed in context.seeds],
        head_width=settings.head_width,
        d_state=settings.d_state,
        n_positions=n_positions,
        initial=settings.initial,
        tied_output=settings.tied_output,
        bias=settings.bias,
    )
    return model.to(context.device)


def token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy at every position.

    Args:
        logits: (..., vocabulary).
        targets: int64 (...).

    Returns:
        Nats, float32 (...); 0 where the target is `IGNORED`.
    """
    flat = functional.cross_entropy(logits.float().flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return flat.view_as(targets)


class ClippedUpdates:
    """How many updates of each seed were clipped by norm, as checkpoint state.

    Args:
        n_seeds: number of seeds.
        device: where they are counted, so that no update waits for the host.
    """

    def __init__(self, n_seeds: int, device: torch.device) -> None:
        self.counts = torch.zeros(n_seeds, device=device)

    def share(self, clipped: Tensor, updates: int) -> Tensor:
        """Count one more update.

        Args:
            clipped: 1 for each seed whose gradient was clipped, else 0, (seeds,).
            updates: updates made so far, this one included.

        Returns:
            Share of clipped updates, 0 to 1, (seeds,).
        """
        self.counts += clipped
        return self.counts / updates

    def state_dict(self) -> dict[str, Tensor]:
        """Return the counts, (seeds,)."""
        return {"counts": self.counts}

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> None:
        """Continue from saved counts.

        Args:
            state_dict: what `state_dict` returned, for as many seeds.
        """
        self.counts.copy_(state_dict["counts"])


class Trainer:
    """A network, its optimiser and its data.

    Args:
        settings: of the run.
        context: of the run.
        model: the networks of all seeds.
        draw: draws one seed's batch from that seed's generator.
    """

    def __init__(self, settings: Settings, context: Context, model: SequenceModel, draw: SeedBatch) -> None:
        self.settings, self.context, self.model, self.draw = settings, context, model, draw
        training, device = settings.training, context.device
        graphed = training.cuda_graph and device.type == "cuda"
        rate = torch.tensor(training.learning_rate, device=device) if graphed else training.learning_rate
        self.optimiser: torch.optim.Optimizer
        if training.optimiser == "sgd":
            self.optimiser = torch.optim.SGD(model.parameters(), lr=rate, fused=True)
        else:
            groups = decay_groups(model, training.weight_decay, exclude=("norm", "bias", *model.undecayed))
            self.optimiser = torch.optim.AdamW(groups, lr=rate, betas=(0.9, training.beta2), fused=True, capturable=graphed)
        self.data = [context.generator(seed, "data") for seed in context.seeds]
        self.masks = [context.generator(seed, "dropout") for seed in context.seeds]
        self.dropout = Dropout(training.dropout, self.masks)
        self.clipped = ClippedUpdates(len(context.seeds), device)
        self.bf16 = uses_bf16(training.precision, device, cell=model.network.mixer)
        self._static: Batch | None = None
        self._update: Callable[[], Mapping[str, Tensor]] = GraphedStep(self._one, device, self.masks) if graphed else self._one

    @property
    def state(self) -> dict[str, Stateful]:
        """Objects that a checkpoint holds, by name."""
        generators = {"data": Generators(self.data), "dropout": Generators(self.masks)}
        return {"model": self.model, "optimiser": self.optimiser, "clipped": self.clipped, **generators}

    def batch(self) -> Batch:
        """Draw the next batch of every seed."""
        drawn = [self.draw(generator) for generator in self.data]
        return torch.stack([tokens for tokens, _ in drawn]), torch.stack([targets for _, targets in drawn])

    def update(self, step: int) -> Mapping[str, Tensor]:
        """Make one update.

        Args:
            step: number of the update, from 0.

        Returns:
            `loss`, the mean over scored positions in nats, (seeds,); where gradients are clipped by norm `clipped_share`, the share of
            updates so far whose gradient was longer, (seeds,).

        Raises:
            ReplicationError: a batch does not fit into memory.
        """
        training = self.settings.training
        factor = schedule_factor(training.schedule, step, training.n_steps, warmup_share=training.warmup_share, floor=0.1)
        set_learning_rate(self.optimiser, training.learning_rate * factor)
        tokens, targets = self.batch()
        if self._static is None:
            self._static = tokens, targets
        else:
            self._static[0].copy_(tokens)
            self._static[1].copy_(targets)
        try:
            metrics = self._update()
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            shape = " x ".join(map(str, tokens.shape))
            raise ReplicationError(
                f"{self.context.chunk}: a batch of {shape} (seeds x sequences x tokens) does not fit into the memory of"
                f" {self.context.device}. Lower training.batch_size or the length in runs.yaml, or train fewer seeds per job (seeds_per_job)."
            ) from error
        if "clipped" not in metrics:
            return metrics
        return {"loss": metrics["loss"], "clipped_share": self.clipped.share(metrics["clipped"], step + 1)}

    def _one(self) -> Mapping[str, Tensor]:
        assert self._static is not None  # noqa: S101 (set by update)
        training = self.settings.training
        scored = (self._static[1] != IGNORED).flatten(1).sum(1)
        self.optimiser.zero_grad(set_to_none=True)
        losses = []
        for tokens, targets in self._parts(*self._static):
            with torch.autocast(self.context.device.type, torch.bfloat16, enabled=self.bf16, cache_enabled=False):
                logits = self.model(tokens, self.dropout)
            part = token_loss(logits, targets).flatten(1).sum(1) / scored
            part.sum().backward()
            losses.append(part.detach())
        metrics = {"loss": torch.stack(losses).sum(0)}
        if training.clip_norm is not None:
            norms = clip_norm_per_seed(seed_gradients(self.model, len(self.context.seeds)), training.clip_norm)
            metrics["clipped"] = (norms > training.clip_norm).float()
        if training.clip_value is not None:
            clip_value(self.model.parameters(), training.clip_value)
        self.optimiser.step()
        return metrics

    def _parts(self, tokens: Tensor, targets: Tensor) -> Iterable[Batch]:
        """Return the whole batch, or on a CPU, to save memory, parts whose gradients add up to that of the batch."""
        if self.context.device.type != "cpu":
            return [(tokens, targets)]
        rows = max(1, TOKENS_AT_ONCE // tokens.shape[2])
        return zip(tokens.split(rows, dim=1), targets.split(rows, dim=1), strict=True)

    def run(self, evaluate: Callable[[int], None], *, length: int, stage: str = "train") -> None:
        """Train from the last checkpoint to the end, evaluating on the way.

        Args:
            evaluate: called with the number of updates made.
            length: tokens of a sequence, for the counted cost.
            stage: name of the training among the run's checkpoints.
        """
        training, seeds = self.settings.training, len(self.context.seeds)
        train(
            self.context,
            self.update,
            n_steps=training.n_steps,
            state=self.state,
            examples_per_step=training.batch_size * seeds,
            tokens_per_step=training.batch_size * seeds * length,
            flops_per_step=3 * network_flops(self.model, length) * training.batch_size * seeds,
            stage=stage,
            evaluate=evaluate,
            evaluate_every=max(1, training.n_steps // training.evaluations),
        )
