"""Where the attention of a trained network lies: against the known alignment, and against the diagonal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from replications.papers.align_and_translate.batches import Encoded, make_batch
from replications.papers.align_and_translate.fused import TranslatorGroup
from replications.papers.align_and_translate.model import Translator
from replications.papers.align_and_translate.pairs import Pairs
from replications.papers.align_and_translate.settings import Network
from replications.papers.align_and_translate.trainer import Task

BAND = 0.2
"""Largest distance from the diagonal, as a share of the sentence, that counts as near."""

AT_ONCE = 64


def weights_of(network: TranslatorGroup, pairs: Encoded) -> list[np.ndarray]:
    """Return the attention weights of given sentence pairs.

    Args:
        network: a group of one network.
        pairs: word numbers, each sentence with its end.

    Returns:
        For each pair (target words + 1, source words + 1); rows sum to 1.
    """
    device = network.weights["E"].device
    order = np.argsort([len(a) + len(b) for a, b in zip(*pairs, strict=True)], kind="stable")
    weights: list[np.ndarray] = [np.zeros(0)] * len(order)
    for start in range(0, len(order), AT_ONCE):
        rows = order[start : start + AT_ONCE]
        of_batch = network.alignments(make_batch(pairs, [rows]).to(device))[0].cpu().numpy()
        for row, one in zip(rows, of_batch, strict=True):
            weights[row] = one[: len(pairs.target[row]), : len(pairs.source[row])]
    return weights


def measure_alignment(network: TranslatorGroup, task: Task, pairs: Pairs) -> dict[str, float]:
    """Measure the weights on reference translations of sentences no longer than those of training.

    Args:
        network: a group of one network.
        task: vocabularies and settings.
        pairs: of the scored split.

    Returns:
        In per cent: `diagonal_mass` near the diagonal and `diagonal_uniform`, that of equal weights; where the alignment is known also
        `alignment_accuracy`, `alignment_chance` and `steps_back`.
    """
    within = pairs.up_to(task.settings.max_words)
    weights = weights_of(network, task.encode(within))
    near = [near_diagonal(*one.shape) for one in weights]
    n_words = sum(len(one) for one in weights)
    result = {
        "diagonal_mass": 100 * sum(float((one * band).sum()) for one, band in zip(weights, near, strict=True)) / n_words,
        "diagonal_uniform": 100 * sum(float(band.mean(1).sum()) for band in near) / n_words,
    }
    if within.alignment is not None:
        chosen = [one[:-1].argmax(1) for one in weights]
        result |= compare_with_known(chosen, within.alignment, [one.shape[1] for one in weights])
    return result


def near_diagonal(n_target: int, n_source: int) -> np.ndarray:
    """Return which pairs of target and source word lie near the diagonal, both sentences stretched to the same length.

    Args:
        n_target: words of the translation, its end included.
        n_source: words of the source, its end included.

    Returns:
        Bool (n_target, n_source).
    """
    target = np.arange(n_target) / max(1, n_target - 1)
    source = np.arange(n_source) / max(1, n_source - 1)
    return np.abs(target[:, None] - source[None, :]) <= BAND


def compare_with_known(chosen: Sequence[np.ndarray], known: Sequence[Sequence[int]], n_source: Sequence[int]) -> dict[str, float]:
    """Compare the source word of largest weight with the known one.

    Args:
        chosen: for each sentence the position of the largest weight of each target word.
        known: for each sentence the true positions.
        n_source: source words of each sentence, the end included.

    Returns:
        In per cent: `alignment_accuracy`; `alignment_chance`, what a random position reaches; and `steps_back`, how often the chosen
        position goes back where the true one does, by one word or more.
    """
    right = words = steps = back = 0
    chance = 0.0
    for own, true, n in zip(chosen, known, n_source, strict=True):
        right += int((own == np.asarray(true)).sum())
        words += len(true)
        chance += len(true) / n
        inverted = np.diff(true) < 0
        steps += int(inverted.sum())
        back += int((inverted & (np.diff(own) < 0)).sum())
    return {
        "alignment_accuracy": 100 * right / words,
        "alignment_chance": 100 * chance / words,
        "steps_back": 100 * back / max(1, steps),
    }


def count_scores(network: Network, n_words: int) -> float:
    """Count the attention scores that are computed to translate one sentence into another of the same length.

    Args:
        network: kind of network; its size does not matter, so that small ones are counted.
        n_words: words of each sentence, their ends included.

    Returns:
        Number of scores e_ij that the plain network computes; 0 for RNNencdec.
    """
    small = network.model_copy(update={"embed_size": 2, "hidden_size": 2, "alignment_size": 2, "maxout_size": 2})
    translator = Translator(small, 2, 2, init="scaled", generator=torch.Generator().manual_seed(0))
    counted = 0

    def count(_: torch.nn.Module, __: object, weights: torch.Tensor) -> None:
        nonlocal counted
        counted += weights.numel()

    if translator.alignment is not None:
        translator.alignment.register_forward_hook(count)
    words = torch.zeros(1, n_words, dtype=torch.long)
    with torch.no_grad():
        translator(words, torch.ones(1, n_words, dtype=torch.bool), words)
    return float(counted)
