"""Images and their captions: rendered scenes made here, Flickr8k, Flickr30k, COCO, and folders of one's own.

All are read into one form, `Split`: raw captions by image, and pixels on demand.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from replications.engine import datasets as sources
from replications.engine.datasets import ENVIRONMENT, DataSource, mirror
from replications.engine.fingerprints import file_digest, files_digest
from replications.engine.images import open_rgb
from replications.errors import DataError, nearest
from replications.papers.show_and_tell import grammar, scenes
from replications.papers.show_and_tell.settings import Settings
from replications.papers.show_and_tell.vocabulary import tokenize
from replications.text_files import read_text, split_lines

if TYPE_CHECKING:
    import datasets

CAPTIONS = 5
"""References per image in every data set of the paper but SBU."""

Notes = dict[str, dict[str, str]]
"""Where a split came from and whether it was verified, by its name: what a run's provenance lists."""


def _caption_columns(captions: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    return {f"caption_{i}": [several[i] for several in captions] for i in range(CAPTIONS)}


def _build_scenes(domain: scenes.Domain, sizes: dict[str, int]) -> Callable[[str], datasets.Dataset]:
    """Scenes drawn from a seed that domain and split fix; five people describe each."""

    def build(split: str) -> datasets.Dataset:
        import datasets

        generator = np.random.default_rng([2015, *domain.encode(), *split.encode()])
        drawn: list[scenes.Scene] = []
        while len(drawn) < sizes[split]:
            scene = scenes.sample_scene(generator, domain=domain, companion_probability=_companion_probability(split))
            if split != "broken" or scene.objects[0].kind in scenes.COMPANION:
                drawn.append(scene)
        captions = [[grammar.describe(scene, generator) for _ in range(CAPTIONS)] for scene in drawn] if split != "pretrain" else []
        columns = _caption_columns(captions) if captions else {}
        return datasets.Dataset.from_dict({"scene": [scenes.encode(scene) for scene in drawn], **columns})

    return build


def _companion_probability(split: str) -> float | None:
    """Return the probability of a companion: biased in training and test scenes, 0 in `broken` ones; None (no bias) for pretraining."""
    return {"broken": 0.0, "pretrain": None}.get(split, scenes.COMPANION_PROBABILITY)


_SCENE_SIZES = {"train": 1600, "validation": 160, "test": 240, "broken": 240, "pretrain": 3000}
_SKETCH_SIZES = {"train": 1600, "validation": 160, "test": 240, "pretrain": 1000}
_SCENE_NOTE = "Rendered and described here from a fixed seed; the images are drawn from the scene column when read."

SCENES = DataSource(
    name="scenes",
    splits=_SCENE_SIZES,
    licence="MIT (made here)",
    citation="This suite: replications/papers/show_and_tell/scenes.py",
    note=_SCENE_NOTE,
    build=_build_scenes("photo", _SCENE_SIZES),
)
SKETCHES = DataSource(
    name="sketches",
    splits=_SKETCH_SIZES,
    licence="MIT (made here)",
    citation="This suite: replications/papers/show_and_tell/scenes.py",
    note=_SCENE_NOTE,
    build=_build_scenes("sketch", _SKETCH_SIZES),
)
FLICKR8K = DataSource(
    name="flickr8k",
    hub="jxie/flickr8k",
    revision="56f58c967835f7c508d684f36bd7897cca9d7634",
    splits={"train": 6000, "validation": 1000, "test": 1000},
    licence="non-commercial research and education; the photographs belong to their Flickr authors",
    citation="Hodosh, Young and Hockenmaier 2013, Framing image description as a ranking task",
    note="Official split. The revision is the one that other public projects pin with hashes of its files; its content was not compared with "
    "the original here, and no fingerprint is declared, because mirrors hold re-encoded images: only their number is checked.",
)
FLICKR30K = DataSource(
    name="flickr30k",
    hub="lmms-lab/flickr30k",
    revision="0d6d9049be2e08261be315e731e0d8054c1d1c03",
    splits={"test": 31783},
    licence="non-commercial research and education; the photographs belong to their Flickr authors",
    citation="Young et al. 2014, From image descriptions to visual denotations",
    note="The hub copy has one split called test with all images; it is divided here, since it carries no official lists. "
    "Content not checked against the original: no fingerprint declared.",
)
COCO = DataSource(
    name="coco",
    splits={"train": 82783, "validation": 36504, "test": 4000},
    licence="captions CC BY 4.0; photographs under their Flickr licences",
    citation="Lin et al. 2014, Microsoft COCO; Chen et al. 2015, Microsoft COCO Captions",
    file="captions/coco",
    note="Train 2014 and validation 2014, of which 4,000 are held out for testing as in the paper (which 4,000 was not published). "
    "Read from a folder of the local mirror: no hub copy with images and a revision that could be checked is known to us.",
)
PASCAL = DataSource(
    name="pascal",
    splits={"test": 1000},
    licence="photographs under their Flickr licences",
    citation="Rashtchian et al. 2010, Collecting image annotations using Amazon's Mechanical Turk",
    file="captions/pascal",
    note="Read from a folder of the local mirror; no pinned public copy is known to us.",
)
SBU = DataSource(
    name="sbu",
    splits={"test": 1000},
    licence="photographs and captions belong to their Flickr authors",
    citation="Ordonez, Kulkarni and Berg 2011, Im2Text",
    file="captions/sbu",
    note="Read from a folder of the local mirror; images are fetched from Flickr one by one and many are gone, so no copy can be pinned.",
)
SOURCES = [SCENES, SKETCHES, FLICKR8K, FLICKR30K, COCO, PASCAL, SBU]
_BY_NAME = {source.name: source for source in SOURCES}
_FLICKR30K_TEST = 1000


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """Return the splits that a run loads. Folders of a mirror are left out: nothing can fetch them, and reading checks them.

    Args:
        settings: settings of the run.

    Returns:
        Pairs of a source and the name of a split.
    """
    own = [(_BY_NAME[settings.dataset], split) for split in _BY_NAME[settings.dataset].splits]
    others = [(_BY_NAME[name], "test") for name in settings.transfer]
    return [(source, split) for source, split in [*own, *others] if not source.file]


@dataclass(frozen=True)
class Split:
    """One split, whatever it was read from.

    Attributes:
        name: data set and split, for example 'flickr8k/test'.
        captions: raw captions of each image.
        read: rows -> pixels, uint8 of shape (rows, 3, side, side).
        scenes: what is truly in each image, where that is known.
        fingerprint: identity of the images, their order and their size, part of the key under which features are cached.
    """

    name: str
    captions: list[list[str]]
    read: Callable[[Sequence[int]], np.ndarray]
    fingerprint: str
    scenes: list[scenes.Scene] | None = None
    tokens: list[list[list[str]]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.captions)

    def first(self, count: int | None) -> Split:
        """Return the first `count` images; all of them if it is None.

        Args:
            count: largest number of images; None: all.

        Returns:
            The split, cut; the whole one where it has no more images.
        """
        if count is None or count >= len(self):
            return self
        few = None if self.scenes is None else self.scenes[:count]
        return replace(
            self, captions=self.captions[:count], scenes=few, tokens=self.tokens[:count], fingerprint=f"{self.fingerprint}:{count}"
        )


def _tokenized(split: Split) -> Split:
    """Return the split with its captions as tokens.

    Raises:
        DataError: an image without captions, or an empty caption.
    """
    tokens = [[tokenize(text) for text in several] for several in split.captions]
    for row, several in enumerate(tokens):
        if not several:
            raise DataError(f"{split.name}: image {row} has no caption. Add one, or remove the image.")
        for number, words in enumerate(several):
            if not words:
                raise DataError(
                    f"{split.name}: caption {number} of image {row} is empty: {split.captions[row][number]!r} has no word. Correct or remove it."
                )
    return replace(split, tokens=tokens)


def read_split(dataset: str, split: str, notes: Notes, *, side: int = 224) -> Split:
    """Read one split of a data set; a process that asks again gets the same object.

    Args:
        dataset: name of a source.
        split: train, validation, test; `broken` and `pretrain` for scenes.
        notes: gets the origin of what was read; a run passes its `context.data`.
        side: height and width to which photographs are resized, whole and without keeping their shape.

    Returns:
        Captions and images of the split.

    Raises:
        DataError: unknown names, data that is not at hand, not the declared, or does not decode.
    """
    if dataset not in _BY_NAME:
        raise DataError(f"No data set is called '{dataset}'. {nearest(dataset, _BY_NAME)}")
    content, note = _read_once(dataset, split, side, mirror())
    notes |= note
    return content


@functools.lru_cache(maxsize=32)
def _read_once(dataset: str, split: str, side: int, place: Path | None) -> tuple[Split, Notes]:
    source = _BY_NAME[dataset]
    if source.build:
        rows, note = sources.load(source, split)
        return _tokenized(_scene_split(rows, f"{dataset}/{split}", note["fingerprint"])), {f"{dataset}/{split}": note}
    if source.file:
        if place is None or not (place / source.file).is_dir():
            raise DataError(
                f"{source.name} is not on this machine. Put {split}.tsv (lines of image name, tab, caption) and the folder 'images' into "
                f"<folder>/{source.file} and set {ENVIRONMENT}=<folder>. {source.note}"
            )
        content = _tokenized(read_folder(place / source.file, split, side=side))
        if len(content) != source.splits.get(split):
            raise DataError(f"{content.name} has {len(content):,} images, {source.splits.get(split, 0):,} were declared. Complete it.")
        of_texts = file_digest(place / source.file / f"{split}.tsv")
        print_of_both = hashlib.sha256(f"{of_texts} {content.fingerprint}".encode()).hexdigest()[:16]
        note = {"origin": "local mirror", "rows": str(len(content)), "fingerprint": print_of_both, "verified": "only their number"}
        return content, {content.name: note | {"licence": source.licence}}
    part = "test" if source is FLICKR30K else split
    rows, note = sources.load(source, part)
    numbers = _flickr30k_rows(len(rows), split) if source is FLICKR30K else range(len(rows))
    columns = [f"caption_{i}" for i in range(CAPTIONS)]
    if columns[0] in rows.column_names:
        texts = [list(several) for several in zip(*(rows[column] for column in columns), strict=True)]
    else:
        texts = [list(several) for several in rows["caption"]]
    name = f"{dataset}/{split}"

    def read(wanted: Sequence[int]) -> np.ndarray:
        return np.stack([decode_image(rows[numbers[row]]["image"], f"{name}, image {row}", side) for row in wanted])

    digest = f"{note['fingerprint']}:{side}:{split}"
    return _tokenized(Split(name, [texts[row] for row in numbers], read, digest)), {f"{dataset}/{part}": note}


def _flickr30k_rows(n_rows: int, split: str) -> list[int]:
    """Return the rows of a split of a fixed shuffle: the last 1,000 test, the 1,000 before them validate, 28,000 train (section 4.2's sizes)."""
    order = np.random.default_rng(30).permutation(n_rows).tolist()
    test, validation = order[-_FLICKR30K_TEST:], order[-2 * _FLICKR30K_TEST : -_FLICKR30K_TEST]
    return {"test": test, "validation": validation, "train": order[: min(28000, n_rows - 2 * _FLICKR30K_TEST)]}[split]


def _scene_split(rows: datasets.Dataset, name: str, fingerprint: str) -> Split:
    contents = [scenes.decode(line) for line in rows["scene"]]
    captions = [list(several) for several in zip(*(rows[f"caption_{i}"] for i in range(CAPTIONS)), strict=True)]

    @functools.cache
    def pixels() -> np.ndarray:
        return scenes.render(contents, seed=sum(name.encode()))

    return Split(name, captions, lambda wanted: pixels()[np.asarray(wanted)], f"{name}:{fingerprint}", contents)


def decode_image(source: Any, name: str, side: int) -> np.ndarray:
    """Return one image as uint8 (3, side, side), upright as its metadata says, and resized whole, because captions describe all of it.

    Args:
        source: a Pillow image, or a path or file that Pillow opens.
        name: of the image, for messages.
        side: height and width.

    Returns:
        Pixels, uint8 (3, side, side).

    Raises:
        DataError: the image does not decode, or its values have no known range.
    """
    from PIL import Image

    try:
        image = open_rgb(source, upright=True)
    except DataError as error:
        raise DataError(f"{name} cannot be used: {error}. Replace it or remove it with its captions.") from error
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image).transpose(2, 0, 1)


