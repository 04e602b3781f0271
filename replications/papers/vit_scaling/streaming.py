"""ImageNet as a stream: read in one global order, decoded by threads, trained on by one or many GPUs.

Every process reads the same sequence of undecoded pictures and decodes only its part of each global batch, so that the
number of GPUs changes neither order nor augmentation. A picture's augmentation follows from seed, epoch and place. A
picture that cannot be decoded is counted and its neighbour in the batch stands in for it, up to a stated share.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from replications.engine.context import Context
from replications.engine.datasets import DataSource, how_to_get, mirror
from replications.engine.training import Metrics, cosine, linear, set_learning_rate, train
from replications.errors import DataError, InputError
from replications.papers.vit_scaling.augmentation import beta, mix, mixed_loss
from replications.papers.vit_scaling.model import Classifier
from replications.papers.vit_scaling.networks import build, record_size, training_flops
from replications.papers.vit_scaling.settings import Settings
from replications.papers.vit_scaling.trainer import optimiser, precision

if TYPE_CHECKING:
    import datasets

IMAGENET_1K = DataSource(
    name="imagenet-1k",
    hub="ILSVRC/imagenet-1k",
    revision="49e2ee26f3810fb5a7536bbf732a7b07389a47b5",
    splits={"train": 1_281_167, "validation": 50_000},
    licence="ImageNet terms of access: non-commercial research and education; the hub asks for an account that accepted them",
    citation="Russakovsky et al.: ImageNet large scale visual recognition challenge. International Journal of Computer Vision, 2015.",
    note="Streamed: neither size nor fingerprint can be checked before use.",
)
IMAGENET_21K = DataSource(
    name="imagenet-21k",
    hub="timm/imagenet-w21-wds",
    revision="main",
    splits={"train": 13_151_276},
    licence="ImageNet terms of access: non-commercial research and education; the hub asks for an account that accepted them",
    citation="Deng et al.: ImageNet: a large-scale hierarchical image database. CVPR, 2009. Winter 2021 release, 19,167 classes.",
    note="Streamed: neither size nor fingerprint can be checked before use, and the revision is not pinned.",
)
STREAMS = {"imagenet-1k": (IMAGENET_1K, "image", "label"), "imagenet-21k": (IMAGENET_21K, "jpg", "cls")}
"""By data set: source, image column, label column. Not among `SOURCES`, because `data fetch` would store 150 GB."""

_MEAN, _DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
_ENOUGH = 200
"""Pictures seen before a share of unreadable ones is judged."""


def open_stream(settings: Settings, split: str) -> datasets.IterableDataset:
    """Undecoded pictures of a split, from the local mirror where there is one, else from the hub at its revision.

    Raises:
        DataError: neither is at hand, or the columns are not the declared ones.
    """
    import datasets

    source, image, label = STREAMS[settings.dataset]
    folder = mirror()
    local = folder / "hub" / source.hub if folder else None
    here = local is not None and local.is_dir()
    try:
        stream = datasets.load_dataset(
            str(local) if here else source.hub, split=split, streaming=True, **({} if here else {"revision": source.revision})
        )
        columns = stream.column_names or list(next(iter(stream)))
        missing = {image, label} - set(columns)
    except Exception as error:  # the library, its file formats and the network have many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{source.name}/{split} cannot be streamed: {reason} {how_to_get(source)}") from error
    if missing:
        raise DataError(f"{source.name}/{split}: no column {sorted(missing)}; found {sorted(columns)}. It is another data set.")
    return stream.select_columns([image, label]).cast_column(image, datasets.Image(decode=False))


@dataclass(frozen=True)
class Raw:
    """One undecoded picture and its place: number of the epoch and row within it."""

    data: bytes
    label: int
    epoch: int
    row: int


def endless(settings: Settings, split: str, *, skip: int = 0) -> Iterator[Raw]:
    """The first `n_images` of the stream's fixed order, again and again, each time in another order.

    Args:
        skip: pictures to leave out at the start, when a run continues.
    """
    _, image, label = STREAMS[settings.dataset]
    # The subset of a smaller N is the beginning of that of a larger one: both take from one fixed shuffling.
    subset = open_stream(settings, split).shuffle(seed=0, buffer_size=settings.shuffle_buffer).take(settings.n_images)
    epoch, row = 0, 0
    n = None
    while True:
        shuffled = subset.shuffle(seed=1 + epoch, buffer_size=min(settings.shuffle_buffer, settings.n_images))
        count = 0
        for row, example in enumerate(shuffled):
            count += 1
            if skip:
                skip -= 1
                continue
            yield Raw(example[image]["bytes"], int(example[label]), epoch, row)
        if not count:
            raise DataError(f"{settings.dataset}/{split} has no pictures.")
        n = n or count
        if n < settings.n_images:
            raise DataError(f"{settings.dataset}/{split} has {n:,} pictures, n_images asks for {settings.n_images:,}; lower n_images.")
        epoch += 1


class Decoder:
    """Bytes to augmented pictures, by threads (decoding releases the interpreter's lock).

    Args:
        settings: size, augmentation, threads, allowed share of unreadable pictures.
        seed: of the augmentation.
        training: random crops and flips; else a central crop of 7/8.
    """

    def __init__(self, settings: Settings, seed: int, *, training: bool) -> None:
        from torchvision.transforms import v2

        self.settings, self.seed, self.training = settings, seed, training
        self.pool = ThreadPoolExecutor(settings.workers)
        self.randomly = v2.RandAugment(2, 10) if settings.augmentation == "strong" else None
        self.seen = self.corrupt = 0

    def _one(self, raw: Raw) -> Tensor | None:
        """(3, side, side) uint8, or None where the picture cannot be decoded."""
        from PIL import Image

        try:
            with Image.open(io.BytesIO(raw.data)) as file:
                picture = file.convert("RGB")
        except Exception:  # a damaged file can raise anything, and that it is damaged is all we need to know
            return None
        side = self.settings.image_size
        if not self.training:
            short = round(side * 8 / 7)
            scale = short / min(picture.size)
            picture = picture.resize(
                (max(side, round(picture.width * scale)), max(side, round(picture.height * scale))), Image.Resampling.BILINEAR
            )
            left, top = (picture.width - side) // 2, (picture.height - side) // 2
            return torch.from_numpy(np.array(picture.crop((left, top, left + side, top + side)))).permute(2, 0, 1)
        rng = np.random.default_rng([self.seed, raw.epoch, raw.row])
        box = _random_box(picture.width, picture.height, rng)
        picture = picture.resize((side, side), Image.Resampling.BILINEAR, box=box)
        if rng.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)

    def __call__(self, raws: list[Raw]) -> tuple[Tensor, Tensor]:
        """Decode a part of a batch.

        Returns:
            Pictures (n, 3, side, side) uint8 and labels (n,).

        Raises:
            DataError: more than the allowed share of all pictures so far cannot be decoded, or none of this part.
        """
        pictures = list(self.pool.map(self._one, raws))
        if self.randomly and self.training:
            pictures = [None if p is None else self._augmented(p, raw) for p, raw in zip(pictures, raws, strict=True)]
        good = {i: picture for i, picture in enumerate(pictures) if picture is not None}
        self.seen, self.corrupt = self.seen + len(raws), self.corrupt + len(raws) - len(good)
        if not good:
            raise DataError(
                f"None of {len(raws)} pictures of {self.settings.dataset} in a row can be decoded. The copy is damaged: fetch it again."
            )
        self.check()
        wrong = [raw.label for raw in raws if not 0 <= raw.label < self.settings.classes]
        if wrong:
            raise DataError(f"A label {wrong[0]} of {self.settings.dataset} does not fit its {self.settings.classes:,} classes.")
        rows = list(good)
        chosen = [rows[int(np.searchsorted(rows, i)) % len(rows)] for i in range(len(raws))]
        return torch.stack([good[i] for i in chosen]), torch.tensor([raws[i].label for i in chosen])

    def _augmented(self, picture: Tensor, raw: Raw) -> Tensor:
        """RandAugment draws from torch's global generator, so it runs here, in order, from a seed of the picture's own."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence([self.seed, raw.epoch, raw.row, 1]).generate_state(1)[0]))
            out: Tensor = self.randomly(picture)  # type: ignore[misc]
            return out

    def check(self) -> None:
        """Raise DataError when too many pictures could not be decoded."""
        share, allowed = self.corrupt / max(1, self.seen), self.settings.corrupt_share
        if self.seen >= _ENOUGH and share > allowed:
            raise DataError(
                f"{self.corrupt:,} of {self.seen:,} pictures of {self.settings.dataset} cannot be decoded "
                f"({share:.2%}; corrupt_share allows {allowed:.2%}). The copy is damaged: fetch it again, or raise corrupt_share."
            )


def _random_box(width: int, height: int, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """A crop of 5 to 100 % of the area and of aspect 3/4 to 4/3, as Beyer et al. use it; the whole picture after ten misses."""
    for _ in range(10):
        area, aspect = width * height * rng.uniform(0.05, 1.0), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        w, h = float(np.sqrt(area * aspect)), float(np.sqrt(area / aspect))
        if w <= width and h <= height:
            left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
            return left, top, left + w, top + h
    return 0.0, 0.0, float(width), float(height)


def _normalised(images: Tensor, device: torch.device) -> Tensor:
    mean, deviation = (values.to(device)[:, None, None] * 255 for values in (_MEAN, _DEVIATION))
    return (images.to(device, non_blocking=True).float() - mean) / deviation


class StreamTrainer:
    """One update on a global batch, alone or in a team; the step is also the place in the stream."""

    def __init__(self, settings: Settings, context: Context, seed: int, split: str = "train") -> None:
        self.settings, self.context, self.split, self.seed = settings, context, split, seed
        team = context.team
        self.network: Classifier = build(settings, context.generator(seed, "initialise", device="cpu")).to(context.device)
        own = optimiser(self.network, settings, settings.learning_rate, context.device)
        self.model, self.optimiser = team.setup(self.network, own)
        self.decoder = Decoder(settings, seed, training=True)
        self.stream: Iterator[Raw] | None = None

    def __call__(self, step: int) -> Metrics:
        """Make update number `step`."""
        s, team = self.settings, self.context.team
        if self.stream is None:
            self.stream = endless(s, self.split, skip=step * s.batch_size)
        schedule = cosine if s.schedule == "cosine" else linear
        set_learning_rate(self.optimiser, s.learning_rate * schedule(step, s.n_steps, warmup=min(s.warmup, s.n_steps // 5)))
        raws = [next(self.stream) for _ in range(s.batch_size)]
        mine = team.share(torch.arange(s.batch_size))
        images, labels = self.decoder([raws[i] for i in mine.tolist()])
        pictures, labels = _normalised(images, self.context.device), labels.to(self.context.device)
        share = None
        if s.augmentation == "strong" and s.mixup:
            generator = self.context.generator(self.seed, f"mixup {step}", device="cpu")
            share = beta(s.mixup, generator, torch.device("cpu")).to(self.context.device)
            pictures = mix(pictures, share)
        first = int(mine[0])

        def loss_of(rows: Tensor) -> Tensor:
            part = rows.to(self.context.device) - first
            with precision(s, self.context.device):
                logits = self.model(pictures[part])
            return mixed_loss(logits, labels[part], share, s.label_smoothing)

        self.optimiser.zero_grad()
        loss = team.accumulate(self.model, loss_of, torch.arange(s.batch_size))
        nn.utils.clip_grad_norm_(self.network.parameters(), s.clip, foreach=True)
        self.optimiser.step()
        return {"loss": loss}


@torch.no_grad()
def stream_accuracy(settings: Settings, context: Context, network: Classifier, split: str, limit: int) -> float:
    """Accuracy in per cent over the first `limit` pictures of a split, shared among the team."""
    _, image, label = STREAMS[settings.dataset]
    decoder, network = Decoder(settings, 0, training=False), network.eval()
    right, batch = 0, []
    total = 0

    def score(raws: list[Raw]) -> int:
        mine = context.team.share(torch.arange(len(raws))).tolist()
        if not mine:
            return 0
        images, labels = decoder([raws[i] for i in mine])
        with precision(settings, context.device):
            predicted = network(_normalised(images, context.device)).argmax(1)
        return int((predicted.cpu() == labels).sum())

    for row, example in enumerate(open_stream(settings, split).take(limit)):
        batch.append(Raw(example[image]["bytes"], int(example[label]), 0, row))
        total += 1
        if len(batch) == 512:
            right, batch = right + score(batch), []
    right += score(batch) if batch else 0
    network.train()
    return 100 * context.team.sum(right) / max(1, total)


def train_on_stream(settings: Settings, context: Context) -> None:
    """Train each seed's network on the stream, test it on the validation split, transfer it, record all.

    The set's own validation split is the test set, as in the papers; nothing is chosen on it.
    """
    if len(context.seeds) != 1:
        raise InputError(
            f"{context.run}: a streamed run trains one seed a job, got {len(context.seeds)}. Set seeds_per_job: 1, or --seeds 0."
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
        tested = stream_accuracy(settings, context, trainer.network, "validation", settings.n_test)
        context.record("accuracy", tested, step=settings.n_steps, unit="%")
    if settings.transfer != "none":
        from replications.papers.vit_scaling.transfer import transfer

        transfer(settings, context, [trainer.network])
