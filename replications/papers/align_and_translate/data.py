"""Pairs of sentences: a made-up language, the Bible in English and Spanish, captions in English and French, WMT'14."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from replications.engine.datasets import DataSource, how_to_get, mirror
from replications.errors import DataError
from replications.papers.align_and_translate import language, sword
from replications.papers.align_and_translate.pairs import Pairs, check_sentence, read_parallel, read_tab_separated
from replications.papers.align_and_translate.settings import Settings
from replications.papers.align_and_translate.vocabulary import tokenize

if TYPE_CHECKING:
    import datasets

Load = Callable[[DataSource, str], "datasets.Dataset"]
"""Loads and verifies one split of a source, as `Context.load` does."""

SPLITS = ("train", "validation", "test")
LANGUAGES = {
    "made-up": ("English", "made-up"),
    "bible": ("English", "Spanish"),
    "multi30k": ("English", "French"),
    "wmt14": ("English", "French"),
}

_MADE_UP_SIZES = {"train": 10_000, "validation": 300, "test": 600}
_TRAINING_PHRASES = 5
"""Phrases of the longest training sentence; the test split goes on to `language.MOST_PHRASES`."""


def _build_made_up(split: str) -> datasets.Dataset:
    """Return sentences drawn from a seed that the split fixes; numbers of phrases are equally frequent."""
    import datasets

    generator = np.random.default_rng([2015, *split.encode()])
    most = language.MOST_PHRASES if split == "test" else _TRAINING_PHRASES
    pairs = [language.draw_pair(1 + i % most, generator) for i in range(_MADE_UP_SIZES[split])]
    return datasets.Dataset.from_dict(
        {
            "source": [" ".join(pair.source) for pair in pairs],
            "target": [" ".join(pair.target) for pair in pairs],
            "alignment": [pair.alignment for pair in pairs],
        }
    )


MADE_UP = DataSource(
    name="made-up-pairs",
    splits=_MADE_UP_SIZES,
    licence="MIT (made here)",
    citation="This suite: replications/papers/align_and_translate/language.py",
    note="Drawn from a fixed seed, with the alignment of every word.",
    build=_build_made_up,
)
BIBLE = DataSource(
    name="bible-en-es",
    splits={"all": 1},
    fingerprints={"all": "5c6bd40ca7094278"},
    file="text/bible.en-es.tsv.gz",
    installed=sword.read_bibles,
    install=sword.INSTALL,
    licence="public domain; in the United Kingdom a printing patent covers the English text",
    citation="The Bible in English (1769) and Spanish (Reina-Valera, 1909); SWORD modules engKJV2006eb 14.3 and spaRV1909eb 2.60",
    note="31,084 verses. A verse in eight is kept for validation or test by a hash of its English text, so that equal verses stay together.",
)
WMT14 = DataSource(
    name="wmt14-fr-en",
    hub="wmt/wmt14",
    config="fr-en",
    revision="main",
    splits={"train": 40_836_876, "validation": 3_000, "test": 3_003},
    licence="each corpus has its own terms; for research",
    citation="Bojar et al. 2014, Findings of the 2014 workshop on statistical machine translation",
    note="Streamed: neither size nor fingerprint can be checked before use, and the revision is not pinned. Validation is newstest2013 alone.",
)
"""Not in `SOURCES`, because `data fetch` would store all of it."""

_MULTI30K = "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw"
_MULTI30K_FILES = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
_FINGERPRINTS = {
    ("train", "en"): "76fb56d33683188c",
    ("train", "fr"): "c94945cadfbd3e4c",
    ("validation", "en"): "1df05893c54502d0",
    ("validation", "fr"): "592c45dadf798e33",
    ("test", "en"): "0eb5291edee64040",
    ("test", "fr"): "c7242de501e5b4a7",
}


def _multi30k(split: str, language_code: str) -> DataSource:
    """Return the declared file of one split and language of Multi30k."""
    file = f"{_MULTI30K_FILES[split]}.{language_code}.gz"
    return DataSource(
        name=f"multi30k-{split}-{language_code}",
        splits={"all": 1},
        fingerprints={"all": _FINGERPRINTS[split, language_code]},
        address=f"{_MULTI30K}/{file}",
        file=f"text/multi30k/{file}",
        licence="captions of photographs of Flickr users, for research",
        citation="Elliott et al. 2016, Multi30K: multilingual English-German image descriptions; French: Elliott et al. 2017",
        note="Task 1, untokenised." if split != "test" else "Task 1, untokenised; the test split of 2016.",
    )


MULTI30K = {(split, code): _multi30k(split, code) for split in SPLITS for code in ("en", "fr")}
SOURCES = [MADE_UP, BIBLE, *MULTI30K.values()]


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """List the splits that a run loads; what is streamed is left out.

    Args:
        settings: of the run.

    Returns:
        Sources with the names of their splits.
    """
    if settings.dataset == "made-up":
        return [(MADE_UP, split) for split in SPLITS]
    if settings.dataset == "bible":
        return [(BIBLE, "all")]
    return [(source, "all") for source in MULTI30K.values()] if settings.dataset == "multi30k" else []


def read_pairs(settings: Settings, load: Load) -> dict[str, Pairs]:
    """Read all splits of the run's data set.

    Args:
        settings: of the run; `train_pairs` limits the training split.
        load: loads and verifies a source.

    Returns:
        Split -> its pairs, of any length.

    Raises:
        DataError: the data are missing, altered, or not of the form of pairs.
    """
    if settings.dataset == "made-up":
        pairs = {split: _made_up(load(MADE_UP, split), split) for split in SPLITS}
    elif settings.dataset == "bible":
        pairs = _bible(load(BIBLE, "all")[0]["text"])
    elif settings.dataset == "multi30k":
        pairs = {split: _captions(split, load) for split in SPLITS}
    else:
        pairs = {split: _stream(split, settings.train_pairs if split == "train" else None) for split in SPLITS}
    return pairs | {"train": pairs["train"].first(settings.train_pairs)}


def _made_up(loaded: datasets.Dataset, split: str) -> Pairs:
    columns = loaded[:]
    source, target = ([sentence.split() for sentence in columns[side]] for side in ("source", "target"))
    return Pairs(f"made-up/{split}", source, target, columns["alignment"])


def bible_split(english: str) -> str:
    """Return the split of a verse: about a tenth of all verses for testing, 3 percent for validation.

    Args:
        english: its English text; verses with equal texts are in one split.

    Returns:
        'train', 'validation' or 'test'.
    """
    percent = int.from_bytes(hashlib.sha256(english.encode()).digest()[:4], "big") % 100
    return "test" if percent < 10 else "validation" if percent < 13 else "train"


def _bible(text: str) -> dict[str, Pairs]:
    rows = read_tab_separated(text, BIBLE.file)
    splits = [bible_split(english) for _, english, _ in rows]
    pairs = {}
    for split in SPLITS:
        chosen = [row for row, of_row in zip(rows, splits, strict=True) if of_row == split]
        pairs[split] = Pairs(f"bible/{split}", [tokenize(row[1]) for row in chosen], [tokenize(row[2]) for row in chosen])
    return pairs


def _captions(split: str, load: Load) -> Pairs:
    source, target = (load(MULTI30K[split, code], "all")[0]["text"] for code in ("en", "fr"))
    rows = read_parallel(source, target, f"multi30k/{split}")
    return Pairs(f"multi30k/{split}", [tokenize(a) for a, _ in rows], [tokenize(b) for _, b in rows])


def _stream(split: str, limit: int | None) -> Pairs:
    """Read WMT'14 from the mirror or the hub, pair by pair, up to a number of pairs."""
    import datasets

    folder = mirror()
    local = folder / "hub" / WMT14.hub if folder else None
    in_mirror = local is not None and local.is_dir()
    pairs = Pairs(f"wmt14/{split}", [], [])
    try:
        stream = datasets.load_dataset(
            str(local) if in_mirror else WMT14.hub,
            WMT14.config,
            split=split,
            streaming=True,
            **({} if in_mirror else {"revision": WMT14.revision}),
        )
        for row in stream if limit is None else stream.take(limit):
            english, french = row["translation"]["en"], row["translation"]["fr"]
            if split == "train" and not (english.strip() and french.strip()):
                continue  # crawled pages have lines without a translation
            if split != "train":
                check_sentence(english, f"{pairs.name}, source")
                check_sentence(french, f"{pairs.name}, target")
            pairs.source.append(tokenize(english))
            pairs.target.append(tokenize(french))
    except DataError:
        raise
    except Exception as error:  # the library, its file formats and the network have many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{WMT14.name}/{split} cannot be streamed: {reason} {how_to_get(WMT14)}") from error
    return pairs
