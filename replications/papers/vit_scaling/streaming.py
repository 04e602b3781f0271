"""ImageNet as a stream: read in one global order and decoded by threads; `stream_trainer` trains on it.

Every process reads the same sequence of encoded images and decodes only its part of each global batch, so that order and
augmentation do not depend on the number of GPUs. Seed, epoch and row determine the augmentation of an image. An image
that cannot be decoded is counted and replaced by its neighbour in the batch, up to a maximum share.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from replications.engine.datasets import DataSource, how_to_get, mirror
from replications.engine.images import open_rgb
from replications.errors import DataError
from replications.papers.vit_scaling.settings import Settings

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
"""Data set -> source, image column, label column. Not in `SOURCES`, because `data fetch` would store 150 GB."""

MIN_JUDGED = 200
"""Images read before the share of unreadable ones is checked."""


def open_stream(settings: Settings, split: str) -> datasets.IterableDataset:
    """Return the encoded images of a split, from the local mirror if it has them, else from the hub at the declared revision.

    Args:
        settings: give the data set.
        split: name of the split in the source.

    Returns:
        A stream with the columns of image and label.

    Raises:
        DataError: neither is available, or the columns are not the declared ones.
    """
    import datasets

    source, image, label = STREAMS[settings.dataset]
    folder = mirror()
    local_folder = folder / "hub" / source.hub if folder else None
    is_local = local_folder is not None and local_folder.is_dir()
    try:
        stream = datasets.load_dataset(
            str(local_folder) if is_local else source.hub,
            split=split,
            streaming=True,
            **({} if is_local else {"revision": source.revision}),
        )
        columns = stream.column_names or list(next(iter(stream)))
        missing = {image, label} - set(columns)
    except Exception as error:  # the library, its file formats and the network have many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{source.name}/{split} cannot be streamed: {reason} {how_to_get(source)}") from error
    if missing:
        raise DataError(f"{source.name}/{split}: no column {sorted(missing)}; it has {sorted(columns)}. This is not the declared data set.")
    return stream.select_columns([image, label]).cast_column(image, datasets.Image(decode=False))


@dataclass(frozen=True)
class EncodedImage:
    """One encoded image and its position in the stream.

    Attributes:
        data: content of the image file.
        label: its class.
        epoch: number of the pass over the data, from 0.
        row: position within the epoch, from 0.
    """

    data: bytes
    label: int
    epoch: int
    row: int


def endless(settings: Settings, split: str, *, skip: int = 0) -> Iterator[EncodedImage]:
    """Yield the first `n_images` images of a fixed order, repeatedly, in a new order in each epoch.

    Args:
        settings: give data set, N and shuffle buffer.
        split: name of the split in the source.
        skip: number of images to skip at the start, when a run resumes.

    Yields:
        Encoded images.

    Raises:
        DataError: the split has fewer than `n_images` images.
    """
    _, image, label = STREAMS[settings.dataset]
    # Subsets are nested: all N take the first images of one fixed shuffling.
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
            yield EncodedImage(example[image]["bytes"], int(example[label]), epoch, row)
        if not count:
            raise DataError(f"{settings.dataset}/{split} has no images.")
        n = n or count
        if n < settings.n_images:
            raise DataError(f"{settings.dataset}/{split} has {n:,} images, n_images asks for {settings.n_images:,}; lower n_images.")
        epoch += 1


class Decoder:
    """Decoder of image files to augmented images, in threads (decoding releases the interpreter lock).

    Args:
        settings: give image size, augmentation, number of threads and maximum share of unreadable images.
        seed: seed of the augmentation.
        training: True: random crops and flips; False: a central crop of 7/8.
    """

    def __init__(self, settings: Settings, seed: int, *, training: bool) -> None:
        from torchvision.transforms import v2

        self.settings, self.seed, self.training = settings, seed, training
        self.pool = ThreadPoolExecutor(settings.workers)
        self.rand_augment = v2.RandAugment(2, 10) if settings.augmentation == "strong" else None
        self.seen = self.corrupt = 0

    def _decode(self, raw: EncodedImage) -> Tensor | None:
        """Return a decoded and cropped image, (3, side, side) uint8, or None if it cannot be decoded.

        Args:
            raw: the encoded image.
        """
        from PIL import Image

        try:
            # The recipes whose numbers are published read ImageNet as it lies, without the orientation in its metadata.
            image = open_rgb(io.BytesIO(raw.data), upright=False)
        except DataError:
            return None
        side = self.settings.image_size
        if not self.training:
            short = round(side * 8 / 7)
            scale = short / min(image.size)
            image = image.resize((max(side, round(image.width * scale)), max(side, round(image.height * scale))), Image.Resampling.BILINEAR)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            return torch.from_numpy(np.array(image.crop((left, top, left + side, top + side)))).permute(2, 0, 1)
        rng = np.random.default_rng([self.seed, raw.epoch, raw.row])
        box = _random_box(image.width, image.height, rng)
        image = image.resize((side, side), Image.Resampling.BILINEAR, box=box)
        if rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)

    def __call__(self, raws: list[EncodedImage]) -> tuple[Tensor, Tensor]:
        """Return the decoded images of a part of a batch.

        Args:
            raws: n encoded images; one that cannot be decoded is replaced by its neighbour.

        Returns:
            Images (n, 3, side, side) uint8 and labels (n,).

        Raises:
            DataError: more than the allowed share of all images so far cannot be decoded, or none of this part, or a label is not a class.
        """
        images = list(self.pool.map(self._decode, raws))
        if self.rand_augment and self.training:
            images = [None if p is None else self._rand_augment(p, raw) for p, raw in zip(images, raws, strict=True)]
        decoded = {i: image for i, image in enumerate(images) if image is not None}
        self.seen, self.corrupt = self.seen + len(raws), self.corrupt + len(raws) - len(decoded)
        if not decoded:
            raise DataError(
                f"None of {len(raws)} consecutive images of {self.settings.dataset} can be decoded. The copy is damaged: fetch it again."
            )
        self.check()
        invalid_labels = [raw.label for raw in raws if not 0 <= raw.label < self.settings.classes]
        if invalid_labels:
            raise DataError(f"A label {invalid_labels[0]} of {self.settings.dataset} does not fit its {self.settings.classes:,} classes.")
        rows = list(decoded)
        replacements = [rows[int(np.searchsorted(rows, i)) % len(rows)] for i in range(len(raws))]
        return torch.stack([decoded[i] for i in replacements]), torch.tensor([raws[i].label for i in replacements])

    def _rand_augment(self, image: Tensor, raw: EncodedImage) -> Tensor:
        """Return the image after RandAugment, with torch's global generator seeded per image, because RandAugment uses it.

        Args:
            image: (3, side, side) uint8.
            raw: the encoded image, whose position gives the seed.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence([self.seed, raw.epoch, raw.row, 1]).generate_state(1)[0]))
            return self.rand_augment(image)  # type: ignore[misc]

    def check(self) -> None:
        """Raise an error if too many images could not be decoded.

        Raises:
            DataError: the share exceeds `corrupt_share`, after `MIN_JUDGED` images.
        """
        share, allowed = self.corrupt / max(1, self.seen), self.settings.corrupt_share
        if self.seen >= MIN_JUDGED and share > allowed:
            raise DataError(
                f"{self.corrupt:,} of {self.seen:,} images of {self.settings.dataset} cannot be decoded "
                f"({share:.2%}; corrupt_share allows {allowed:.2%}). The copy is damaged: fetch it again, or raise corrupt_share."
            )


def _random_box(width: int, height: int, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Return a random crop of 5 to 100 % of the area and of aspect ratio 3/4 to 4/3 (Beyer et al. 2022).

    Args:
        width: width of the image in pixels.
        height: height of the image in pixels.
        rng: random generator of the image.

    Returns:
        Left, top, right and bottom in pixels; the whole image if ten crops do not fit.
    """
    for _ in range(10):
        area, aspect = width * height * rng.uniform(0.05, 1.0), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        w, h = float(np.sqrt(area * aspect)), float(np.sqrt(area / aspect))
        if w <= width and h <= height:
            left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
            return left, top, left + w, top + h
    return 0.0, 0.0, float(width), float(height)
