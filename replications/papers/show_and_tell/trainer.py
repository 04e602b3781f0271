"""Training: batches of captions of like length, and all seeds and ensemble members of a run at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from replications.engine import training
from replications.engine.best_weights import BestWeights
from replications.engine.checkpoints import Stateful
from replications.engine.context import Context
from replications.engine.optimisation import clip_norm_per_seed, cosine, gradients_per_seed, set_learning_rate
from replications.engine.randomness import Generators
from replications.papers.show_and_tell import vision
from replications.papers.show_and_tell.data import Split
from replications.papers.show_and_tell.evaluation import mean_loss
from replications.papers.show_and_tell.fused import CaptionerGroup, NicGroup, Noise
from replications.papers.show_and_tell.fused_attention import AttentiveGroup
from replications.papers.show_and_tell.model import ImageFeatures, annotation_vectors, caption_loss, coverage_penalty
from replications.papers.show_and_tell.settings import Settings
from replications.papers.show_and_tell.vision import Scale
from replications.papers.show_and_tell.vocabulary import END, START, Vocabulary

LONGEST_WARMUP = 50
"""Updates over which the rate rises at most."""


@dataclass(frozen=True)
class Batch:
    """One update's captions, for every slot (a seed, or a member of its ensemble).

    Attributes:
        images: (slots, batch) rows of the feature table.
        inputs: (slots, batch, length) word numbers from the start symbol on.
        targets: (slots, batch, length) the next word; -1 where there is none.
    """

    images: Tensor
    inputs: Tensor
    targets: Tensor


class Batches:
    """All training captions, cut anew every epoch.

    Captions are sorted by length, ties in a random order of each slot's own, and cut into equal batches, so that batch
    number i holds the same lengths for every slot: the shapes agree while the captions differ, and padding is rare.

    Args:
        captions: word numbers of each caption, without start and end.
        images: the image of each caption.
        batch_size: captions per batch and slot; actual batches differ by at most one.
        orders: for every slot, what its order is drawn from.
    """

    def __init__(self, captions: Sequence[Sequence[int]], images: Sequence[int], batch_size: int, orders: Sequence[Sequence[int]]) -> None:
        self.images = np.asarray(images)
        self.lengths = np.array([len(caption) for caption in captions]) + 1
        self.words = np.full((len(captions), int(self.lengths.max()) + 1), END)
        self.words[:, 0] = START
        for row, caption in enumerate(captions):
            self.words[row, 1 : 1 + len(caption)] = caption
        self.batch_size, self.orders = min(batch_size, len(captions)), orders
        self.per_epoch = max(1, round(len(captions) / self.batch_size))
        self._epoch = -1
        self._cut: list[list[np.ndarray]] = []
        self._turns: np.ndarray = np.arange(0)

    def _prepare(self, epoch: int) -> None:
        if epoch == self._epoch:
            return
        self._cut = []
        for order in self.orders:
            ties = np.random.default_rng([*order, epoch]).permutation(len(self.lengths))
            by_length = ties[np.argsort(self.lengths[ties], kind="stable")]
            self._cut.append(np.array_split(by_length, self.per_epoch))
        self._turns = np.random.default_rng([20150415, epoch]).permutation(self.per_epoch)
        self._epoch = epoch

    def rows(self, step: int) -> list[np.ndarray]:
        """Return the numbers of the captions that each slot reads at an update, one array (batch,) per slot.

        Args:
            step: number of the update, from 0.

        Returns:
            Numbers of captions, one array (batch,) per slot.
        """
        self._prepare(step // self.per_epoch)
        turn = self._turns[step % self.per_epoch]
        return [cut[turn] for cut in self._cut]

    def __call__(self, step: int, device: torch.device) -> Batch:
        """Return the batch of an update; it depends on nothing but the step.

        Args:
            step: number of the update, from 0.
            device: of the returned tensors.

        Returns:
            Image numbers, inputs and targets of every slot.
        """
        rows = np.stack(self.rows(step))
        length = int(self.lengths[rows].max())
        words = self.words[rows]
        beyond = np.arange(length) >= self.lengths[rows][..., None]
        targets = np.where(beyond, -1, words[..., 1 : length + 1])
        parts = (self.images[rows], words[..., :length], targets)
        images, inputs, wanted = (torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in parts)
        return Batch(images, inputs, wanted)

    def padding(self) -> float:
        """Return the share of an epoch's word positions that are padding."""
        self._prepare(0)
        area = sum(len(rows) * int(self.lengths[rows].max()) for rows in self._cut[0])
        return 1 - float(self.lengths.sum()) / area


