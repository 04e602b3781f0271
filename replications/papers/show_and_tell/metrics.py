"""The records and artifacts of a run: scores of every split and beam size, and the further metrics that claims read."""

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
"""Name of a score -> its metric in the records; all are recorded times 100, as papers print them."""
LAST_BEAM = 3
"""Beam size at which the weights after the last update are scored; a small one, because it shows the difference at little cost."""
BASELINE_CAPTIONS = 5
"""Captions per image over which the scores of the random and the nearest caption are averaged."""


@functools.lru_cache(maxsize=8)
def _scorer(key: tuple[tuple[tuple[str, ...], ...], ...]) -> Scorer:
    return Scorer(key)


def scorer(split: Split) -> Scorer:
    """Return the scorer of a split's references, created once per process.

    Args:
        split: its tokens are the references.

    Returns:
        The scorer.
    """
    return _scorer(tuple(tuple(map(tuple, references)) for references in split.tokens))


def scored_splits(settings: Settings, splits: dict[str, Split]) -> list[str]:
    """List the splits whose images are captioned and scored.

    Args:
        settings: `score_validation` adds the validation split.
        splits: by name.

    Returns:
        Names of all splits but training, and of validation only where asked for.
    """
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
    generated: dict[int, Generated],
    seed: int,
) -> None:
    """Record scores, mean length and share of memorised captions at every beam size of the settings.

    Args:
        context: receives the records, with axis 'beam_size'.
        task: settings, splits and vocabulary.
        model: the seed's decoders.
        images: features of the split.
        name: of the split.
        training_captions: tokens of all training captions.
        generated: captions that are available already, by beam size.
        seed: of the records.
    """
    settings = task.settings
    for beam in sorted({*settings.beam_sizes, settings.beam_size}) if settings.beam_sizes else ():
        captions = (
            generated[beam]
            if beam in generated
            else generate(model, images, task.vocabulary, beam_size=beam, max_length=settings.max_length)
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
    return {tuple(caption) for captions in split.tokens for caption in captions}


def record_baseline(context: Context, settings: Settings, splits: dict[str, Split], features: dict[str, ImageFeatures]) -> None:
    """Record the scores of one of Table 1's baselines: a random training caption, the nearest training image's caption, or people.

    Args:
        context: receives the records.
        settings: `mode` is the baseline, 'random', 'nearest' or 'human'.
        splits: by name.
        features: of every split; nearest is by cosine similarity of the standardised feature vectors.
    """
    train = splits["train"]
    scale = Scale.of(features["train"].vector)
    reference = torch.nn.functional.normalize(scale(features["train"].vector), dim=1)
    for name in scored_splits(settings, splits):
        split = splits[name]
        nearest = (torch.nn.functional.normalize(scale(features[name].vector), dim=1) @ reference.T).argmax(1).cpu().numpy()
        for seed in context.seeds:
            generator = np.random.default_rng([seed, *settings.mode.encode()])
            source_rows = [
                nearest if settings.mode != "random" else generator.integers(len(train), size=len(split)) for _ in range(BASELINE_CAPTIONS)
            ]
            # One caption per image is high-variance; the mean over the n-th captions of all images, for several n, estimates the same score.
            captions = [[train.tokens[row][n % len(train.tokens[row])] for row in rows] for n, rows in enumerate(source_rows)]
            if settings.mode == "human":
                _record_human(context, seed, split, captions[0], name)
                continue
            scores = [scorer(split).score(one_per_image).corpus for one_per_image in captions]
            _record_scores(context, seed, {key: float(np.mean([one[key] for one in scores])) for key in scores[0]}, name)
            _record_chair(context, seed, captions[0], split, name)
            if name == "test":
                _record_lengths(context, seed, [caption for one_per_image in captions for caption in one_per_image])


def _record_human(context: Context, seed: int, split: Split, system: list[list[str]], name: str) -> None:
    """Record scores of people against each other, corrected and not; the correction is measured on the nearest images' captions."""
    # Every person must be scored against the same number of others, so images with more captions are cut to the fewest.
    n_references = min(len(captions) for captions in split.tokens)
    references = [captions[:n_references] for captions in split.tokens]
    corrected, uncorrected = analysis.leave_one_out(references, system)
    _record_scores(context, seed, corrected, name)
    _record_scores(context, seed, uncorrected, name, suffix="_uncorrected")
    _record_chair(context, seed, [captions[seed % n_references] for captions in references], split, name)
    if name == "test":
        _record_lengths(context, seed, [caption for captions in references for caption in captions])
        for metric, value in analysis.mutual_bleu(references).items():
            context.record(f"mutual_{metric}", value, seed=seed)


def record_last_weights(context: Context, task: Task, model: CaptionerGroup) -> None:
    """Record scores of the weights after the last update, before the best ones are restored, at the small beam size LAST_BEAM.

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


def record_metrics(context: Context, task: Task, model: CaptionerGroup) -> None:
    """Caption the scored splits with every seed of a trained run, and record metrics and artifacts.

    Args:
        context: receives records and artifacts.
        task: settings, splits, features and vocabulary.
        model: the decoders of all slots with their best weights.
    """
    arrays: list[dict[str, np.ndarray]] = []
    for index, seed in enumerate(context.seeds):
        slots = list(range(index * task.settings.ensemble_size, (index + 1) * task.settings.ensemble_size))
        arrays.append(_record_seed(context, task, model.select(slots), slots, seed))
        context.progress.update("evaluating", index + 1, len(context.seeds))
    for name in arrays[0]:
        context.artifact(name, np.stack([of_seed[name] for of_seed in arrays]))
    context.artifact("seeds", np.array(context.seeds))
    if task.settings.samples:
        samples.record_gallery(context, task)


def _record_seed(context: Context, task: Task, model: CaptionerGroup, slots: list[int], seed: int) -> dict[str, np.ndarray]:
    settings = task.settings
    arrays: dict[str, np.ndarray] = {}
    if settings.greedy_validation_images:
        _record_greedy_validation(context, task, model, slots, seed)
    for name in scored_splits(settings, task.splits):
        split, images = task.splits[name], task.slot_images(name, slots)
        captions = generate(model, images, task.vocabulary, beam_size=settings.beam_size, max_length=settings.max_length)
        scores = scorer(split).score(captions.best())
        _record_scores(context, seed, scores.corpus, name)
        hallucination = _record_chair(context, seed, captions.best(), split, name)
        if hallucination is not None:
            _record_language_prior(context, task, model, images, captions.best(), hallucination, name, seed)
        if settings.decoder.attention:
            _record_attention(context, task, model, images, captions.best(), split, name, seed)
        if name == "validation":
            training_captions = _training_captions(task.splits["train"])
            _record_by_beam_size(context, task, model, images, name, training_captions, {settings.beam_size: captions}, seed)
        if name == "test":
            arrays |= _record_test(context, task, model, images, captions, scores, seed)
        if name == "broken" and hallucination is not None:
            arrays |= samples.broken_arrays(task, captions.best(), hallucination)
    return arrays


def _record_greedy_validation(context: Context, task: Task, model: CaptionerGroup, slots: list[int], seed: int) -> None:
    """Record scores and mean length of greedy captions of the first validation images, so that settings can be chosen without test images."""
    split = task.splits["validation"].first(task.settings.greedy_validation_images)
    images = task.slot_images("validation", slots)
    rows = torch.arange(len(split), device=images.vector.device)
    captions = generate(model, images.rows(rows), task.vocabulary, beam_size=1, max_length=task.settings.max_length).best()
    _record_scores(context, seed, scorer(split).score(captions).corpus, "validation", beam_size=1)
    length = float(np.mean([len(caption) for caption in captions]))
    context.record("length_mean", length, split="validation", axis="beam_size", at=1, seed=seed, unit="words")


def _record_test(
    context: Context, task: Task, model: CaptionerGroup, images: ImageFeatures, captions: Generated, scores: Scores, seed: int
) -> dict[str, np.ndarray]:
    settings, split, vocabulary = task.settings, task.splits["test"], task.vocabulary
    _record_lengths(context, seed, captions.best())
    training_captions = _training_captions(task.splits["train"])
    context.record("memorised", 100 * analysis.memorised(captions.best(), training_captions), seed=seed, unit="%")
    n_best_lists = captions
    if settings.list_beam:
        n_best_lists = generate(
            model, images, vocabulary, beam_size=settings.list_beam, max_length=settings.max_length, n_best=settings.n_best
        )
        _record_diversity(context, n_best_lists, training_captions, seed)
    generated = {settings.list_beam: n_best_lists, settings.beam_size: captions}
    _record_by_beam_size(context, task, model, images, "test", training_captions, generated, seed)
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
            arrays |= samples.list_arrays(task, n_best_lists, training_captions)
    return arrays


def _record_diversity(context: Context, captions: Generated, training_captions: set[tuple[str, ...]], seed: int) -> None:
    lists = [[caption for caption in n_best if caption] for n_best in captions.words]
    novel = [tuple(caption) not in training_captions for n_best in lists for caption in n_best]
    context.record("novel", 100 * float(np.mean(novel)), seed=seed, unit="%")
    for metric, value in analysis.mutual_bleu(lists).items():
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


def _record_language_prior(
    context: Context,
    task: Task,
    model: CaptionerGroup,
    images: ImageFeatures,
    captions: list[list[str]],
    hallucination: analysis.Hallucination,
    name: str,
    seed: int,
) -> None:
    """Record the mean log-probability of object nouns without the image, for absent and for present objects, in nats.

    The language prior is the decoder given the mean training image, which is zero in standardised features.
    """
    grid = None if images.grid is None else annotation_vectors(task.features["train"]).float().mean(0).expand_as(images.grid)
    mean_image = ImageFeatures(torch.zeros_like(images.vector), grid)
    likelihood = word_log_likelihoods(model, mean_image, [task.vocabulary.encode(caption) for caption in captions])
    absent: list[float] = []
    present: list[float] = []
    for caption, absent_kinds, log_p in zip(captions, hallucination.absent, likelihood, strict=True):
        for position, word in enumerate(caption):
            if word in KIND_OF:
                (absent if KIND_OF[word] in absent_kinds else present).append(float(log_p[position]))
    if absent and present:
        context.record("prior_absent", float(np.mean(absent)), split=name, seed=seed, unit="nats")
        context.record("prior_present", float(np.mean(present)), split=name, seed=seed, unit="nats")


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
