"""What a run reads: digits on canvases or house numbers, for training and to be scored."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from replications.engine.context import Context
from replications.engine.datasets import DataSource
from replications.engine.digits import DIGITS, MNIST, load_digits
from replications.papers.multiple_objects.canvases import Canvases, CanvasGenerator, fixed_set
from replications.papers.multiple_objects.house_numbers import SVHN, NumberGenerator, load_numbers, middle_squares
from replications.papers.multiple_objects.settings import Settings

SOURCES = [MNIST, DIGITS, SVHN]


class ImageSource(Protocol):
    """Makes training images from uniform random numbers that the caller draws."""

    @property
    def n_uniforms(self) -> int:
        """Random numbers that one image takes."""
        ...

    def __call__(self, uniforms: Tensor) -> Canvases:
        """Return n images.

        Args:
            uniforms: (n, n_uniforms) in [0, 1).

        Returns:
            The images, as float32, with what is to be answered.
        """
        ...


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """Return the data sources and splits that a run loads.

    Args:
        settings: of the run.

    Returns:
        Pairs of a source and the name of a split.
    """
    source = {"digits": DIGITS, "mnist": MNIST, "svhn": SVHN}[settings.dataset]
    return [(source, split) for split in source.splits]


def training_images(settings: Settings, context: Context) -> ImageSource:
    """Return what makes the training images of a run.

    Args:
        settings: of the run.
        context: of the run.

    Returns:
        A source on the run's device.

    Raises:
        DataError: the data is missing, altered or damaged.
    """
    if settings.dataset == "svhn":
        return NumberGenerator(settings, load_numbers(context, settings, "train"))
    return CanvasGenerator(settings, load_digits(context, settings.dataset, "train").of_classes(settings.n_classes))


def scored_images(settings: Settings, context: Context, split: str) -> Canvases:
    """Return the images of a split that is scored, the same for every model and seed of a task.

    Args:
        settings: of the run.
        context: of the run.
        split: 'validation' or 'test'.

    Returns:
        The images, as uint8.

    Raises:
        DataError: the data is missing, altered or damaged.
    """
    if settings.dataset == "svhn":
        return middle_squares(settings, load_numbers(context, settings, split))
    n = settings.n_test if split == "test" else settings.n_validation
    digits = load_digits(context, settings.dataset, split).of_classes(settings.n_classes)
    return fixed_set(settings, digits, n, context.generator(0, f"{split} canvases", device="cpu"))
