"""Questions to a trained decoder: captions, likelihoods of references, and attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from replications.papers.show_and_tell.fused import CaptionerGroup
from replications.papers.show_and_tell.model import ImageFeatures, caption_loss
from replications.papers.show_and_tell.search import beam_search
from replications.papers.show_and_tell.vocabulary import END, START, Vocabulary

IMAGES_PER_SEARCH = 64
"""Images searched at once: enough rows for full-size products, little enough memory for a grid of features per beam."""
CAPTIONS_PER_PASS = 512


@dataclass(frozen=True)
class Generated:
    """Captions of a split.

    Attributes:
        words: for each image its best captions as words, best first.
        scores: summed log-probabilities in nats, (images, n_best).
    """

    words: list[list[list[str]]]
    scores: np.ndarray

    def best(self) -> list[list[str]]:
        """Return the best caption of each image."""
        return [several[0] for several in self.words]


def generate(
    model: CaptionerGroup, images: ImageFeatures, vocabulary: Vocabulary, *, beam_size: int, max_length: int, n_best: int = 1
) -> Generated:
    """Return captions of all images, searched in chunks of IMAGES_PER_SEARCH.

    Args:
        model: one slot, or the slots of an ensemble.
        images: features of n images, (S, n, ...).
        vocabulary: turns word numbers into words.
        beam_size: sentences kept per image while searching.
        max_length: longest caption in words.
        n_best: captions returned per image.

    Returns:
        Captions as words with their scores, in the order of the images.
    """
    words: list[list[list[str]]] = []
    scores = []
    for start in range(0, images.vector.shape[1], IMAGES_PER_SEARCH):
        rows = torch.arange(start, min(start + IMAGES_PER_SEARCH, images.vector.shape[1]), device=images.vector.device)
        captions = beam_search(model, images.rows(rows), beam_size, max_length, n_best)
        words += [[vocabulary.decode(sentence) for sentence in several] for several in captions.words.tolist()]
        scores.append(captions.scores.cpu().numpy())
    return Generated(words, np.concatenate(scores))


def padded(captions: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return captions as inputs from the start symbol on and targets with the end, each (captions, length); -1 where targets are padded.

    Args:
        captions: word numbers of each caption, without start and end.
        device: of the returned tensors.

    Returns:
        Inputs and targets, int64 (captions, length) each.
    """
    length = max(len(caption) for caption in captions) + 1
    inputs = torch.full((len(captions), length), END)
    targets = torch.full((len(captions), length), -1)
    inputs[:, 0] = START
    for row, caption in enumerate(captions):
        words = torch.tensor(caption, dtype=torch.long)
        inputs[row, 1 : len(caption) + 1] = words
        targets[row, : len(caption)] = words
        targets[row, len(caption)] = END
    return inputs.to(device), targets.to(device)


@torch.no_grad()
def mean_loss(model: CaptionerGroup, images: ImageFeatures, captions: Sequence[Sequence[int]], owner: Sequence[int]) -> Tensor:
    """Return the mean negative log-likelihood of a word in nats, (slots,); its exponential is the perplexity.

    Args:
        model: decoders of all slots.
        images: features of n images, (S, n, ...).
        captions: word numbers of each caption.
        owner: the image of each caption.

    Returns:
        Nats per word, (slots,).
    """
    order = sorted(range(len(captions)), key=lambda row: len(captions[row]))
    total = count = torch.zeros(model.n_slots, device=images.vector.device)
    for start in range(0, len(order), CAPTIONS_PER_PASS):
        rows = order[start : start + CAPTIONS_PER_PASS]
        inputs, targets = (part.expand(model.n_slots, -1, -1) for part in padded([captions[row] for row in rows], images.vector.device))
        own = torch.tensor([owner[row] for row in rows], device=images.vector.device)
        loss, words = caption_loss(model(images.rows(own), inputs), targets)
        total, count = total + loss, count + words
    return total / count


@torch.no_grad()
def word_log_likelihoods(model: CaptionerGroup, images: ImageFeatures, captions: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Return the log-probability of every word and of the end, one array (words + 1,) per caption; members of an ensemble are averaged.

    Args:
        model: one slot, or the slots of an ensemble.
        images: features of n images, (S, n, ...).
        captions: word numbers of one caption per image.

    Returns:
        Nats, one array (words + 1,) per caption.
    """
    inputs, targets = padded(captions, images.vector.device)
    logits = model(images, inputs.expand(model.n_slots, -1, -1)).logits.log_softmax(-1)
    log_p = logits.logsumexp(0) - np.log(model.n_slots)
    of_words = log_p.gather(-1, targets.clamp(min=0)[..., None]).squeeze(-1).cpu().numpy()
    return [of_words[row, : len(caption) + 1] for row, caption in enumerate(captions)]


@torch.no_grad()
def likelihood_matrix(model: CaptionerGroup, images: ImageFeatures, captions: Sequence[Sequence[int]]) -> np.ndarray:
    """Return log p(caption | image) of every caption for every image, (images, captions), in nats; members of an ensemble are averaged.

    Args:
        model: one slot, or the slots of an ensemble.
        images: features of n images, (S, n, ...).
        captions: word numbers of each caption.

    Returns:
        Nats, (images, captions).
    """
    n_images, device = images.vector.shape[1], images.vector.device
    matrix = np.zeros((n_images, len(captions)))
    order = sorted(range(len(captions)), key=lambda row: len(captions[row]))
    step = max(1, CAPTIONS_PER_PASS * (16 if device.type == "cuda" else 4) // n_images)
    for start in range(0, len(order), step):
        rows = order[start : start + step]
        inputs, targets = padded([captions[row] for row in rows], device)
        image = torch.arange(n_images, device=device).repeat(len(rows))
        inputs, targets = (part.repeat_interleave(n_images, 0) for part in (inputs, targets))
        logits = model(images.rows(image), inputs.expand(model.n_slots, -1, -1)).logits
        log_p = logits.gather(-1, targets.clamp(min=0).expand(model.n_slots, -1, -1)[..., None]).squeeze(-1) - logits.logsumexp(-1)
        log_p = log_p.logsumexp(0) - np.log(model.n_slots)
        total = (log_p * (targets >= 0)).sum(-1)
        matrix[:, rows] = total.view(len(rows), n_images).T.cpu().numpy()
    return matrix


@torch.no_grad()
def attention_maps(model: CaptionerGroup, images: ImageFeatures, captions: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Return the attention of the first slot before every word, one array (words, locations) per caption.

    Args:
        model: decoders with attention.
        images: features of n images, (S, n, ...).
        captions: word numbers of one caption per image.

    Returns:
        Weights that sum to 1 over the locations, one array (words, locations) per caption.

    Raises:
        ValueError: the decoder has no attention.
    """
    inputs, _ = padded(captions, images.vector.device)
    attention = model(images, inputs.expand(model.n_slots, -1, -1)).attention
    if attention is None:
        raise ValueError("this decoder has no attention")
    maps = attention[0].cpu().numpy()
    return [maps[row, : len(caption)] for row, caption in enumerate(captions)]
