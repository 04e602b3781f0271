"""Images on the device: formula-driven, CIFAR-10, scikit-learn's digits; streams are in `streaming`.

Of CIFAR-10's training images the last 5,000 are for validation, the first 45,000 for training. A subset of N is
balanced over classes and drawn by the seed; the subset of a smaller N is part of that of a larger one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from replications.engine.context import Context
from replications.engine.datasets import DataSource, images_and_labels
from replications.engine.digits import DIGITS
from replications.errors import DataError
from replications.papers.vit_scaling.fractals import FractalWorld
from replications.papers.vit_scaling.settings import Settings

N_VALIDATION = 5_000

_STREAMS = {"test": 1_000_001, "validation": 1_000_002}


CIFAR10 = DataSource(
    name="cifar10",
    hub="uoft-cs/cifar10",
    revision="0b2714987fa478483af9968de7c934580d0bb9a2",
    config="plain_text",
    splits={"train": 50_000, "test": 10_000},
    licence="no licence stated by the authors; free for research",
    citation="Krizhevsky: Learning multiple layers of features from tiny images. Technical report, University of Toronto, 2009.",
    # Two contents are in use and only one of them can be fingerprinted here, so neither is refused.
    note="The hub's own images have no fingerprint known to us, so none is enforced. Known: the public reconstruction in original order "
    "(fingerprints train 4388214858e8aab4, test 9cecea5c32762aea) differs from it in 77 training and 20 test images (92 ships, 5 horses; "
    "0.16 %), which are decoded from a JPEG copy; the order of its training images 4,000 to 49,999 within a class could not be checked. "
    "The provenance of every run states the fingerprint of what it loaded.",
)
SOURCES = [CIFAR10, DIGITS]


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """Return the data that a run loads; streams are read during training and not fetched beforehand.

    Args:
        settings: settings of the run.

    Returns:
        (source, split) pairs.
    """
    splits: list[tuple[DataSource, str]] = []
    used = {settings.dataset, settings.transfer}
    used |= {settings.sub_run(sub_run.label).dataset for sub_run in settings.sub_runs}
    if "cifar10" in used:
        splits += [(CIFAR10, "train"), (CIFAR10, "test")]
    if "digits" in used:
        splits += [(DIGITS, split) for split in DIGITS.splits]
    return splits


@dataclass(frozen=True)
class LabelledImages:
    """Images with their classes, on the device.

    Attributes:
        images: (n, 3, side, side) uint8.
        labels: (n,) int64.
        classes: number of classes.
    """

    images: Tensor
    labels: Tensor
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Tensor | slice) -> LabelledImages:
        return replace(self, images=self.images[rows], labels=self.labels[rows])


def check(data: LabelledImages, side: int, where: str) -> LabelledImages:
    """Return the images unchanged if they have three channels, the expected side, and labels within their number of classes.

    Args:
        data: loaded images.
        side: expected height and width in pixels.
        where: origin of the images, for messages.

    Returns:
        The same images.

    Raises:
        DataError: a check fails.
    """
    shape = tuple(data.images.shape[1:])
    if shape != (3, side, side):
        raise DataError(f"{where}: images are {' x '.join(map(str, shape))} (channels x height x width), expected 3 x {side} x {side}.")
    low, high = int(data.labels.min()), int(data.labels.max())
    if low < 0 or high >= data.classes:
        raise DataError(f"{where}: labels run from {low} to {high}, which does not fit {data.classes} classes (0 to {data.classes - 1}).")
    return data


def resized(images: np.ndarray, side: int, device: torch.device) -> Tensor:
    """Return images on the device, enlarged bilinearly.

    Args:
        images: grey (n, h, w) or RGB (n, h, w, 3) uint8.
        side: pixels of the result.
        device: of the result.

    Returns:
        (n, 3, side, side) uint8.

    Raises:
        DataError: the images are neither grey nor RGB.
    """
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=3)
    if images.ndim != 4 or images.shape[3] != 3:
        raise DataError(f"Images of shape {images.shape[1:]} are neither grey nor RGB; convert them.")
    tensor = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    if tensor.shape[-1] == side and tensor.shape[-2] == side:
        return tensor.to(device)
    enlarged = functional.interpolate(tensor.float(), size=(side, side), mode="bilinear", align_corners=False)
    return enlarged.round().clamp(0, 255).to(torch.uint8).to(device)


_decoded: dict[str, tuple[np.ndarray, np.ndarray]] = {}
_rendered: dict[str, tuple[Tensor, Tensor]] = {}


def stored(context: Context, dataset: str, split: str, side: int) -> LabelledImages:
    """Return one whole split of CIFAR-10 or the digits.

    Args:
        context: records the fingerprint of the loaded data.
        dataset: 'cifar10' or 'digits'.
        split: 'train', 'validation' or 'test'.
        side: side of the returned images in pixels.

    Returns:
        Images and labels on the device of the context.

    Raises:
        DataError: the data set is missing, altered, of the wrong size or mode.
    """
    source = DIGITS if dataset == "digits" else CIFAR10
    part = split if dataset == "digits" or split == "test" else "train"
    column = "image" if dataset == "digits" else "img"
    loaded = context.load(source, part)
    # Decoding 50,000 images takes 10 s, so a process that makes many runs does it once.
    key = f"{source.name}/{part}/{context.data[f'{source.name}/{part}']['fingerprint']}"
    if key not in _decoded:
        _decoded[key] = images_and_labels(loaded, column, "label")
    images, labels = _decoded[key]
    if dataset == "cifar10" and split != "test":
        cut = len(images) - N_VALIDATION
        rows = slice(0, cut) if split == "train" else slice(cut, None)
        images, labels = images[rows], labels[rows]
        if len(absent := set(range(10)) - set(labels.tolist())):
            raise DataError(
                f"{source.name}/{split} has no image of class {min(absent)}: this copy is sorted by class. Fetch one in the original order."
            )
    data = LabelledImages(resized(images, side, context.device), torch.from_numpy(labels).to(context.device), 10)
    return check(data, side, f"{source.name}/{split}")


def subset(data: LabelledImages, n: int, generator: torch.Generator) -> LabelledImages:
    """Return a subset of the images with equal numbers per class as far as possible; the subset of a smaller n is part of that of a larger n.

    Args:
        data: images to select from.
        n: number of images.
        generator: random numbers of the selection, on the CPU.

    Returns:
        n images with their labels.

    Raises:
        DataError: there are fewer than n images.
    """
    if n > len(data):
        raise DataError(f"A subset of {n:,} images was requested, but there are {len(data):,}; lower n_images.")
    order = torch.randperm(len(data), generator=generator)
    labels = data.labels.cpu()[order]
    rank = torch.empty_like(order)
    for label in labels.unique():
        of_class = (labels == label).nonzero()[:, 0]
        rank[of_class] = torch.arange(len(of_class))
    rows = order[rank.argsort(stable=True)[:n]]
    return data[rows.to(data.labels.device)]


def world(settings: Settings) -> FractalWorld:
    """Return the formula-driven classes of a run.

    Args:
        settings: settings of the run.

    Returns:
        The classes and the variation of their images.
    """
    return FractalWorld(
        n_classes=settings.n_classes,
        siblings=settings.siblings,
        spread=settings.spread,
        side=settings.image_size,
        jitter=settings.jitter,
        depth=settings.detail,
        clutter=settings.clutter,
        colours=settings.colours,
    )


def generated(settings: Settings, n: int, stream: int, device: torch.device) -> LabelledImages:
    """Return the first formula-driven images of a stream.

    The longest generated part of each stream is cached for later runs of this process.

    Args:
        settings: give the classes.
        n: number of images.
        stream: number of the stream; streams share classes, not images.
        device: device of the result.

    Returns:
        n images with their labels.
    """
    classes = world(settings)
    key = f"{classes} {stream} {device}"
    if key not in _rendered or len(_rendered[key][1]) < n:
        _rendered[key] = classes.images(n, stream=stream, device=device)
    images, labels = _rendered[key]
    return LabelledImages(images[:n], labels[:n], settings.n_classes)


def generated_masks(settings: Settings, split: str, device: torch.device) -> Tensor:
    """Return where the shape is in the formula-driven images of `evaluation_images`.

    Args:
        settings: give the classes and the number of images.
        split: 'validation' or 'test'.
        device: device of the result.

    Returns:
        (n_test, side, side) bool.
    """
    return world(settings).masks(settings.n_test, stream=_STREAMS[split], device=device)


def training_images(settings: Settings, context: Context, seed: int) -> LabelledImages:
    """Return the N training images of one seed.

    Args:
        settings: give data set and N.
        context: device and generators.
        seed: selects the images.

    Returns:
        N images with their labels.
    """
    if settings.dataset == "fractals":
        return check(generated(settings, settings.n_images, seed, context.device), settings.image_size, "formula-driven images")
    whole = stored(context, settings.dataset, "train", settings.image_size)
    return subset(whole, settings.n_images, context.generator(seed, "subset", device="cpu"))


def evaluation_images(settings: Settings, context: Context, split: str) -> LabelledImages:
    """Return validation or test images, the same for every seed and N.

    Args:
        settings: give data set and number of images.
        context: gives the device.
        split: 'validation' or 'test'.

    Returns:
        At most `settings.n_test` images with their labels.
    """
    if settings.dataset == "fractals":
        return generated(settings, settings.n_test, _STREAMS[split], context.device)
    return stored(context, settings.dataset, split, settings.image_size)[: settings.n_test]
