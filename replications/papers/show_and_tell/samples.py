"""Captions that a run stores for figures and exhibits: of random images, of the lowest-scoring ones, and of scenes without companions."""

from __future__ import annotations

import numpy as np
import torch

from replications.engine.context import Context
from replications.papers.show_and_tell import analysis
from replications.papers.show_and_tell.data import Split
from replications.papers.show_and_tell.evaluation import Generated, attention_maps
from replications.papers.show_and_tell.fused import CaptionerGroup
from replications.papers.show_and_tell.model import ImageFeatures
from replications.papers.show_and_tell.scores import Scores
from replications.papers.show_and_tell.trainer import Task

GALLERY_SEED = 20150417
N_WORST = 12
"""Number of lowest-scoring images stored per seed."""
THUMBNAIL_SIDE = 96
"""Maximum side of a stored image, in pixels."""
LIST_LENGTH = 5
"""Number of captions stored of an n-best list."""


def gallery_rows(n_images: int, count: int) -> np.ndarray:
    """Draw the gallery's test images by a fixed seed, independently of any caption.

    Args:
        n_images: images of the test split.
        count: images to draw; all if there are fewer.

    Returns:
        Sorted image numbers, (count,).
    """
    return np.sort(np.random.default_rng(GALLERY_SEED).permutation(n_images)[:count])


def list_arrays(task: Task, captions: Generated, training_captions: set[tuple[str, ...]]) -> dict[str, np.ndarray]:
    """Return the first captions of the n-best lists of the gallery's images, and which of them are novel (Table 3).

    Args:
        task: settings and splits.
        captions: the n best of every test image.
        training_captions: tokens of all training captions.

    Returns:
        'gallery_lists', text, and 'gallery_novel', bool, each (images, LIST_LENGTH).
    """
    rows = gallery_rows(len(task.splits["test"]), task.settings.samples)
    lists = [captions.words[row][:LIST_LENGTH] for row in rows]
    return {
        "gallery_lists": np.array([[" ".join(caption) for caption in n_best] for n_best in lists]),
        "gallery_novel": np.array([[tuple(caption) not in training_captions for caption in n_best] for n_best in lists]),
    }


def sample_arrays(task: Task, model: CaptionerGroup, images: ImageFeatures, captions: Generated, scores: Scores) -> dict[str, np.ndarray]:
    """Return one seed's captions of the gallery's images and of the images with its lowest CIDEr.

    Args:
        task: settings, splits and vocabulary.
        model: the seed's decoders.
        images: features of the test split, (S, n, ...).
        captions: of every test image.
        scores: of these captions.

    Returns:
        Arrays by name of the artifact, image axis first; attention maps are (images, words, locations).
    """
    split, rows = task.splits["test"], gallery_rows(len(task.splits["test"]), task.settings.samples)
    cider = scores.per_caption["CIDEr"]
    worst = np.argsort(cider, kind="stable")[:N_WORST]
    best = [" ".join(caption) for caption in captions.best()]
    arrays = {
        "gallery_captions": np.array([best[row] for row in rows]),
        "gallery_cider": 100 * cider[rows],
        "worst_captions": np.array([best[row] for row in worst]),
        "worst_cider": 100 * cider[worst],
        "worst_images": thumbnails(split, worst),
        "worst_references": _references(split, worst),
        "worst_kinds": _kinds(split, worst),
    }
    if task.settings.decoder.attention:
        word_numbers = [task.vocabulary.encode(captions.words[row][0]) for row in rows]
        gallery_images = images.rows(torch.from_numpy(rows).to(images.vector.device))
        maps = attention_maps(model, gallery_images, word_numbers)
        padded = np.zeros((len(rows), task.settings.max_length, maps[0].shape[1]), dtype=np.float16)
        for index, attention in enumerate(maps):
            padded[index, : len(attention)] = attention
        arrays["gallery_attention"] = padded
    return arrays


def broken_arrays(task: Task, captions: list[list[str]], hallucination: analysis.Hallucination) -> dict[str, np.ndarray]:
    """Return one seed's captions of the first scenes without companions, and the absent kinds that these name.

    Args:
        task: settings and splits.
        captions: tokens of the caption of every image of the split.
        hallucination: absent kinds of each caption.

    Returns:
        Arrays by name of the artifact, image axis first; none where the run stores no samples.
    """
    if not task.settings.samples:
        return {}
    rows = np.arange(min(task.settings.samples, len(captions)))
    split = task.splits["broken"]
    return {
        "broken_captions": np.array([" ".join(captions[row]) for row in rows]),
        "broken_absent": np.array([" ".join(hallucination.absent[row]) for row in rows]),
        "broken_images": thumbnails(split, rows),
        "broken_kinds": _kinds(split, rows),
    }


def _references(split: Split, rows: np.ndarray) -> np.ndarray:
    """Return the reference captions of images, (images, most captions of an image), padded with empty texts."""
    n_columns = max(len(split.captions[row]) for row in rows)
    return np.array([[*split.captions[row], *[""] * (n_columns - len(split.captions[row]))] for row in rows])


def _kinds(split: Split, rows: np.ndarray) -> np.ndarray:
    """Return the object kinds of each image, separated by spaces, (rows,); empty where they are not known."""
    return np.array([" ".join(sorted(split.scenes[row].kinds)) if split.scenes else "" for row in rows])


def thumbnails(split: Split, rows: np.ndarray) -> np.ndarray:
    """Return small copies of images: scenes unchanged, photographs resized to 96 x 96 pixels.

    Args:
        split: reads the pixels.
        rows: image numbers, (n,).

    Returns:
        uint8 (n, 3, side, side), values 0 to 255.
    """
    from PIL import Image

    pixels = split.read(rows.tolist())
    if pixels.shape[-1] <= THUMBNAIL_SIDE:
        return pixels
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    resized = [np.asarray(Image.fromarray(image.transpose(1, 2, 0)).resize(size, Image.Resampling.BICUBIC)) for image in pixels]
    return np.stack(resized).transpose(0, 3, 1, 2)


def record_gallery(context: Context, task: Task) -> None:
    """Record the gallery's images, references and object kinds, which are the same for all seeds.

    Args:
        context: receives the artifacts.
        task: settings and splits.
    """
    split, rows = task.splits["test"], gallery_rows(len(task.splits["test"]), task.settings.samples)
    context.artifact("gallery_rows", rows)
    context.artifact("gallery_images", thumbnails(split, rows))
    context.artifact("gallery_references", _references(split, rows))
    context.artifact("gallery_kinds", _kinds(split, rows))
    context.artifact("reference_lengths", np.array([len(tokens) for references in split.tokens for tokens in references]))
    if task.settings.neighbours:
        context.artifact("neighbour_words", np.array(task.settings.neighbours))
