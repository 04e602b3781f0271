"""The records and artifacts of a run: scores on every split and at every beam size, and what else the claims ask of captions."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch

from replications.engine.context import Context
from replications.papers.show_and_tell import analysis, samples
from replications.papers.show_and_tell.data import Split
from replications.papers.show_and_tell.evaluation import (
    Generated,
    attention_maps,
    generate,
    likelihood_matrix,
    mean_loss,
    word_log_likelihoods,
)
from replications.papers.show_and_tell.fused import CaptionerGroup
from replications.papers.show_and_tell.grammar import KIND_OF
from replications.papers.show_and_tell.model import ImageFeatures, annotation_vectors
from replications.papers.show_and_tell.scores import Scorer, Scores
from replications.papers.show_and_tell.settings import Settings
from replications.papers.show_and_tell.trainer import Task, encoded
from replications.papers.show_and_tell.vision import Scale

METRICS = {
    "BLEU-1": "bleu_1",
    "BLEU-2": "bleu_2",
    "BLEU-3": "bleu_3",
    "BLEU-4": "bleu_4",
    "ROUGE-L": "rouge_l",
    "CIDEr": "cider",
    "CIDEr-plain": "cider_plain",
}
"""Name of a score -> metric of the records; all are recorded times 100, as papers print them."""
LAST_BEAM = 3
"""Beam size at which the last weights are scored."""
BASELINE_CAPTIONS = 5
"""Captions per image over which the scores of the random and the nearest caption are averaged."""


@functools.lru_cache(maxsize=8)
def _scorer(key: tuple[tuple[tuple[str, ...], ...], ...]) -> Scorer:
    return Scorer(key)


def scorer(split: Split) -> Scorer:
    """Return the scorer of a split's references, made once per process."""
    return _scorer(tuple(tuple(map(tuple, several)) for several in split.tokens))


def scored_splits(settings: Settings, splits: dict[str, Split]) -> list[str]:
    """Return the names of the splits whose images are captioned and scored: all but training, and validation where asked."""
    return [name for name in splits if name != "train" and (name != "validation" or settings.score_validation)]


def _record_scores(
    context: Context, seed: int, scores: dict[str, float], split: str, *, suffix: str = "", beam_size: int | None = None
) -> None:
    axis = "" if beam_size is None else "beam_size"
    for name, value in scores.items():
        context.record(f"{METRICS[name]}{suffix}", 100 * value, split=split, axis=axis, at=beam_size, seed=seed)


def _record_by_beam_size(
    context: Context,
    task: Task,
    model: CaptionerGroup,
    images: ImageFeatures,
    name: str,
    training_captions: set[tuple[str, ...]],
    searched: dict[int, Generated],
    seed: int,
) -> None:
    """Record scores, length and memory of captions at every beam size of the settings.

    Args:
        context: receives the records, with axis 'beam_size'.
        task: settings, splits and vocabulary.
        model: the seed's decoders.
        images: features of the split.
        name: the split.
        training_captions: tokens of all training captions.
        searched: captions that were searched already, by beam size.
        seed: of the records.
    """
    settings = task.settings
    for beam in sorted({*settings.beam_sizes, settings.beam_size}) if settings.beam_sizes else ():
        captions = (
            searched[beam] if beam in searched else generate(model, images, task.vocabulary, beam_size=beam, max_length=settings.max_length)
        )
        _record_scores(context, seed, scorer(task.splits[name]).score(captions.best()).corpus, name, beam_size=beam)
        at: dict[str, Any] = {"split": name, "axis": "beam_size", "at": beam, "seed": seed}
        context.record("memorised", 100 * analysis.memorised(captions.best(), training_captions), unit="%", **at)
        context.record("length_mean", float(np.mean([len(caption) for caption in captions.best()])), unit="words", **at)


