"""Updates of the networks of all seeds, on images that are stored on the device.

The seeds of a job have separate networks. On a GPU each has its own CUDA stream inside one captured graph, so that small
networks use the device together; nothing synchronises with the host.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from replications.engine.checkpoints import Stateful
from replications.engine.context import Context
from replications.engine.devices import GraphedStep
from replications.engine.optimisation import clip_value, decay_groups, schedule_factor, set_learning_rate
from replications.engine.precision import matmul_precision
from replications.engine.randomness import Generators, set_dropout_generator
from replications.engine.streams import make_streams, run_on_streams
from replications.engine.training import Metrics
from replications.papers.vit_scaling.augmentation import N_UNIFORMS, augment, beta, mix, mixed_loss, normalise
from replications.papers.vit_scaling.classifier import Classifier
from replications.papers.vit_scaling.data import LabelledImages
from replications.papers.vit_scaling.networks import to_channels_last
from replications.papers.vit_scaling.settings import Settings

EVALUATION_BATCH = 512


class BatchOrder:
    """Rows of the batch of each step: permutations of all N images, one after the other, for any batch size.

    The number of a permutation determines it, so a resumed run needs only the step.

    Args:
        n: number of images.
        batch_size: images per step.
        permutation: epoch -> (n,) permutation.
    """

    def __init__(self, n: int, batch_size: int, permutation: Callable[[int], Tensor]) -> None:
        self.n, self.batch_size, self.permutation = n, batch_size, permutation
        self._current: tuple[int, Tensor] | None = None

    def rows(self, step: int) -> Tensor:
        """Return the rows of the batch of one step.

        Args:
            step: number of the update, from 0.

        Returns:
            (batch_size,) int64.
        """
        at, end, parts = step * self.batch_size, (step + 1) * self.batch_size, []
        while at < end:
            epoch, offset = divmod(at, self.n)
            if self._current is None or self._current[0] != epoch:
                self._current = epoch, self.permutation(epoch)
            part = self._current[1][offset : offset + end - at]
            parts.append(part)
            at += len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def make_optimiser(network: Classifier, settings: Settings, learning_rate: float, device: torch.device) -> torch.optim.AdamW:
    """Return AdamW with weight decay for matrices and filters, but not for biases, normalisations, class token and position embeddings.

    Args:
        network: on its device.
        settings: give the weight decay.
        learning_rate: learning rate of the first step.
        device: device of the network; on a GPU the learning rate is a tensor, which captured graphs can read.

    Returns:
        The optimiser.
    """
    groups = decay_groups(network, settings.weight_decay, exclude=("positions", "class_token"))
    on_gpu = device.type == "cuda"
    lr = torch.tensor(learning_rate, device=device) if on_gpu else learning_rate
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.999), fused=True, capturable=on_gpu)


def clip_gradients(parameters: Iterable[nn.Parameter], settings: Settings) -> None:
    """Clip the gradients of one network in place, by value and by norm, as set.

    Args:
        parameters: parameters of the network.
        settings: give `clip_value` and `clip_norm`; None: no clipping.
    """
    parameters = list(parameters)
    if settings.clip_value is not None:
        clip_value(parameters, settings.clip_value)
    if settings.clip_norm is not None:
        nn.utils.clip_grad_norm_(parameters, settings.clip_norm, foreach=True)


class Trainer:
    """Trainer of one network per seed.

    Args:
        settings: recipe; `n_steps` and `learning_rate` are separate arguments, because fine-tuning has its own.
        context: seeds, device, generators.
        networks: one per seed; moved to the device.
        data: one per seed.
        n_steps: number of updates.
        learning_rate: peak learning rate.
        stage: name of the random streams.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        networks: list[Classifier],
        data: list[LabelledImages],
        *,
        n_steps: int,
        learning_rate: float,
        stage: str,
    ) -> None:
        self.settings, self.context, self.data, self.n_steps, self.learning_rate = settings, context, data, n_steps, learning_rate
        device, batch = context.device, settings.batch_size
        self.networks: list[Classifier] = [to_channels_last(network.to(device)).train() for network in networks]
        self.optimisers = [make_optimiser(network, settings, learning_rate, device) for network in self.networks]
        self.generators = [context.generator(seed, f"{stage} augmentation") for seed in context.seeds]
        for network, generator in zip(self.networks, self.generators, strict=True):
            set_dropout_generator(network, generator)
        self.orders = [
            BatchOrder(len(part), batch, self._permutation(seed, len(part), stage)) for seed, part in zip(context.seeds, data, strict=True)
        ]
        self.rows = torch.zeros(len(networks), batch, dtype=torch.long, device=device)
        self.streams = make_streams(len(networks), device)
        self.forwards = [self._forward(network) for network in self.networks]
        self.update = GraphedStep(self._update, device, self.generators) if settings.cuda_graph else self._update

    def _permutation(self, seed: int, n: int, stage: str) -> Callable[[int], Tensor]:
        def permutation(epoch: int) -> Tensor:
            generator = self.context.generator(seed, f"{stage} epoch {epoch}")
            return torch.randperm(n, generator=generator, device=self.context.device)

        return permutation

    def _forward(self, network: Classifier) -> Callable[[Tensor], Tensor]:
        if not self.settings.compile or self.context.device.type == "cpu":
            return network
        # The head stays outside, so that networks that differ in classes alone share one compilation.
        features = torch.compile(network.features)
        return lambda images: network.head(network.hidden(features(images)))

    @property
    def state(self) -> dict[str, Stateful]:
        """Modules, optimisers and generators that a checkpoint holds."""
        parts: dict[str, Stateful] = {"generators": Generators(self.generators)}
        for index, (network, optimiser) in enumerate(zip(self.networks, self.optimisers, strict=True)):
            parts |= {f"network-{index}": network, f"optimiser-{index}": optimiser}
        return parts

    def __call__(self, step: int) -> Metrics:
        """Make one update of the network of every seed and return the training losses.

        Args:
            step: number of the update, from 0.

        Returns:
            `loss` in nats, (seeds,).
        """
        factor = schedule_factor(self.settings.schedule, step, self.n_steps, warmup_share=self.settings.warmup_share)
        for index, order in enumerate(self.orders):
            self.rows[index].copy_(order.rows(step))
            set_learning_rate(self.optimisers[index], self.learning_rate * factor)
        return self.update()

    def _update(self) -> Metrics:
        """Make one update per network, on its own CUDA stream if there are several."""
        calls = [functools.partial(self._update_one, index) for index in range(len(self.networks))]
        return {"loss": torch.stack(run_on_streams(calls, self.streams, self.context.device))}

    def _update_one(self, index: int) -> Tensor:
        """Update one seed's network; return its loss, ()."""
        s, data, generator, device = self.settings, self.data[index], self.generators[index], self.context.device
        rows = self.rows[index]
        uniforms = torch.rand(s.batch_size, N_UNIFORMS[s.augmentation], generator=generator, device=device)
        images, labels, share = augment(data.images[rows], s.augmentation, uniforms), data.labels[rows], None
        if s.augmentation == "strong" and s.mixup:
            share = beta(s.mixup, generator, device)
            images = mix(images, share)
        with matmul_precision(s.precision, device):
            logits = self.forwards[index](images)
        loss = mixed_loss(logits, labels, share, s.label_smoothing)
        parameters = [p for p in self.networks[index].parameters() if p.requires_grad]
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        clip_gradients(parameters, s)
        self.optimisers[index].step()
        return loss.detach()


@torch.no_grad()
def outputs(network: Classifier, data: LabelledImages, settings: Settings, device: torch.device, *, features: bool = False) -> Tensor:
    """Return the outputs of a network for all images.

    Args:
        network: on `device`.
        data: n images.
        settings: give the precision.
        device: device of network and images.
        features: return the representation before the head instead of logits.

    Returns:
        (n, classes) or (n, n_features) float32.
    """
    was_training = network.training
    network.eval()
    call: Callable[[Tensor], Tensor] = network.features if features else network
    parts = []
    for start in range(0, len(data), EVALUATION_BATCH):
        with matmul_precision(settings.precision, device):
            parts.append(call(normalise(data.images[start : start + EVALUATION_BATCH])).float())
    network.train(was_training)
    return torch.cat(parts)


def accuracy(network: Classifier, data: LabelledImages, settings: Settings, device: torch.device) -> float:
    """Return the share of images whose highest logit is their class.

    Args:
        network: on `device`.
        data: images and their classes.
        settings: give the precision.
        device: device of network and images.

    Returns:
        Per cent.
    """
    predicted = outputs(network, data, settings, device).argmax(1)
    return float((predicted == data.labels).double().mean() * 100)
