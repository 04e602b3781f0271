"""Training the networks of all seeds and both streams in one loop; each has its own weights, batches and dropout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from replications.engine.checkpoints import Stateful
from replications.engine.context import Context
from replications.engine.devices import GraphedStep
from replications.engine.optimisation import decay_groups, schedule_factor, set_learning_rate
from replications.engine.precision import uses_bf16
from replications.engine.randomness import Generators, seeded_library, set_dropout_generator
from replications.engine.streams import make_streams, run_on_streams
from replications.engine.training import train
from replications.papers.video_recognition.settings import Settings

Loss = Callable[[nn.Module, Tensor], Tensor]
"""Function from a network and the rows of its batch, int64 (batch,), to its loss, ()."""


class Trainer:
    """Networks that are trained side by side.

    Args:
        settings: of the run.
        context: of the run.
        names: name of each kind of network, for example its stream.
        build: returns a new network of a kind; called once per seed with torch's generator seeded.
        losses: loss of each kind.
        n_rows: training examples.
        n_steps: updates.

    Attributes:
        networks: kind -> one network per seed.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        names: Sequence[str],
        build: Callable[[str], nn.Module],
        losses: Mapping[str, Loss],
        *,
        n_rows: int,
        n_steps: int,
    ) -> None:
        self.settings, self.context, self.n_rows, self.n_steps, self.losses = settings, context, n_rows, n_steps, losses
        device = context.device
        self.networks: dict[str, list[nn.Module]] = {name: [self._build(build, name, seed) for seed in context.seeds] for name in names}
        self._all = [(name, network) for name, networks in self.networks.items() for network in networks]
        self._rows = [context.generator(seed, f"rows {name}") for name in names for seed in context.seeds]
        self._masks = [context.generator(seed, f"dropout {name}") for name in names for seed in context.seeds]
        for (_, network), generator in zip(self._all, self._masks, strict=True):
            set_dropout_generator(network, generator)
        self._bf16 = uses_bf16(settings.precision, device, cell=settings.head)
        graphed = settings.cuda_graph and device.type == "cuda"
        rate = torch.tensor(settings.learning_rate, device=device) if graphed else settings.learning_rate
        groups = [group for _, network in self._all for group in decay_groups(network, settings.weight_decay, exclude=("norm", "bias"))]
        self._optimiser = torch.optim.AdamW(groups, lr=rate, fused=True, capturable=graphed)
        self._streams = make_streams(len(self._all), device)
        drawn = [*self._rows, *self._masks]
        self._update: Callable[[], Mapping[str, Tensor]] = GraphedStep(self._one, device, drawn) if graphed else self._one

    def _build(self, build: Callable[[str], nn.Module], name: str, seed: int) -> nn.Module:
        start = int(torch.randint(2**31, (), generator=self.context.generator(seed, f"weights {name}", device="cpu")))
        with seeded_library(start, torch.device("cpu")):
            return build(name).to(self.context.device)

    @property
    def state(self) -> dict[str, Stateful]:
        """Objects that a checkpoint holds, by name."""
        return {
            "networks": nn.ModuleList([network for _, network in self._all]),
            "optimiser": self._optimiser,
            "generators": Generators([*self._rows, *self._masks]),
        }

    def _step_of(self, index: int) -> Tensor:
        """Compute the gradient of one network and return its loss."""
        name, network = self._all[index]
        rows = torch.randint(self.n_rows, (self.settings.batch_size,), generator=self._rows[index], device=self.context.device)
        with torch.autocast(self.context.device.type, torch.bfloat16, enabled=self._bf16, cache_enabled=False):
            loss = self.losses[name](network, rows)
        loss.backward()
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), self.settings.clip_norm, foreach=True)
        return loss.detach()

    def _one(self) -> Mapping[str, Tensor]:
        self._optimiser.zero_grad(set_to_none=True)
        calls = [lambda i=i: self._step_of(i) for i in range(len(self._all))]
        losses = torch.stack(run_on_streams(calls, self._streams, self.context.device))
        self._optimiser.step()
        return {"losses": losses}

    def _train_step(self, step: int) -> dict[tuple[str, str], Tensor]:
        factor = schedule_factor(self.settings.schedule, step, self.n_steps, warmup_share=self.settings.warmup_share)
        set_learning_rate(self._optimiser, self.settings.learning_rate * factor)
        losses = self._update()["losses"].clone().unflatten(0, (len(self.networks), -1))
        return {("loss", name): of_kind for name, of_kind in zip(self.networks, losses, strict=True)}

    def run(self, stage: str = "train") -> None:
        """Train from the last checkpoint to the end, and leave the networks ready for evaluation.

        Args:
            stage: name of the training among the run's checkpoints.
        """
        for _, network in self._all:
            network.train()
        examples = self.settings.batch_size * len(self._all)
        weights = sum(parameter.numel() for _, network in self._all for parameter in network.parameters())
        steps = self.settings.clip_frames
        train(
            self.context,
            self._train_step,
            n_steps=self.n_steps,
            state=self.state,
            examples_per_step=examples,
            # Two operations a weight and step forward, twice that backward: every weight is used once a step.
            flops_per_step=6.0 * weights / len(self._all) * examples * steps,
            stage=stage,
        )
        for _, network in self._all:
            network.eval()