def _record_chair(context: Context, seed: int, captions: list[list[str]], split: Split, name: str) -> analysis.Hallucination | None:
    if split.scenes is None:
        return None
    hallucination = analysis.chair(captions, split.scenes)
    context.record("chair_s", 100 * hallucination.sentences, split=name, seed=seed, unit="%")
    context.record("chair_i", 100 * hallucination.instances, split=name, seed=seed, unit="%")
    context.record("hallucinated_companions", 100 * hallucination.companions, split=name, seed=seed, unit="%")
    return hallucination


def _record_lengths(context: Context, seed: int, captions: list[list[str]]) -> None:
    lengths = np.array([len(caption) for caption in captions])
    context.record("length_mean", float(lengths.mean()), seed=seed, unit="words")
    context.record("length_deviation", float(lengths.std()), seed=seed, unit="words")


def _training_captions(split: Split) -> set[tuple[str, ...]]:
    return {tuple(caption) for several in split.tokens for caption in several}


def baseline(context: Context, settings: Settings, splits: dict[str, Split], features: dict[str, ImageFeatures]) -> None:
    """Record the scores of one of Table 1's baselines: a random training caption, the nearest training image's caption, or people.

    Args:
        context: receives the records.
        settings: `mode` names the baseline.
        splits: by name.
        features: of every split, by which images are near.
    """
    train = splits["train"]
    scale = Scale.of(features["train"].vector)
    reference = torch.nn.functional.normalize(scale(features["train"].vector), dim=1)
    for name in scored_splits(settings, splits):
        split = splits[name]
        nearest = (torch.nn.functional.normalize(scale(features[name].vector), dim=1) @ reference.T).argmax(1).cpu().numpy()
        for seed in context.seeds:
            pick = np.random.default_rng([seed, *settings.mode.encode()])
            rows = [nearest if settings.mode != "random" else pick.integers(len(train), size=len(split)) for _ in range(BASELINE_CAPTIONS)]
            # One caption per image is high-variance; the mean over the n-th captions of all images, for several n, estimates the same score.
            drawn = [[train.tokens[row][number % len(train.tokens[row])] for row in numbers] for number, numbers in enumerate(rows)]
            if settings.mode == "human":
                _human(context, seed, split, drawn[0], name)
                continue
            scored = [scorer(split).score(captions).corpus for captions in drawn]
            _record_scores(context, seed, {key: float(np.mean([one[key] for one in scored])) for key in scored[0]}, name)
            _record_chair(context, seed, drawn[0], split, name)
            if name == "test":
                _record_lengths(context, seed, [caption for captions in drawn for caption in captions])


def _human(context: Context, seed: int, split: Split, system: list[list[str]], name: str) -> None:
    """Record scores of people against each other. The correction is measured on the nearest images' captions, which any tier has."""
    # Ragged references (an image described four times) would leave some people without all the others to be scored against.
    fewest = min(len(several) for several in split.tokens)
    references = [several[:fewest] for several in split.tokens]
    corrected, raw = analysis.leave_one_out(references, system)
    _record_scores(context, seed, corrected, name)
    _record_scores(context, seed, raw, name, suffix="_uncorrected")
    _record_chair(context, seed, [several[seed % fewest] for several in references], split, name)
    if name == "test":
        _record_lengths(context, seed, [caption for several in references for caption in several])
        for metric, value in analysis.mutual_bleu(references).items():
            context.record(f"mutual_{metric}", value, seed=seed)


def last(context: Context, task: Task, model: CaptionerGroup) -> None:
    """Record scores of the last weights, before the best ones are put back: a small beam shows the difference cheaply.

    Args:
        context: receives the records, of model 'last'.
        task: settings, splits and vocabulary.
        model: the decoders of all slots after the last update.
    """
    settings, split = task.settings, task.splits["test"]
    for index, seed in enumerate(context.seeds):
        slots = list(range(index * settings.ensemble_size, (index + 1) * settings.ensemble_size))
        captions = generate(
            model.select(slots), task.slot_images("test", slots), task.vocabulary, beam_size=LAST_BEAM, max_length=settings.max_length
        )
        scores = scorer(split).score(captions.best()).corpus
        for name in ("BLEU-4", "CIDEr"):
            context.record(METRICS[name], 100 * scores[name], model="last", axis="beam_size", at=LAST_BEAM, seed=seed)


