"""A fingerprint is of what a model sees: equal for equal content however it is stored, different for everything else."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from replications.engine.fingerprints import fingerprint, folder_digest
from replications.errors import DataError


def images(*drawn: Image.Image, kind: str = "PNG") -> datasets.Dataset:
    stored = []
    for image in drawn:
        buffer = io.BytesIO()
        image.save(buffer, format=kind)
        stored.append({"bytes": buffer.getvalue(), "path": None})
    return datasets.Dataset.from_dict({"image": stored}, features=datasets.Features({"image": datasets.Image()}))


def palette(*colour: int, transparent: bool = False) -> Image.Image:
    image = Image.new("P", (4, 4))
    image.putpalette([*colour] + [0] * 765)
    if transparent:
        image.info["transparency"] = 0
    return image


def texts(values: list[Any]) -> datasets.Dataset:
    return datasets.Dataset.from_dict({"text": values})


def test_palettes_count_as_their_colours() -> None:
    red, blue = palette(250, 0, 0), palette(0, 0, 250)
    assert fingerprint(images(red)) != fingerprint(images(blue))
    assert fingerprint(images(red)) == fingerprint(images(Image.new("RGB", (4, 4), (250, 0, 0))))
    assert fingerprint(images(palette(250, 0, 0, transparent=True))) != fingerprint(images(red))


def test_one_bit_counts_as_black_and_white() -> None:
    assert fingerprint(images(Image.new("1", (4, 4), 1))) == fingerprint(images(Image.new("L", (4, 4), 255)))


def test_missing_texts_have_one_fingerprint_in_every_process() -> None:
    # Column name, zero, the text, zero, and a mark that no UTF-8 holds instead of the address of an object.
    content = b"text\0" + b"a\0" + b"\xff\xff\0"
    assert fingerprint(texts(["a", None])) == hashlib.sha256(content).hexdigest()[:16]


@pytest.mark.parametrize("other", ["", "None", "\xff\xff", "\0"])
def test_a_missing_text_is_no_text(other: str) -> None:
    assert fingerprint(texts(["a", None])) != fingerprint(texts(["a", other]))


words = st.text(alphabet=st.sampled_from("a\0\1\xff"), max_size=3)


@settings(max_examples=30)
@given(
    st.lists(words | st.none(), min_size=2, max_size=2),
    st.lists(words | st.none(), min_size=2, max_size=2),
)
def test_different_texts_differ(a: list[str | None], b: list[str | None]) -> None:
    assert (fingerprint(texts(a)) == fingerprint(texts(b))) == (a == b)


@settings(max_examples=30)
@given(st.lists(words | st.none(), max_size=3), st.lists(words | st.none(), max_size=3))
def test_different_lists_of_texts_differ(a: list[str | None], b: list[str | None]) -> None:
    features = datasets.Features({"text": datasets.List(datasets.Value("string"))})
    one, other = (fingerprint(datasets.Dataset.from_dict({"text": [value]}, features=features)) for value in (a, b))
    assert (one == other) == (a == b)


def test_a_damaged_image_is_named_by_its_row() -> None:
    good = images(Image.new("L", (2, 2)))[:]["image"]
    stored = datasets.Dataset.from_dict(
        {"image": [{"bytes": b"\x89PNG\r\n\x1a\nnothing", "path": None}]}, features=datasets.Features({"image": datasets.Image()})
    )
    both = datasets.concatenate_datasets([images(*good), stored])
    with pytest.raises(DataError, match="Row 1 of column 'image' does not decode"):
        fingerprint(both)


def test_a_folder_s_digest_follows_names_and_content_and_no_hidden_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    before = folder_digest(tmp_path)
    (tmp_path / ".DS_Store").write_text("3")
    assert folder_digest(tmp_path) == before
    (tmp_path / "a").rename(tmp_path / "c")
    renamed = folder_digest(tmp_path)
    (tmp_path / "c").write_text("2")
    assert len({before, renamed, folder_digest(tmp_path)}) == 3