def read_folder(folder: Path, split: str, *, side: int = 224) -> Split:
    """Read `<split>.tsv` (image name, tab, caption; an image's captions may be any number of lines) and `images/`.

    Lines may end as on any system, blank ones are passed over, and a byte order mark is. Images lie in the folder `images` or below it.

    Args:
        folder: holds the files.
        split: name of the tsv file.
        side: height and width to which images are resized.

    Returns:
        Captions and images of the split, in the order in which the images are first named.

    Raises:
        DataError: no such file, a line of another form, a missing image; the message names file and line.
    """
    path, images = folder / f"{split}.tsv", folder / "images"
    try:
        lines = split_lines(read_text(path))
    except (OSError, UnicodeError) as error:
        raise DataError(f"{path} cannot be read: {error}. Expected lines of image name, tab, caption.") from error
    captions: dict[str, list[str]] = {}
    files: dict[str, str] = {}
    find = _Finder(images)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        image, tab, text = line.partition("\t")
        if not tab:
            raise DataError(f"{path}, line {number}: expected an image name, a tab and a caption, got {line[:60]!r}.")
        if not text.strip():
            raise DataError(f"{path}, line {number}: the caption of '{image}' is empty. Correct or remove the line.")
        if image not in files:
            found = find(image)
            if found is None:
                raise DataError(f"{path}, line {number}: image '{image}' is not in {images}. Add it, or remove its captions.")
            files[image] = found
        captions.setdefault(files[image], []).append(text)
    if not captions:
        raise DataError(f"{path} holds no caption.")
    names = list(captions)

    def read(wanted: Sequence[int]) -> np.ndarray:
        return np.stack([decode_image(images / names[row], f"{path}: image '{names[row]}'", side) for row in wanted])

    return Split(f"{folder.name}/{split}", list(captions.values()), read, f"{files_digest(images, names)}:{side}")


class _Finder:
    """Finds images by name, also where a system stores é as one character and the list as two.

    Args:
        folder: of the images.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @functools.cached_property
    def _composed(self) -> dict[str, str]:
        names = (str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())
        return {unicodedata.normalize("NFC", name): name for name in names}

    def __call__(self, name: str) -> str | None:
        """Return the path of an image below the folder; None when it is not there.

        Args:
            name: as a caption file gives it.
        """
        if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
            return None
        try:
            found = (self.folder / name).is_file()
        except OSError:  # longer than the file system admits
            return None
        if found:
            return name
        return None if name.isascii() else self._composed.get(unicodedata.normalize("NFC", name))
