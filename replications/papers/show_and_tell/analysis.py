"""Measurements on generated captions besides scores: memory, novelty, diversity, hallucination, attention, words, ranks.

All of it is arithmetic on tokens and arrays; nothing here runs a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replications.papers.show_and_tell import grammar, scenes
from replications.papers.show_and_tell.scenes import Scene
from replications.papers.show_and_tell.scores import Scorer, Tokens


def memorised(captions: Sequence[Tokens], training: set[tuple[str, ...]]) -> float:
    """Return the share of captions that stand word for word among the training captions (section 4.3.4), 0 to 1.

    Args:
        captions: tokens of each caption.
        training: tokens of all training captions.
    """
    return float(np.mean([tuple(caption) in training for caption in captions]))


def mutual_bleu(lists: Sequence[Sequence[Tokens]]) -> dict[str, float]:
    """Return BLEU of the captions of each list against the others of it, over all lists: high when a list repeats itself.

    Section 4.3.4 reports such an agreement without saying how many captions were compared; here every caption is scored
    against four others of its list, the next four in order, as a person is against four others.

    Args:
        lists: captions of each image. Lists of fewer than two captions with words are left out.

    Returns:
        Corpus 'bleu_1' and 'bleu_4', 0 to 100; NaN where no list is left.
    """
    candidates, references = [], []
    for captions in lists:
        worded = [caption for caption in captions if caption]
        if len(worded) < 2:
            continue
        for index, caption in enumerate(worded):
            others = [worded[(index + step) % len(worded)] for step in range(1, min(5, len(worded)))]
            candidates.append(caption)
            references.append(others)
    if not candidates:
        return {"bleu_1": float("nan"), "bleu_4": float("nan")}
    corpus, _ = Scorer(references).bleu(candidates)
    return {"bleu_1": 100 * corpus[0], "bleu_4": 100 * corpus[3]}


@dataclass(frozen=True)
class Hallucination:
    """CHAIR (Rohrbach et al. 2018).

    Attributes:
        sentences: share of captions that name at least one absent object (CHAIRs).
        instances: share of object mentions that are of an absent object (CHAIRi); 0 when nothing is named.
        absent: for each caption the absent kinds it names, one entry per mention.
        company: share of the absent mentions that are the companion of a kind that is there.
    """

    sentences: float
    instances: float
    absent: list[list[str]]
    company: float


def chair(captions: Sequence[Tokens], contents: Sequence[Scene]) -> Hallucination:
    """Return CHAIR of captions, exact: all objects of a rendered scene are known, and captions name kinds by a fixed list of words.

    Args:
        captions: tokens of one caption per scene.
        contents: the scenes.
    """
    absent, mentions, companions = [], 0, 0
    for caption, scene in zip(captions, contents, strict=True):
        named = grammar.mentioned(caption)
        mentions += len(named)
        missing = [kind for kind in named if kind not in scene.kinds]
        expected = {scenes.COMPANION[kind] for kind in scene.kinds if kind in scenes.COMPANION}
        companions += sum(kind in expected for kind in missing)
        absent.append(missing)
    total = sum(map(len, absent))
    return Hallucination(
        sentences=float(np.mean([bool(missing) for missing in absent])),
        instances=total / mentions if mentions else 0.0,
        absent=absent,
        company=companions / total if total else 0.0,
    )


def leave_one_out(references: Sequence[Sequence[Tokens]], system: Sequence[Tokens]) -> tuple[dict[str, float], dict[str, float]]:
    """Return human scores by the paper's protocol (section 4.3.2): each person against the others, averaged, then corrected.

    A person is scored against one reference fewer than a system; the mean loss of a system's score when one reference is
    left out is added back.

    Args:
        references: the same number k >= 2 for every image.
        system: captions whose loss is measured.

    Returns:
        Corrected and uncorrected corpus scores.
    """
    k = len(references[0])
    human: dict[str, list[float]] = {}
    fewer: dict[str, list[float]] = {}
    for person in range(k):
        others = Scorer([[caption for j, caption in enumerate(several) if j != person] for several in references])
        for name, value in others.score([several[person] for several in references]).corpus.items():
            human.setdefault(name, []).append(value)
        for name, value in others.score(system).corpus.items():
            fewer.setdefault(name, []).append(value)
    whole = Scorer(references).score(system).corpus
    raw = {name: float(np.mean(values)) for name, values in human.items()}
    return {name: value + whole[name] - float(np.mean(fewer[name])) for name, value in raw.items()}, raw


@dataclass(frozen=True)
class Ranking:
    """Recall at 1 and 10 in per cent and the median rank (from 1) of the first right answer."""

    recall1: float
    recall10: float
    median: float


def ranking(ranks: np.ndarray) -> Ranking:
    """Return recalls and median of 0-based ranks of right answers, (queries,)."""
    return Ranking(100 * float((ranks < 1).mean()), 100 * float((ranks < 10).mean()), float(np.median(ranks)) + 1)


def retrieval(log_likelihood: np.ndarray, owner: np.ndarray) -> tuple[Ranking, Ranking]:
    """Return how well images find their captions (annotation) and captions their images (search), Tables 4 and 5.

    A caption's likelihood says more about the caption than about the image, so for annotation captions compete with
    their likelihood over the mean over images, as in m-RNN (Mao et al. 2015); search compares images and needs none.

    Args:
        log_likelihood: log p(caption | image), (images, captions).
        owner: the image of each caption, (captions,).
    """
    top = log_likelihood.max(0, keepdims=True)
    common = top + np.log(np.exp(log_likelihood - top).mean(0, keepdims=True))
    relative = log_likelihood - common
    own = owner[None, :] == np.arange(len(log_likelihood))[:, None]
    best = np.where(own, relative, -np.inf).max(1, keepdims=True)
    annotation = ((relative > best) & ~own).sum(1)
    right = log_likelihood[owner, np.arange(len(owner))]
    search = (log_likelihood > right[None, :]).sum(0)
    return ranking(annotation), ranking(search)


def nearest_words(embedding: np.ndarray, words: Sequence[str], wanted: Sequence[str], count: int = 5) -> dict[str, list[str]]:
    """Return the `count` words nearest in cosine to each wanted word that the vocabulary has (Table 6), specials left out.

    Args:
        embedding: (words, width).
        words: the vocabulary, one word per row.
        wanted: words whose neighbours are looked up.
        count: neighbours per word.
    """
    unit = embedding / np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-12)
    place = {word: index for index, word in enumerate(words)}
    neighbours = {}
    for word in wanted:
        if word not in place:
            continue
        similarity = unit @ unit[place[word]]
        order = [index for index in np.argsort(-similarity, kind="stable") if index != place[word] and not words[index].startswith("<")]
        neighbours[word] = [words[index] for index in order[:count]]
    return neighbours


SYNONYMS: dict[str, str] = {
    word: key
    for table in (grammar.NOUNS, grammar.COLOUR_WORDS, grammar.SIZE_WORDS)
    for key, several in table.items()
    for word in several
    if len(several) > 1
}
"""Meaning of each scene word that has a synonym."""


def synonym_neighbours(embedding: np.ndarray, words: Sequence[str]) -> tuple[float, float]:
    """Return the share of scene words whose nearest embedding is a synonym, and the share that a random neighbour would give.

    Args:
        embedding: (words, width).
        words: the vocabulary.
    """
    meaningful = [word for word in words if word in SYNONYMS]
    nearest = nearest_words(embedding, words, meaningful, count=1)
    hits = [SYNONYMS.get(near[0]) == SYNONYMS[word] for word, near in nearest.items()]
    others = len([word for word in words if not word.startswith("<")]) - 1
    by_chance = [(sum(SYNONYMS[other] == SYNONYMS[word] for other in meaningful) - 1) / others for word in meaningful]
    return float(np.mean(hits)), float(np.mean(by_chance))


def cell_shares(scene: Scene, side: int) -> dict[str, np.ndarray]:
    """Return for each kind in a scene the share of every grid location that its box covers, (side * side,).

    Args:
        scene: with known boxes.
        side: locations per row and column of the grid.
    """
    edges = np.linspace(0, scenes.PIXELS, side + 1)
    shares = {}
    for thing in scene.things:
        top, left, bottom, right = scenes.box(thing)
        rows = np.clip(np.minimum(bottom, edges[1:]) - np.maximum(top, edges[:-1]), 0, None)
        columns = np.clip(np.minimum(right, edges[1:]) - np.maximum(left, edges[:-1]), 0, None)
        shares[thing.kind] = np.outer(rows, columns).ravel() / (edges[1] - edges[0]) ** 2
    return shares


@dataclass(frozen=True)
class AttentionMeasures:
    """Measurements of attention maps.

    Attributes:
        entropy_objects: mean entropy in nats of the map before a noun or adjective of a thing.
        entropy_function: mean entropy before any other word.
        inside: share of the attention before an object's noun that falls in its box.
        area: share of the image that these boxes cover: what attention spread evenly would give.
        uncovered: mean over locations of |1 - sum over words of attention|.
    """

    entropy_objects: float
    entropy_function: float
    inside: float
    area: float
    uncovered: float


def attention_measures(captions: Sequence[Tokens], maps: Sequence[np.ndarray], contents: Sequence[Scene] | None) -> AttentionMeasures:
    """Return measurements of attention maps against the boxes of scenes.

    Args:
        captions: tokens of each caption.
        maps: attention of each caption, (words, locations).
        contents: the scene of each caption; None where it is not known: then only `uncovered` is a number.
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
