"""Training on a stream, on one or several GPUs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from replications.engine.context import Context
from replications.engine.optimisation import schedule_factor, set_learning_rate
from replications.engine.precision import matmul_precision
from replications.engine.randomness import set_dropout_generator
from replications.engine.training import Metrics, train
from replications.errors import InputError
from replications.papers.vit_scaling.augmentation import beta, mix, mixed_loss
from replications.papers.vit_scaling.classifier import Classifier
from replications.papers.vit_scaling.counting import record_size, training_flops
from replications.papers.vit_scaling.networks import build
from replications.papers.vit_scaling.settings import Settings
from replications.papers.vit_scaling.streaming import STREAMS, Decoder, EncodedImage, endless, open_stream
from replications.papers.vit_scaling.trainer import clip_gradients, make_optimiser

MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
"""Mean and standard deviation of ImageNet's red, green and blue channels, scaled to 0..1."""


def _normalised(images: Tensor, device: torch.device) -> Tensor:
    """Return images with about zero mean and unit standard deviation per channel, float32.

    Args:
        images: (n, 3, side, side) uint8.
        device: device of the result.
    """
    mean, deviation = (values.to(device)[:, None, None] * 255 for values in (MEAN, DEVIATION))
    return (images.to(device, non_blocking=True).float() - mean) / deviation


class StreamTrainer:
    """Trainer of one network on the stream, in one or several processes; the step is also the position in the stream.

    Args:
        settings: settings of the run.
        context: device, team of processes and generators.
        seed: seed of weights and augmentation.
    """

    def __init__(self, settings: Settings, context: Context, seed: int) -> None:
        self.settings, self.context, self.seed = settings, context, seed
        team = context.team
        self.network: Classifier = build(settings, context.generator(seed, "initialise", device="cpu")).to(context.device)
        optimiser = make_optimiser(self.network, settings, settings.learning_rate, context.device)
        self.model, self.optimiser = team.setup(self.network, optimiser)
        self.decoder = Decoder(settings, seed, training=True)
        self.stream: Iterator[EncodedImage] | None = None

    def __call__(self, step: int) -> Metrics:
        """Make one update and return its training loss.

        Args:
            step: number of the update, from 0.

        Returns:
            `loss` in nats, scalar.
        """
        s, team = self.settings, self.context.team
        if self.stream is None:
            self.stream = endless(s, "train", skip=step * s.batch_size)
        factor = schedule_factor(s.schedule, step, s.n_steps, warmup_share=s.warmup_share)
        set_learning_rate(self.optimiser, s.learning_rate * factor)
        raws = [next(self.stream) for _ in range(s.batch_size)]
        mine = team.shard(torch.arange(s.batch_size))
        pixels, labels = self.decoder([raws[i] for i in mine.tolist()])
        images, labels = _normalised(pixels, self.context.device), labels.to(self.context.device)
        share = None
        if s.augmentation == "strong" and s.mixup:
            generator = self.context.generator(self.seed, f"mixup {step}", device="cpu")
            share = beta(s.mixup, generator, torch.device("cpu")).to(self.context.device)
            images = mix(images, share)
        first = int(mine[0])

        def loss_of(rows: Tensor) -> Tensor:
            part = rows.to(self.context.device) - first
            with matmul_precision(s.precision, self.context.device):
                logits = self.model(images[part])
            return mixed_loss(logits, labels[part], share, s.label_smoothing)

        if s.dropout:
            set_dropout_generator(self.network, self.context.generator(self.seed, f"dropout {step}, process {team.rank}"))
        self.optimiser.zero_grad()
        loss = team.accumulate(self.model, loss_of, torch.arange(s.batch_size))
        clip_gradients(self.network.parameters(), s)
        self.optimiser.step()
        return {"loss": loss}


@torch.no_grad()
def stream_accuracy(settings: Settings, context: Context, network: Classifier, split: str, limit: int) -> float:
    """Return the accuracy over the first images of a split, computed by all processes together.

    Args:
        settings: give data set, image size and precision.
        context: device and team of processes.
        network: on the device.
        split: name of the split in the source.
        limit: largest number of images.

    Returns:
        Per cent.
    """
    _, image, label = STREAMS[settings.dataset]
    decoder, network = Decoder(settings, 0, training=False), network.eval()
    right, total, batch = 0, 0, []

    def n_right(raws: list[EncodedImage]) -> int:
        mine = context.team.shard(torch.arange(len(raws))).tolist()
        if not mine:
            return 0
        images, labels = decoder([raws[i] for i in mine])
        with matmul_precision(settings.precision, context.device):
            predicted = network(_normalised(images, context.device)).argmax(1)
        return int((predicted.cpu() == labels).sum())

    for row, example in enumerate(open_stream(settings, split).take(limit)):
        batch.append(EncodedImage(example[image]["bytes"], int(example[label]), 0, row))
        total += 1
        if len(batch) == 512:
            right, batch = right + n_right(batch), []
    right += n_right(batch) if batch else 0
    network.train()
    return 100 * context.team.sum(right) / max(1, total)


def train_on_stream(settings: Settings, context: Context) -> Classifier:
    """Train one network on the stream, test it on the validation split and record both.

    The set's own validation split is the test set, as in the papers; nothing is selected on it.

    Args:
        settings: of the run.
        context: one seed; receives the records.

    Returns:
        The trained network, on the device.

    Raises:
        InputError: there are several seeds.
        DataError: images are missing, or too many are unreadable.
    """
    if len(context.seeds) != 1:
        raise InputError(
            f"{context.chunk}: a streamed run trains one seed per job, got {len(context.seeds)}. Set seeds_per_job: 1, or --seeds 0."
        )
    source = STREAMS[settings.dataset][0]
    trainer = StreamTrainer(settings, context, context.seeds[0])
    train(
        context,
        trainer,
        n_steps=settings.n_steps,
        state={"network": trainer.network, "optimiser": trainer.optimiser},
        examples_per_step=settings.batch_size,
        flops_per_step=settings.batch_size * training_flops(settings),
    )
    context.add_cost(corrupt=context.team.sum(trainer.decoder.corrupt))
    context.data[f"{source.name}/train"] = {
        "origin": "stream",
        "rows": str(settings.n_images),
        "verified": "no: streamed",
        "licence": source.licence,
    }
    record_size(settings, context)
    if "validation" in source.splits:
        test = stream_accuracy(settings, context, trainer.network, "validation", settings.n_test)
        context.record("accuracy", test, step=settings.n_steps, unit="%")
    return trainer.network