@dataclass
class Task:
    """The data, features and CNNs that training and measurements of a run read.

    Attributes:
        settings: of the run.
        splits: captions and pixels by name of the split.
        features: of the pretrained CNN, by name of the split.
        scale: standardises image vectors by those of the training split.
        vocabulary: of the training captions.
        cnns: one CNN per slot where the decoder's loss moves them, else one for all.
    """

    settings: Settings
    splits: dict[str, Split]
    features: dict[str, ImageFeatures]
    scale: Scale
    vocabulary: Vocabulary
    cnns: nn.ModuleList

    def images(self, split: str, n_slots: int) -> ImageFeatures:
        """Return standardised features of a split for all slots, (S, n, ...); computed anew by CNNs that were moved.

        Args:
            split: name of the split.
            n_slots: S.

        Returns:
            Features, (S, n, ...).
        """
        if self.settings.cnn_training == "frozen":
            features = self.features[split]
            vector = self.scale(features.vector).expand(n_slots, -1, -1)
            grid = annotation_vectors(features).float().expand(n_slots, -1, -1, -1) if self.settings.decoder.attention else None
            return ImageFeatures(vector, grid)
        return self.slot_images(split, list(range(n_slots)))

    @torch.no_grad()
    def slot_images(self, split: str, slots: list[int]) -> ImageFeatures:
        """Return standardised features of a split for some slots, (len(slots), n, ...).

        Args:
            split: name of the split.
            slots: numbers of the slots, whose CNNs are used where CNNs were moved.

        Returns:
            Features, (len(slots), n, ...).
        """
        if self.settings.cnn_training == "frozen":
            return self.images(split, len(slots))
        source, device = self.splits[split], self.scale.mean.device
        chunks = []
        for start in range(0, len(source), vision.EXTRACTION_BATCH):
            pixels = torch.from_numpy(source.read(range(start, min(start + vision.EXTRACTION_BATCH, len(source))))).to(device)
            chunks.append(torch.stack([self.scale(self.cnns[slot](pixels)[0]) for slot in slots]))
        return ImageFeatures(torch.cat(chunks, 1))


def slot_keys(context: Context, members: int) -> list[tuple[int, int]]:
    """Return seed and ensemble member of every slot; members of one seed stand side by side.

    Args:
        context: gives the seeds.
        members: ensemble members of each seed.

    Returns:
        Seed and number of the member, one pair per slot.
    """
    return [(seed, member) for seed in context.seeds for member in range(members)]


def build_decoder(settings: Settings, context: Context, n_words: int, features: ImageFeatures) -> CaptionerGroup:
    """Return decoders on the context's device, each initialised from a generator of its own seed and member.

    Args:
        settings: of the run.
        context: gives seeds, generators and device.
        n_words: size of the vocabulary.
        features: of the training split, for their widths.

    Returns:
        Decoders of all slots with initial weights.
    """
    generators = [context.generator(seed, f"weights-{member}", device="cpu") for seed, member in slot_keys(context, settings.ensemble_size)]
    attentive = settings.decoder.attention
    group = AttentiveGroup if attentive else NicGroup
    n_inputs = annotation_vectors(features).shape[-1] if attentive else features.vector.shape[-1]
    model: CaptionerGroup = group(settings.decoder, n_inputs, n_words, dropout=settings.dropout, generators=generators)
    return model.to(context.device)


