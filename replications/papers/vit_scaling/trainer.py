"""One update of all seeds' networks, on pictures that live on the device.

Seeds share a job: their networks are separate, and on a GPU each has a stream of its own inside one captured graph, so
that small networks fill the device together. Nothing waits for the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from replications.engine.checkpoints import Stateful
from replications.engine.context import Context, Generators
from replications.engine.devices import GraphedStep
from replications.engine.training import Metrics, cosine, linear, set_learning_rate
from replications.papers.vit_scaling.augmentation import N_UNIFORMS, augment, beta, mix, mixed_loss, normalise
from replications.papers.vit_scaling.data import Pictures
from replications.papers.vit_scaling.model import Classifier
from replications.papers.vit_scaling.networks import placed
from replications.papers.vit_scaling.settings import Settings

EVALUATION_BATCH = 512


class Order:
    """Which pictures each step sees: permutations of all N, one after another, whatever the batch.

    Nothing is stored: a permutation follows from its number, so a resumed run needs only the step.

    Args:
        n: pictures.
        batch_size: pictures of one step.
        permutation: epoch -> (n,) permutation.
    """

    def __init__(self, n: int, batch_size: int, permutation: Callable[[int], Tensor]) -> None:
        self.n, self.batch_size, self.permutation = n, batch_size, permutation
        self._current: tuple[int, Tensor] | None = None

    def rows(self, step: int) -> Tensor:
        """Rows of the step's batch, (batch_size,)."""
        at, end, parts = step * self.batch_size, (step + 1) * self.batch_size, []
        while at < end:
            epoch, offset = divmod(at, self.n)
            if self._current is None or self._current[0] != epoch:
                self._current = epoch, self.permutation(epoch)
            part = self._current[1][offset : offset + end - at]
            parts.append(part)
            at += len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)


@contextmanager
def precision(settings: Settings, device: torch.device) -> Iterator[None]:
    """bf16 products where the run asks for them; TF32 for what remains in fp32 on a GPU."""
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    try:
        # A captured graph must not reuse the casts of another call, so the cache of casts is off.
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=settings.precision == "bf16", cache_enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def optimiser(network: Classifier, settings: Settings, rate: float, device: torch.device) -> torch.optim.AdamW:
    """AdamW that decays matrices and filters but no bias, normalisation, token or position."""
    decayed = [p for name, p in network.named_parameters() if p.ndim >= 2 and "positions" not in name and "class_token" not in name]
    kept = {id(p) for p in decayed}
    others = [p for p in network.parameters() if id(p) not in kept]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    on_gpu = device.type == "cuda"
    lr = torch.tensor(rate, device=device) if on_gpu else rate
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.999), fused=True, capturable=on_gpu)


class Trainer:
    """Trains one network per seed.

    Args:
        settings: recipe; `n_steps` and `rate` are given apart, because fine-tuning has its own.
        context: seeds, device, generators.
        networks: one per seed; moved to the device.
        data: one per seed.
        stage: names the random streams.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        networks: list[Classifier],
        data: list[Pictures],
        *,
        n_steps: int,
        rate: float,
        stage: str,
    ) -> None:
        self.settings, self.context, self.data, self.n_steps, self.rate = settings, context, data, n_steps, rate
        device, batch = context.device, settings.batch_size
        self.networks: list[Classifier] = [placed(network, settings, device).train() for network in networks]
        self.optimisers = [optimiser(network, settings, rate, device) for network in self.networks]
        self.generators = [context.generator(seed, f"{stage} augmentation") for seed in context.seeds]
        self.orders = [
            Order(len(pictures), batch, self._permutation(seed, len(pictures), stage))
            for seed, pictures in zip(context.seeds, data, strict=True)
        ]
        self.rows = torch.zeros(len(networks), batch, dtype=torch.long, device=device)
        self.streams = [torch.cuda.Stream(device) for _ in networks] if device.type == "cuda" and len(networks) > 1 else []
        self.forwards = [self._forward(network) for network in self.networks]
        self.update = GraphedStep(self._update, device, self.generators)

    def _permutation(self, seed: int, n: int, stage: str) -> Callable[[int], Tensor]:
        def permutation(epoch: int) -> Tensor:
            generator = self.context.generator(seed, f"{stage} epoch {epoch}")
            return torch.randperm(n, generator=generator, device=self.context.device)

        return permutation

    def _forward(self, network: Classifier) -> Callable[[Tensor], Tensor]:
        if not self.settings.compiled or self.context.device.type == "cpu":
            return network
        # The head stays outside, so that networks that differ in classes alone share one compilation.
        features = torch.compile(network.features)
        return lambda pictures: network.head(network.hidden(features(pictures)))

    @property
    def state(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        parts: dict[str, Stateful] = {"generators": Generators(self.generators)}
        for index, (network, own) in enumerate(zip(self.networks, self.optimisers, strict=True)):
            parts |= {f"network-{index}": network, f"optimiser-{index}": own}
        return parts

    def __call__(self, step: int) -> Metrics:
        """Make update number `step` of every seed."""
        s = self.settings
        schedule = cosine if s.schedule == "cosine" else linear
        factor = schedule(step, self.n_steps, warmup=min(s.warmup, self.n_steps // 5))
        for index, order in enumerate(self.orders):
            self.rows[index].copy_(order.rows(step))
            set_learning_rate(self.optimisers[index], self.rate * factor)
        return self.update()

    def _update(self) -> Metrics:
        if not self.streams:
            return {"loss": torch.stack([self._one(index) for index in range(len(self.networks))])}
        main = torch.cuda.current_stream(self.context.device)
        losses = []
        for index, stream in enumerate(self.streams):
            stream.wait_stream(main)
            with torch.cuda.stream(stream):
                losses.append(self._one(index))
        for stream in self.streams:
            main.wait_stream(stream)
        return {"loss": torch.stack(losses)}

    def _one(self, index: int) -> Tensor:
        """One seed's update; its loss."""
        s, data, generator, device = self.settings, self.data[index], self.generators[index], self.context.device
        rows = self.rows[index]
        uniforms = torch.rand(s.batch_size, N_UNIFORMS[s.augmentation], generator=generator, device=device)
        pictures, labels, share = augment(data.images[rows], s.augmentation, uniforms), data.labels[rows], None
        if s.augmentation == "strong" and s.mixup:
            share = beta(s.mixup, generator, device)
            pictures = mix(pictures, share)
        with precision(s, device):
            logits = self.forwards[index](pictures)
        loss = mixed_loss(logits, labels, share, s.label_smoothing)
        parameters = [p for p in self.networks[index].parameters() if p.requires_grad]
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(parameters, s.clip, foreach=True)
        self.optimisers[index].step()
        return loss.detach()


@torch.no_grad()
def outputs(network: Classifier, pictures: Pictures, settings: Settings, device: torch.device, *, features: bool = False) -> Tensor:
    """Logits, or the representation before the head, of all pictures: (n, classes or features) float32."""
    was_training = network.training
    network.eval()
    call: Callable[[Tensor], Tensor] = network.features if features else network
    parts = []
    for start in range(0, len(pictures), EVALUATION_BATCH):
        with precision(settings, device):
            parts.append(call(normalise(pictures.images[start : start + EVALUATION_BATCH])).float())
    network.train(was_training)
    return torch.cat(parts)


def accuracy(network: Classifier, pictures: Pictures, settings: Settings, device: torch.device) -> float:
    """Share of pictures whose highest logit is their class, in per cent."""
    predicted = outputs(network, pictures, settings, device).argmax(1)
    return float((predicted == pictures.labels).double().mean() * 100)
