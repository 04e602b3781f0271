"""Captions that a run stores for its figures and exhibits: drawn at random, worst by CIDEr, and of scenes without the usual company."""

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

GALLERY_SEED, WORST = 20150417, 12
THUMBNAIL = 96
"""Largest side of a stored image, in pixels."""
LIST_LENGTH = 5
"""Captions stored of a list of the n best."""


def gallery_rows(n_images: int, count: int) -> np.ndarray:
    """Return the numbers of the gallery's test images, drawn by a fixed seed before any caption was seen.

    Args:
        n_images: images of the test split.
        count: images drawn.
    """
    return np.sort(np.random.default_rng(GALLERY_SEED).permutation(n_images)[:count])


def list_arrays(task: Task, captions: Generated, training_captions: set[tuple[str, ...]]) -> dict[str, np.ndarray]:
    """Return the best few captions of the gallery's images, and which of them are new (Table 3).

    Args:
        task: settings and splits.
        captions: the n best of every test image.
        training_captions: tokens of all training captions.

    Returns:
        Text and bool arrays, (images, LIST_LENGTH), by name of the artifact.
    """
    rows = gallery_rows(len(task.splits["test"]), task.settings.samples)
    lists = [captions.words[row][:LIST_LENGTH] for row in rows]
    return {
        "gallery_lists": np.array([[" ".join(caption) for caption in several] for several in lists]),
        "gallery_novel": np.array([[tuple(caption) not in training_captions for caption in several] for several in lists]),
    }


def sample_arrays(task: Task, model: CaptionerGroup, images: ImageFeatures, captions: Generated, scores: Scores) -> dict[str, np.ndarray]:
    """Return one seed's captions of the gallery's images and of those with its lowest CIDEr.

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
    worst = np.argsort(cider, kind="stable")[:WORST]
    best = [" ".join(caption) for caption in captions.best()]
    arrays = {
        "gallery_captions": np.array([best[row] for row in rows]),
        "gallery_cider": 100 * cider[rows],
        "worst_captions": np.array([best[row] for row in worst]),
        "worst_cider": 100 * cider[worst],
        "worst_images": thumbnails(split, worst),
        "worst_references": _texts(split, worst),
        "worst_kinds": _kinds(split, worst),
    }
    if task.settings.decoder.attention:
        own_words = [task.vocabulary.encode(captions.words[row][0]) for row in rows]
        own = images.rows(torch.from_numpy(rows).to(images.vector.device))
        maps = attention_maps(model, own, own_words)
        padded = np.zeros((len(rows), task.settings.max_length, maps[0].shape[1]), dtype=np.float16)
        for index, attention in enumerate(maps):
            padded[index, : len(attention)] = attention
        arrays["gallery_attention"] = padded
    return arrays


def broken_arrays(task: Task, captions: list[list[str]], hallucination: analysis.Hallucination) -> dict[str, np.ndarray]:
    """Return one seed's captions of the first scenes without the usual company, with the absent kinds that they name.

    Args:
        task: settings and splits.
        captions: of every image of the split.
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


def _texts(split: Split, rows: np.ndarray) -> np.ndarray:
    most = max(len(split.captions[row]) for row in rows)
    return np.array([[*split.captions[row], *[""] * (most - len(split.captions[row]))] for row in rows])


def _kinds(split: Split, rows: np.ndarray) -> np.ndarray:
    """Return the kinds that are in each image, space between, (rows,); empty where they are not known."""
    return np.array([" ".join(sorted(split.scenes[row].kinds)) if split.scenes else "" for row in rows])


def thumbnails(split: Split, rows: np.ndarray) -> np.ndarray:
    """Return small copies of images for figures, uint8 (images, 3, side, side): scenes as they are, photographs at 96 pixels.

    Args:
        split: reads the pixels.
        rows: numbers of the images.
    """
    from PIL import Image

    pixels = split.read(rows.tolist())
    if pixels.shape[-1] <= THUMBNAIL:
        return pixels
    small = [np.asarray(Image.fromarray(p.transpose(1, 2, 0)).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)) for p in pixels]
    return np.stack(small).transpose(0, 3, 1, 2)


def record_gallery(context: Context, task: Task) -> None:
    """Record the gallery's images, references and kinds, once for all seeds.

    Args:
        context: receives the artifacts.
        task: settings and splits.
    """
    split, rows = task.splits["test"], gallery_rows(len(task.splits["test"]), task.settings.samples)
    context.artifact("gallery_rows", rows)
    context.artifact("gallery_images", thumbnails(split, rows))
    context.artifact("gallery_references", _texts(split, rows))
    context.artifact("gallery_kinds", _kinds(split, rows))
    context.artifact("reference_lengths", np.array([len(tokens) for several in split.tokens for tokens in several]))
    if task.settings.neighbours:
        context.artifact("neighbour_words", np.array(task.settings.neighbours))