def measure(context: Context, task: Task, model: CaptionerGroup) -> None:
    """Caption the scored splits with every seed of a trained run, and record metrics and artifacts.

    Args:
        context: receives records and artifacts.
        task: settings, splits, features and vocabulary.
        model: the decoders of all slots with their best weights.
    """
    arrays: list[dict[str, np.ndarray]] = []
    for index, seed in enumerate(context.seeds):
        slots = list(range(index * task.settings.ensemble_size, (index + 1) * task.settings.ensemble_size))
        arrays.append(_measure_seed(context, task, model.select(slots), slots, seed))
        context.progress.update("measuring", index + 1, len(context.seeds))
    for name in arrays[0]:
        context.artifact(name, np.stack([of_seed[name] for of_seed in arrays]))
    context.artifact("seeds", np.array(context.seeds))
    if task.settings.samples:
        samples.record_gallery(context, task)


def _measure_seed(context: Context, task: Task, model: CaptionerGroup, slots: list[int], seed: int) -> dict[str, np.ndarray]:
    settings = task.settings
    arrays: dict[str, np.ndarray] = {}
    for name in scored_splits(settings, task.splits):
        split, images = task.splits[name], task.slot_images(name, slots)
        captions = generate(model, images, task.vocabulary, beam_size=settings.beam_size, max_length=settings.max_length)
        scores = scorer(split).score(captions.best())
        _record_scores(context, seed, scores.corpus, name)
        absent = _record_chair(context, seed, captions.best(), split, name)
        if absent is not None:
            _language_prior(context, task, model, images, captions.best(), absent, name, seed)
        if settings.decoder.attention:
            _record_attention(context, task, model, images, captions.best(), split, name, seed)
        if name == "validation":
            memory = _training_captions(task.splits["train"])
            _record_by_beam_size(context, task, model, images, name, memory, {settings.beam_size: captions}, seed)
        if name == "test":
            arrays |= _measure_test(context, task, model, images, captions, scores, seed)
        if name == "broken" and absent is not None:
            arrays |= samples.broken_arrays(task, captions.best(), absent)
    return arrays


def _measure_test(
    context: Context, task: Task, model: CaptionerGroup, images: ImageFeatures, captions: Generated, scores: Scores, seed: int
) -> dict[str, np.ndarray]:
    settings, split, vocabulary = task.settings, task.splits["test"], task.vocabulary
    _record_lengths(context, seed, captions.best())
    training_captions = _training_captions(task.splits["train"])
    context.record("memorised", 100 * analysis.memorised(captions.best(), training_captions), seed=seed, unit="%")
    listed = captions
    if settings.list_beam:
        listed = generate(model, images, vocabulary, beam_size=settings.list_beam, max_length=settings.max_length, n_best=settings.n_best)
        _record_diversity(context, listed, training_captions, seed)
    searched = {settings.list_beam: listed, settings.beam_size: captions}
    _record_by_beam_size(context, task, model, images, "test", training_captions, searched, seed)
    loss = mean_loss(model, images, *encoded(split, vocabulary))
    context.record("perplexity", float(loss.mean().exp()), seed=seed)
    arrays = {"lengths": np.array([len(caption) for caption in captions.best()])}
    if settings.retrieval_images:
        _record_retrieval(context, task, model, images, seed)
    embedding = model.word_embedding.weight[0].cpu().numpy()
    if split.scenes is not None:
        share, chance = analysis.synonym_neighbours(embedding, vocabulary.words)
        context.record("synonym_neighbours", 100 * share, seed=seed, unit="%")
        context.record("synonym_neighbours_chance", 100 * chance, seed=seed, unit="%")
    if settings.neighbours:
        nearest = analysis.nearest_words(embedding, vocabulary.words, settings.neighbours)
        arrays["neighbours"] = np.array([" ".join(nearest.get(word, [])) for word in settings.neighbours])
    if settings.samples:
        arrays |= samples.sample_arrays(task, model, images, captions, scores)
        if settings.list_beam:
            arrays |= samples.list_arrays(task, listed, training_captions)
    return arrays