class Trainer:
    """Training of the decoders of all slots, and of the CNNs where they move.

    Args:
        task: data, features and CNNs.
        context: gives seeds and device; receives records and checkpoints.
    """

    def __init__(self, task: Task, context: Context) -> None:
        settings, self.device = task.settings, context.device
        self.task, self.context, self.settings = task, context, settings
        self.keys = slot_keys(context, settings.ensemble_size)
        self.model = build_decoder(settings, context, len(task.vocabulary), task.features["train"])
        self.model.scale_image_embedding(task.scale(task.features["train"].vector).expand(len(self.keys), -1, -1))
        self.moving = settings.cnn_training != "frozen"
        train = task.splits["train"]
        captions, owners = encoded(train, task.vocabulary)
        self.batches = Batches(captions, owners, settings.batch_size, orders=self.keys)
        self.n_steps = max(1, round(self.batches.per_epoch * settings.epochs))
        self.starts_moving = 0 if settings.cnn_training == "from_start" else round(settings.late_start * self.n_steps)
        self.optimiser = _optimiser(settings, self.model)
        self.generators = [context.generator(seed, f"noise-{member}") for seed, member in self.keys]
        parts: dict[str, nn.Module] = {"decoder": self.model}
        if self.moving:
            parts["cnns"] = task.cnns.requires_grad_(True)
            self.cnn_optimiser = torch.optim.AdamW(task.cnns.parameters(), lr=settings.cnn_learning_rate, weight_decay=0.0)
            self.pixels = torch.from_numpy(train.read(range(len(train)))).to(self.device)
        else:
            self.fixed = task.images("train", len(self.keys))
        self.modules = nn.ModuleDict(parts)
        self.best = BestWeights(len(self.keys), stacked=self.model, separate=list(task.cnns) if self.moving else ())
        self.held_out = encoded(task.splits["validation"], task.vocabulary)

    def state(self) -> dict[str, Stateful]:
        """Return the states that a checkpoint holds, by name."""
        states: dict[str, Stateful] = {
            "vocabulary": self.task.vocabulary,
            "model": self.modules,
            "optimiser": self.optimiser,
            "noise": Generators(self.generators),
            "best": self.best,
        }
        return states | ({"cnn_optimiser": self.cnn_optimiser} if self.moving else {})

    def images(self, batch: Batch, *, moving_now: bool) -> ImageFeatures:
        """Return features of a batch's images, (S, batch, ...).

        Args:
            batch: image numbers of every slot.
            moving_now: let gradients reach the CNNs.

        Returns:
            Features, (S, batch, ...).
        """
        if self.moving:
            with torch.set_grad_enabled(moving_now):
                vectors = [cnn(self.pixels[batch.images[slot]])[0] for slot, cnn in enumerate(self.task.cnns)]
            return ImageFeatures(torch.stack([self.task.scale(vector) for vector in vectors]))
        slot = torch.arange(len(self.keys), device=self.device)[:, None]
        grid = None if self.fixed.grid is None else self.fixed.grid[slot, batch.images]
        return ImageFeatures(self.fixed.vector[slot, batch.images], grid)

    def step(self, number: int) -> dict[str, Tensor]:
        """Make one update of every slot.

        Args:
            number: of the update, from 0.

        Returns:
            Metric 'loss': mean negative log-likelihood of a word in nats, (seeds,).
        """
        settings, batch = self.settings, self.batches(number, self.device)
        moving_now = self.moving and number >= self.starts_moving
        warmup = min(LONGEST_WARMUP, int(settings.warmup_share * self.n_steps))
        rate = cosine(number, self.n_steps, warmup=warmup) if settings.schedule == "cosine" else 1.0
        noise = Noise(self.generators, settings.scheduled_sampling * number / self.n_steps)
        output = self.model(self.images(batch, moving_now=moving_now), batch.inputs, noise)
        total, words = caption_loss(output, batch.targets)
        loss = objective = total / words
        if output.attention is not None and settings.decoder.doubly_stochastic:
            objective = loss + settings.decoder.doubly_stochastic * coverage_penalty(output.attention, batch.targets) / words
        self.optimiser.zero_grad(set_to_none=True)
        if self.moving:
            self.cnn_optimiser.zero_grad(set_to_none=True)
        objective.sum().backward()
        if settings.clip_norm is not None:
            clip_norm_per_seed(gradients_per_seed(self.model.parameters()), settings.clip_norm)
        set_learning_rate(self.optimiser, settings.learning_rate * rate)
        self.optimiser.step()
        if moving_now:
            set_learning_rate(self.cnn_optimiser, settings.cnn_learning_rate * rate)
            self.cnn_optimiser.step()
        return {"loss": self.by_seed(loss.detach())}

    def _flops_of_cnns(self) -> float:
        """Return the counted operations of the moving CNNs in a mean update: a forward pass, and two more backward once they learn."""
        if not self.moving:
            return 0.0
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.task.cnns[0](self.pixels[:1])
        images = self.batches.batch_size * len(self.keys)
        learning = 1 - self.starts_moving / self.n_steps
        return images * counter.get_total_flops() * (1 + 2 * learning)

    def by_seed(self, values: Tensor) -> Tensor:
        """Return means over the members of each seed, (seeds,), of values (slots,).

        Args:
            values: one per slot, (slots,).

        Returns:
            Means, (seeds,).
        """
        return values.view(len(self.context.seeds), -1).mean(1)

    def evaluate(self, done: int) -> None:
        """Record validation perplexity after `done` updates, and store the weights of slots that improved.

        Args:
            done: number of updates made.
        """
        loss = mean_loss(self.model, self.task.images("validation", len(self.keys)), *self.held_out)
        self.best.update(loss, done)
        self.context.record("perplexity", self.by_seed(loss.exp()), split="validation", step=done)

    def train(self) -> None:
        """Train to the end, from wherever the last checkpoint stands; the decoders are left at their last weights."""
        batches, n_slots = self.batches, len(self.keys)
        words = batches.batch_size * float(batches.lengths.mean()) * n_slots
        training.train(
            self.context,
            self.step,
            n_steps=self.n_steps,
            state=self.state(),
            examples_per_step=batches.batch_size * n_slots,
            tokens_per_step=round(words),
            flops_per_step=3 * words * self.model.flops_per_word() + self._flops_of_cnns(),
            record_every=max(1, self.n_steps // 40),
            evaluate=self.evaluate,
            evaluate_every=max(1, self.n_steps // self.settings.evaluations),
        )
        self.context.record("padding_waste", [100 * batches.padding()] * len(self.context.seeds), split="train", unit="%")
        self.context.record("best_step", self.by_seed(self.best.steps.double()), split="validation")


def encoded(split: Split, vocabulary: Vocabulary) -> tuple[list[list[int]], list[int]]:
    """Return all captions of a split as word numbers, and the number of the image of each.

    Args:
        split: captions of n images.
        vocabulary: turns words into numbers.

    Returns:
        Word numbers of every caption, and the row of its image in the split.
    """
    captions = [vocabulary.encode(tokens) for several in split.tokens for tokens in several]
    return captions, [row for row, several in enumerate(split.tokens) for _ in several]


def _optimiser(settings: Settings, model: nn.Module) -> torch.optim.Optimizer:
    if settings.optimiser == "sgd":
        return torch.optim.SGD(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    return torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
