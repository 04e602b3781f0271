"""Training one network of every seed at once: one update, on a GPU as one captured graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from replications.engine.checkpoints import Stateful
from replications.engine.context import Context, Generators
from replications.engine.devices import GraphedStep
from replications.engine.training import cosine, set_learning_rate, train
from replications.errors import ReplicationError
from replications.papers.rnn_vs_transformer.measuring import out_of_memory
from replications.papers.rnn_vs_transformer.model import Dropout, SequenceModel, seed_gradients
from replications.papers.rnn_vs_transformer.settings import Settings
from replications.papers.rnn_vs_transformer.tasks import IGNORED

Batch = tuple[Tensor, Tensor]
"""Tokens and targets, int64 (seeds, batch, n); targets may be `IGNORED`."""

TOKENS_AT_ONCE = 1 << 12
"""Tokens of one seed that go through a network at once on a CPU."""

SeedBatch = Callable[[torch.Generator], Batch]
"""Tokens and targets of one seed, (batch, n) each, on the generator's device."""


def make_model(settings: Settings, context: Context, vocabulary: int, positions: int) -> SequenceModel:
    """The run's network, with initial weights from each seed's own generator."""
    name = settings.model
    generators = [context.generator(seed, f"weights {name}", device="cpu") for seed in context.seeds]
    model = SequenceModel(
        name, vocabulary, settings.width, settings.layers, generators=generators, head_width=settings.head_width, state=settings.state,
        positions=positions,
    )  # fmt: skip
    return model.to(context.device)


def token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of every position in nats, like targets; 0 where they are ignored."""
    flat = functional.cross_entropy(logits.float().flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return flat.view_as(targets)


def clip_by_seed(by_seed: list[list[Tensor]], limit: float, *, elements: bool = False) -> Tensor:
    """Scale each seed's gradient to a norm of at most `limit`, or clamp its elements to +/- limit, in place.

    Returns:
        The norms before, (seeds,).
    """
    norms = []
    for gradients in by_seed:
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        norms.append(norm)
        if elements:
            torch._foreach_clamp_min_(gradients, -limit)
            torch._foreach_clamp_max_(gradients, limit)
        else:
            torch._foreach_mul_(gradients, torch.clamp(limit / (norm + 1e-12), max=1.0))
    return torch.stack(norms)


class Fit:
    """A network, its optimiser and its data, ready to be trained by `engine.training.train`.

    Args:
        settings, context: of the run.
        model: over all seeds.
        draw: makes one seed's batch from that seed's generator.
    """

    def __init__(self, settings: Settings, context: Context, model: SequenceModel, draw: SeedBatch) -> None:
        self.settings, self.context, self.model, self.draw = settings, context, model, draw
        training, device = settings.training, context.device
        graphed = training.cuda_graph and device.type == "cuda"
        rate = torch.tensor(training.learning_rate, device=device) if graphed else training.learning_rate
        matrices = [p for name, p in model.named_parameters() if p.ndim > 1 and "norm" not in name and "bias" not in name]
        others = [p for name, p in model.named_parameters() if not any(p is m for m in matrices)]
        self.optimiser: torch.optim.Optimizer
        if training.optimiser == "sgd":
            self.optimiser = torch.optim.SGD(model.parameters(), lr=rate, fused=True)
        else:
            groups = [{"params": matrices, "weight_decay": training.weight_decay}, {"params": others, "weight_decay": 0.0}]
            self.optimiser = torch.optim.AdamW(groups, lr=rate, betas=(0.9, training.beta2), fused=True, capturable=graphed)
        self.data = [context.generator(seed, "data") for seed in context.seeds]
        self.masks = [context.generator(seed, "dropout") for seed in context.seeds]
        self.dropout = Dropout(training.dropout, self.masks)
        self._static: Batch | None = None
        self._update: Callable[[], Mapping[str, Tensor]] = GraphedStep(self._one, device, self.masks) if graphed else self._one

    @property
    def state(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        return {"model": self.model, "optimiser": self.optimiser, "data": Generators(self.data), "dropout": Generators(self.masks)}

    def batch(self) -> Batch:
        """The next batch of every seed."""
        drawn = [self.draw(generator) for generator in self.data]
        return torch.stack([tokens for tokens, _ in drawn]), torch.stack([targets for _, targets in drawn])

    def update(self, step: int) -> Mapping[str, Tensor]:
        """Make update number `step`; the loss of every seed, nats a scored position, (seeds,).

        Raises:
            ReplicationError: a batch does not fit into memory.
        """
        training = self.settings.training
        if training.schedule == "cosine":
            warmup = max(1, round(training.warmup * training.steps))
            set_learning_rate(self.optimiser, training.learning_rate * cosine(step, training.steps, warmup=warmup, floor=0.1))
        tokens, targets = self.batch()
        if self._static is None:
            self._static = tokens, targets
        else:
            self._static[0].copy_(tokens)
            self._static[1].copy_(targets)
        try:
            return self._update()
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            shape = " x ".join(map(str, tokens.shape))
            raise ReplicationError(
                f"{self.context.paper} {self.context.run}: a batch of {shape} (seeds x sequences x tokens) does not fit into the memory of"
                f" {self.context.device}. Lower training.batch or the length in runs.yaml, or train fewer seeds a job (seeds_per_job)."
            ) from error

    def _one(self) -> Mapping[str, Tensor]:
        assert self._static is not None  # noqa: S101 (set by update)
        training = self.settings.training
        scored = (self._static[1] != IGNORED).flatten(1).sum(1)
        self.optimiser.zero_grad(set_to_none=True)
        losses = []
        for tokens, targets in self._parts(*self._static):
            with torch.autocast(self.context.device.type, torch.bfloat16, enabled=training.precision == "bf16", cache_enabled=False):
                logits = self.model(tokens, self.dropout)
            part = token_loss(logits, targets).flatten(1).sum(1) / scored
            part.sum().backward()
            losses.append(part.detach())
        metrics = {"loss": torch.stack(losses).sum(0)}
        if training.clip is not None:
            clip_by_seed(seed_gradients(self.model, len(self.context.seeds)), training.clip, elements=training.clip_elements)
        self.optimiser.step()
        return metrics

    def _parts(self, tokens: Tensor, targets: Tensor) -> Iterable[Batch]:
        """The batch whole, or on a CPU, whose memory is small, in parts whose gradients add up to the batch's."""
        if self.context.device.type != "cpu":
            return [(tokens, targets)]
        rows = max(1, TOKENS_AT_ONCE // tokens.shape[2])
        return zip(tokens.split(rows, dim=1), targets.split(rows, dim=1), strict=True)

    def run(self, evaluate: Callable[[int], None], *, length: int, stage: str = "train") -> None:
        """Train from the last checkpoint to the end, evaluating on the way.

        Args:
            length: tokens of a sequence, for the counted cost.
        """
        training, seeds = self.settings.training, len(self.context.seeds)
        train(
            self.context,
            self.update,
            n_steps=training.steps,
            state=self.state,
            examples_per_step=training.batch * seeds,
            tokens_per_step=training.batch * seeds * length,
            flops_per_step=3 * self.model.flops(length) * training.batch * seeds,
            stage=stage,
            evaluate=evaluate,
            evaluate_every=max(1, training.steps // training.evaluations),
        )
