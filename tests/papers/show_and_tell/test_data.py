"""Reading captions and images: folders of one's own, weights, and everything that can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from replications.errors import DataError
from replications.papers.show_and_tell import data, scenes, vision
from replications.papers.show_and_tell.data import decode_image, read_folder, read_split


def _folder(root: Path, lines: str, *, broken: bool = False) -> Path:
    (root / "images").mkdir()
    for name in ("one.png", "two.png"):
        Image.fromarray(np.full((6, 9, 3), 80, dtype=np.uint8)).save(root / "images" / name)
    if broken:
        (root / "images" / "two.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (root / "test.tsv").write_text(lines)
    return root


def test_a_folder_gives_captions_by_image_and_pixels_on_demand(tmp_path: Path) -> None:
    found = read_folder(_folder(tmp_path, "one.png\tA dog .\none.png\tThe dog\ntwo.png\tA cat\n"), "test", side=8)
    assert found.captions == [["A dog .", "The dog"], ["A cat"]]
    assert found.read([1, 0]).shape == (2, 3, 8, 8)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("one.png\tA dog\nthree.png\tA cat\n", r"test.tsv, line 2: image 'three.png' is not in .*images"),
        ("one.png\tA dog\ntwo.png\t \n", r"test.tsv, line 2: the caption of 'two.png' is empty"),
        ("one.png A dog\n", r"test.tsv, line 1: expected an image name, a tab and a caption"),
        ("", "holds no caption"),
    ],
)
def test_a_wrong_caption_file_is_named_with_the_line(tmp_path: Path, lines: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_folder(_folder(tmp_path, lines), "test")


@pytest.mark.parametrize(
    ("content", "right"),
    [
        ("\ufeffone.png\tA dog\n".encode(), [["A dog"]]),
        (b"one.png\tA dog\r\ntwo.png\tA cat\r\n", [["A dog"], ["A cat"]]),
        (b"one.png\tA dog\rtwo.png\tA cat", [["A dog"], ["A cat"]]),
        (b"one.png\tA dog\n\n \n", [["A dog"]]),
        ("one.png\tA dog\u2028runs\ntwo.png\tA cat\n".encode(), [["A dog\u2028runs"], ["A cat"]]),
        ("one.png\tA dog\u2028two.png\tA cat\n".encode(), [["A dog\u2028two.png\tA cat"]]),
        ("one.png\tA dog\u0085runs\n".encode(), [["A dog\u0085runs"]]),
        (b"one.png\tA dog\x0cruns\n", [["A dog\x0cruns"]]),
    ],
    ids=["mark", "windows", "old-mac", "blank-lines", "line-separator", "separator-before-a-name", "next-line", "form-feed"],
)
def test_caption_files_of_other_systems_are_read(tmp_path: Path, content: bytes, right: list[list[str]]) -> None:
    _folder(tmp_path, "")
    (tmp_path / "test.tsv").write_bytes(content)
    assert read_folder(tmp_path, "test", side=8).captions == right


def test_a_caption_file_in_utf_16_says_what_to_do(tmp_path: Path) -> None:
    _folder(tmp_path, "")
    (tmp_path / "test.tsv").write_bytes("one.png\tA dog\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"test.tsv cannot be read: it is text in UTF-16; save it as UTF-8"):
        read_folder(tmp_path, "test")


def test_an_image_is_found_however_its_accents_are_stored(tmp_path: Path) -> None:
    _folder(tmp_path, "caf\u00e9.png\tA dog\ncafe\u0301.png\tThe dog\n")
    (tmp_path / "images" / "one.png").rename(tmp_path / "images" / "cafe\u0301.png")
    assert read_folder(tmp_path, "test", side=8).captions == [["A dog", "The dog"]]


@pytest.mark.parametrize("name", ["../one.png", "/etc/hostname", "a\0b", "x" * 5000])
def test_an_image_outside_the_folder_is_not_read(tmp_path: Path, name: str) -> None:
    _folder(tmp_path, f"{name}\tA dog\n")
    (tmp_path / "images" / "one.png").rename(tmp_path / "one.png")
    with pytest.raises(DataError, match=r"line 1: image '.*' is not in .*images"):
        read_folder(tmp_path, "test")


def test_own_photographs_stand_upright(tmp_path: Path) -> None:
    drawn = Image.new("RGB", (8, 4), "white")
    drawn.paste((255, 0, 0), (0, 0, 4, 4))  # red on the left; turned right, red is at the top
    exif = drawn.getexif()
    exif[0x0112] = 6
    drawn.save(tmp_path / "turned.png", exif=exif)
    pixels = decode_image(tmp_path / "turned.png", "turned", 8)
    assert [pixels[:, y, x].tolist() for y, x in ((0, 0), (0, 7), (7, 0))] == [[255, 0, 0], [255, 0, 0], [255, 255, 255]]


def test_a_missing_caption_file_and_a_caption_without_a_word_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train.tsv cannot be read"):
        read_folder(_folder(tmp_path, "one.png\t...\n"), "train")
    with pytest.raises(DataError, match=r"caption 0 of image 0 is empty"):
        data._tokenized(read_folder(tmp_path, "test"))


def test_a_image_that_does_not_decode_is_named(tmp_path: Path) -> None:
    found = read_folder(_folder(tmp_path, "one.png\tA dog\ntwo.png\tA cat\n", broken=True), "test")
    with pytest.raises(DataError, match=r"image 'two.png' cannot be used: it does not decode as an image"):
        found.read([0, 1])


def test_grey_and_transparent_images_become_three_channels() -> None:
    for mode in ("L", "RGBA", "P"):
        assert decode_image(Image.new(mode, (5, 4)), "x", 4).shape == (3, 4, 4)


def test_unknown_and_absent_data_sets_say_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Did you mean 'scenes'"):
        read_split("scene", "test", {})
    monkeypatch.setenv("REPLICATIONS_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"pascal is not on this machine. Put test.tsv"):
        read_split("pascal", "test", {})
    (tmp_path / "captions" / "pascal").mkdir(parents=True)
    _folder(tmp_path / "captions" / "pascal", "one.png\tA dog\n")
    with pytest.raises(DataError, match="has 1 images, 1,000 were declared"):
        read_split("pascal", "test", {})


def test_scenes_are_read_with_their_content_and_noted() -> None:
    notes: data.Notes = {}
    found = read_split("scenes", "validation", notes)
    assert len(found) == data.SCENES.splits["validation"]
    assert found.scenes is not None
    assert notes["scenes/validation"]["origin"] == "embedded"
    assert found.read([3]).shape == (1, 3, scenes.PIXELS, scenes.PIXELS)
    assert len(found.first(7)) == len(found.first(7).tokens) == 7
    assert found.first(7).fingerprint != found.fingerprint


def test_flickr30k_is_divided_without_overlap() -> None:
    parts = [set(data._flickr30k_rows(31783, split)) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [28000, 1000, 1000]
    assert len(set.union(*parts)) == 30000


def test_every_source_is_pinned_or_embedded_or_local() -> None:
    for source in data.SOURCES:
        assert source.build or len(source.revision) == 40 or source.file, source.name
        assert source.licence
        assert source.citation


def test_weights_of_another_architecture_or_damaged_are_named(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 2))
    torch.save({"0.weight": torch.zeros(2, 4), "1.bias": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(DataError, match=r"weights of another architecture than Sequential: 3 layers differ \(0.bias, 1.bias, 0.weight\)"):
        vision.load_weights(network, tmp_path / "other.pt")
    (tmp_path / "damaged.pt").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DataError, match="cannot be read as weights"):
        vision.load_weights(network, tmp_path / "damaged.pt")


def test_the_scene_network_learns_to_tell_what_is_there() -> None:
    generator = np.random.default_rng(0)
    known = [scenes.sample_scene(generator, companion_probability=None) for _ in range(300)]
    pixels = scenes.render(known, 0)
    what, _ = vision.scene_labels(known)
    cnn = vision.pretrain_scene_cnn(pixels[:250], known[:250], epochs=2)
    vectors = cnn(torch.from_numpy(pixels))[0].numpy()
    design = np.c_[vectors, np.ones(len(vectors))]
    # The setting is told after seconds; kinds and colours take the whole pretraining.
    names = slice(-len(scenes.SETTINGS), None)
    weights = np.linalg.lstsq(design[:250], what[:250, names], rcond=1e-3)[0]
    assert (np.argmax(design[250:] @ weights, 1) == np.argmax(what[250:, names], 1)).mean() > 0.9
