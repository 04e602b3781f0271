"""Analysis of generated captions besides scores: memorisation, diversity, hallucination, attention, word neighbours and retrieval.

All of it is arithmetic on tokens and arrays; no network runs here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replications.papers.show_and_tell import grammar, scenes
from replications.papers.show_and_tell.scenes import Scene
from replications.papers.show_and_tell.scores import Scorer, Tokens


def memorised(captions: Sequence[Tokens], training: set[tuple[str, ...]]) -> float:
    """Compute the share of captions that equal a training caption word for word (section 4.3.4).

    Args:
        captions: tokens of each caption.
        training: tokens of all training captions.

    Returns:
        Share, 0 to 1.
    """
    return float(np.mean([tuple(caption) in training for caption in captions]))


def mutual_bleu(lists: Sequence[Sequence[Tokens]]) -> dict[str, float]:
    """Compute BLEU of the captions of each list against the others of the same list; a high value means a repetitive list.

    Section 4.3.4 reports such a value without the number of captions compared; here every caption is scored against the next four of its
    list, cyclically, as a person is scored against four others.

    Args:
        lists: captions of each image. Lists of fewer than two non-empty captions are left out.

    Returns:
        Corpus 'bleu_1' and 'bleu_4', 0 to 100; NaN if no list is left.
    """
    candidates, references = [], []
    for captions in lists:
        nonempty = [caption for caption in captions if caption]
        if len(nonempty) < 2:
            continue
        for index, caption in enumerate(nonempty):
            others = [nonempty[(index + step) % len(nonempty)] for step in range(1, min(5, len(nonempty)))]
            candidates.append(caption)
            references.append(others)
    if not candidates:
        return {"bleu_1": float("nan"), "bleu_4": float("nan")}
    corpus, _ = Scorer(references).bleu(candidates)
    return {"bleu_1": 100 * corpus[0], "bleu_4": 100 * corpus[3]}


@dataclass(frozen=True)
class Hallucination:
    """CHAIR metrics of captions (Rohrbach et al. 2018).

    Attributes:
        sentences: share of captions that name at least one absent object (CHAIRs), 0 to 1.
        instances: share of object mentions that are of an absent object (CHAIRi), 0 to 1; 0 when nothing is named.
        absent: for each caption the absent kinds that it names, one entry per mention.
        companions: share of the absent mentions that are the usual companion of a kind in the scene, 0 to 1.
    """

    sentences: float
    instances: float
    absent: list[list[str]]
    companions: float


def chair(captions: Sequence[Tokens], contents: Sequence[Scene]) -> Hallucination:
    """Compute CHAIR exactly: all objects of a rendered scene are known, and captions name kinds by a fixed list of nouns.

    Args:
        captions: tokens of one caption per scene.
        contents: the scenes.

    Returns:
        Shares and absent kinds.
    """
    absent, n_mentions, n_companions = [], 0, 0
    for caption, scene in zip(captions, contents, strict=True):
        mentions = grammar.mentioned(caption)
        n_mentions += len(mentions)
        absent_kinds = [kind for kind in mentions if kind not in scene.kinds]
        usual_companions = {scenes.COMPANION[kind] for kind in scene.kinds if kind in scenes.COMPANION}
        n_companions += sum(kind in usual_companions for kind in absent_kinds)
        absent.append(absent_kinds)
    n_absent = sum(map(len, absent))
    return Hallucination(
        sentences=float(np.mean([bool(kinds) for kinds in absent])),
        instances=n_absent / n_mentions if n_mentions else 0.0,
        absent=absent,
        companions=n_companions / n_absent if n_absent else 0.0,
    )


def leave_one_out(references: Sequence[Sequence[Tokens]], system: Sequence[Tokens]) -> tuple[dict[str, float], dict[str, float]]:
    """Compute human scores by the paper's protocol (section 4.3.2): each person against the others, averaged, then corrected.

    A person is scored against one reference fewer than a system; the mean decrease of a system's score when one reference is left out is
    therefore added.

    Args:
        references: the same number k >= 2 of references for every image.
        system: captions on which the decrease is measured.

    Returns:
        Corrected and uncorrected corpus scores by name.
    """
    k = len(references[0])
    human: dict[str, list[float]] = {}
    system_reduced: dict[str, list[float]] = {}  # scores of the system with one reference left out
    for person in range(k):
        others = Scorer([[caption for j, caption in enumerate(of_image) if j != person] for of_image in references])
        for name, value in others.score([of_image[person] for of_image in references]).corpus.items():
            human.setdefault(name, []).append(value)
        for name, value in others.score(system).corpus.items():
            system_reduced.setdefault(name, []).append(value)
    system_full = Scorer(references).score(system).corpus
    uncorrected = {name: float(np.mean(values)) for name, values in human.items()}
    corrected = {name: value + system_full[name] - float(np.mean(system_reduced[name])) for name, value in uncorrected.items()}
    return corrected, uncorrected


@dataclass(frozen=True)
class Ranking:
    """Retrieval metrics.

    Attributes:
        recall1: recall at 1, 0 to 100 %.
        recall10: recall at 10, 0 to 100 %.
        median: median rank of the first correct answer, from 1.
    """

    recall1: float
    recall10: float
    median: float


def ranking(ranks: np.ndarray) -> Ranking:
    """Compute the retrieval metrics of ranks.

    Args:
        ranks: 0-based ranks of the first correct answers, (queries,).

    Returns:
        Recalls and median rank.
    """
    return Ranking(100 * float((ranks < 1).mean()), 100 * float((ranks < 10).mean()), float(np.median(ranks)) + 1)


def retrieval(log_likelihood: np.ndarray, owner: np.ndarray) -> tuple[Ranking, Ranking]:
    """Rank captions by image (annotation) and images by caption (search), Tables 4 and 5.

    The likelihood of a caption depends more on the caption than on the image. For annotation it is therefore divided by its mean over
    images, as in m-RNN (Mao et al. 2015); search compares images for the same caption and needs no correction.

    Args:
        log_likelihood: log p(caption | image) in nats, (images, captions).
        owner: image number of each caption, (captions,).

    Returns:
        Metrics of annotation and of search.
    """
    maximum = log_likelihood.max(0, keepdims=True)
    log_mean = maximum + np.log(np.exp(log_likelihood - maximum).mean(0, keepdims=True))
    relative = log_likelihood - log_mean
    own = owner[None, :] == np.arange(len(log_likelihood))[:, None]
    best_own = np.where(own, relative, -np.inf).max(1, keepdims=True)
    annotation_ranks = ((relative > best_own) & ~own).sum(1)
    own_image = log_likelihood[owner, np.arange(len(owner))]
    search_ranks = (log_likelihood > own_image[None, :]).sum(0)
    return ranking(annotation_ranks), ranking(search_ranks)


def nearest_words(embedding: np.ndarray, words: Sequence[str], wanted: Sequence[str], count: int = 5) -> dict[str, list[str]]:
    """Find the nearest neighbours of words by cosine similarity of their embeddings (Table 6), without special symbols.

    Args:
        embedding: (words, width).
        words: the vocabulary, one word per row.
        wanted: words whose neighbours are looked up; those not in the vocabulary are left out.
        count: neighbours per word.

    Returns:
        Word -> its neighbours, nearest first.
    """
    unit = embedding / np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-12)
    row = {word: index for index, word in enumerate(words)}
    neighbours = {}
    for word in wanted:
        if word not in row:
            continue
        similarity = unit @ unit[row[word]]
        order = [index for index in np.argsort(-similarity, kind="stable") if index != row[word] and not words[index].startswith("<")]
        neighbours[word] = [words[index] for index in order[:count]]
    return neighbours


SYNONYMS: dict[str, str] = {
    word: key
    for table in (grammar.NOUNS, grammar.COLOUR_WORDS, grammar.SIZE_WORDS)
    for key, synonyms in table.items()
    for word in synonyms
    if len(synonyms) > 1
}
"""Scene word that has a synonym -> its meaning."""


def synonym_neighbours(embedding: np.ndarray, words: Sequence[str]) -> tuple[float, float]:
    """Compute how often the nearest embedding of a scene word is one of its synonyms.

    Args:
        embedding: (words, width).
        words: the vocabulary, one word per row.

    Returns:
        Share of scene words, and the share expected of a random neighbour, each 0 to 1.
    """
    with_synonyms = [word for word in words if word in SYNONYMS]
    nearest = nearest_words(embedding, words, with_synonyms, count=1)
    hits = [SYNONYMS.get(neighbours[0]) == SYNONYMS[word] for word, neighbours in nearest.items()]
    n_others = len([word for word in words if not word.startswith("<")]) - 1
    by_chance = [(sum(SYNONYMS[other] == SYNONYMS[word] for other in with_synonyms) - 1) / n_others for word in with_synonyms]
    return float(np.mean(hits)), float(np.mean(by_chance))


def cell_shares(scene: Scene, side: int) -> dict[str, np.ndarray]:
    """Compute the part of every grid location that an object's bounding box covers.

    Args:
        scene: the scene.
        side: locations per row and column of the grid.

    Returns:
        Kind -> share of each location, (side * side,), 0 to 1.
    """
    edges = np.linspace(0, scenes.PIXELS, side + 1)
    shares = {}
    for scene_object in scene.objects:
        top, left, bottom, right = scenes.box(scene_object)
        rows = np.clip(np.minimum(bottom, edges[1:]) - np.maximum(top, edges[:-1]), 0, None)
        columns = np.clip(np.minimum(right, edges[1:]) - np.maximum(left, edges[:-1]), 0, None)
        shares[scene_object.kind] = np.outer(rows, columns).ravel() / (edges[1] - edges[0]) ** 2
    return shares


@dataclass(frozen=True)
class AttentionMeasures:
    """Metrics of attention maps.

    Attributes:
        entropy_objects: mean entropy of the map before a noun or adjective of an object, in nats.
        entropy_function: mean entropy of the map before any other word, in nats.
        inside: share of the attention before an object's noun that falls inside its bounding box, 0 to 1.
        area: share of the image that these boxes cover, 0 to 1: the value of `inside` for uniform attention.
        uncovered: mean over locations of |1 - sum over words of attention|.
    """

    entropy_objects: float
    entropy_function: float
    inside: float
    area: float
    uncovered: float


def attention_measures(captions: Sequence[Tokens], maps: Sequence[np.ndarray], contents: Sequence[Scene] | None) -> AttentionMeasures:
    """Compute metrics of attention maps, against the bounding boxes of scenes where these are known.

    Args:
        captions: tokens of each caption.
        maps: attention of each caption, (words, locations).
        contents: the scene of each caption; None where it is not known.

    Returns:
        The metrics; without `contents` all but `uncovered` are NaN.
    """
    lists: tuple[list[float], ...] = ([], [], [], [], [])
    objects, function, inside, area, uncovered = lists
    for row, (caption, attention) in enumerate(zip(captions, maps, strict=True)):
        if not caption:
            continue
        uncovered.append(np.abs(1 - attention.sum(0)).mean())
        if contents is None:
            continue
        entropy = -(attention * np.log(np.maximum(attention, 1e-12))).sum(1)
        shares = cell_shares(contents[row], round(attention.shape[1] ** 0.5))
        for position, word in enumerate(caption):
            (objects if word in grammar.CONTENT_WORDS else function).append(entropy[position])
            kind = grammar.KIND_OF.get(word)
            if kind in shares:
                inside.append(float(attention[position] @ shares[kind]))
                area.append(float(shares[kind].mean()))
    means = [float(np.mean(values)) if values else float("nan") for values in (objects, function, inside, area, uncovered)]
    return AttentionMeasures(*means)