def _record_diversity(context: Context, captions: Generated, training_captions: set[tuple[str, ...]], seed: int) -> None:
    listed = [[caption for caption in several if caption] for several in captions.words]
    novel = [tuple(caption) not in training_captions for several in listed for caption in several]
    context.record("novel", 100 * float(np.mean(novel)), seed=seed, unit="%")
    for metric, value in analysis.mutual_bleu(listed).items():
        context.record(f"mutual_{metric}", value, seed=seed)


def _record_retrieval(context: Context, task: Task, model: CaptionerGroup, images: ImageFeatures, seed: int) -> None:
    split = task.splits["test"].first(task.settings.retrieval_images)
    captions, owner = encoded(split, task.vocabulary)
    rows = torch.arange(len(split), device=images.vector.device)
    rankings = analysis.retrieval(likelihood_matrix(model, images.rows(rows), captions), np.array(owner))
    for name, result in zip(("annotation", "search"), rankings, strict=True):
        context.record(f"{name}_r1", result.recall1, seed=seed, unit="%")
        context.record(f"{name}_r10", result.recall10, seed=seed, unit="%")
        context.record(f"{name}_median", result.median, seed=seed)
    context.record("retrieval_images", float(len(split)), seed=seed)


def _language_prior(
    context: Context,
    task: Task,
    model: CaptionerGroup,
    images: ImageFeatures,
    captions: list[list[str]],
    hallucination: analysis.Hallucination,
    name: str,
    seed: int,
) -> None:
    """Record the mean log-probability of named objects without the image, of absent and of present ones, in nats.

    The language alone is the decoder given the mean training image, which standardised features put at zero.
    """
    grid = None if images.grid is None else annotation_vectors(task.features["train"]).float().mean(0).expand_as(images.grid)
    blind = ImageFeatures(torch.zeros_like(images.vector), grid)
    likelihood = word_log_likelihoods(model, blind, [task.vocabulary.encode(caption) for caption in captions])
    values: dict[bool, list[float]] = {True: [], False: []}
    for caption, missing, log_p in zip(captions, hallucination.absent, likelihood, strict=True):
        for position, word in enumerate(caption):
            if word in KIND_OF:
                values[KIND_OF[word] in missing].append(float(log_p[position]))
    if values[True] and values[False]:
        context.record("prior_absent", float(np.mean(values[True])), split=name, seed=seed, unit="nats")
        context.record("prior_present", float(np.mean(values[False])), split=name, seed=seed, unit="nats")


def _record_attention(
    context: Context,
    task: Task,
    model: CaptionerGroup,
    images: ImageFeatures,
    captions: list[list[str]],
    split: Split,
    name: str,
    seed: int,
) -> None:
    maps = attention_maps(model, images, [task.vocabulary.encode(caption) for caption in captions])
    attention = analysis.attention_measures(captions, maps, split.scenes)
    context.record("attention_uncovered", attention.uncovered, split=name, seed=seed)
    if split.scenes is None:
        return
    context.record("attention_entropy_objects", attention.entropy_objects, split=name, seed=seed, unit="nats")
    context.record("attention_entropy_function", attention.entropy_function, split=name, seed=seed, unit="nats")
    context.record("attention_inside", 100 * attention.inside, split=name, seed=seed, unit="%")
    context.record("attention_area", 100 * attention.area, split=name, seed=seed, unit="%")
    context.record("attention_gain", attention.inside / attention.area, split=name, seed=seed)
