"""Data is the declared data or an error that names it, the two ways to get it and the exact command."""

import gzip
import io
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from replications.engine.chunk import Chunk
from replications.engine.datasets import DataSource, how_to_get, images_and_labels, load
from replications.engine.fingerprints import fingerprint
from replications.engine.recording import Recording
from replications.engine.runner import changed_data
from replications.errors import CheckpointError, DataError


def pictures(n: int = 6) -> datasets.Dataset:
    rng = np.random.default_rng(0)
    drawn = [Image.fromarray(rng.integers(0, 256, (4, 5), dtype=np.uint8)) for _ in range(n)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    return datasets.Dataset.from_dict({"image": drawn, "label": list(range(n))}, features=features)


def mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: datasets.Dataset) -> Path:
    folder = tmp_path / "mirror" / "hub" / "owner" / "set" / "data"
    folder.mkdir(parents=True)
    content.to_parquet(folder / "train-00000-of-00001.parquet")
    monkeypatch.setenv("REPLICATIONS_DATA", str(tmp_path / "mirror"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return folder / "train-00000-of-00001.parquet"


def source(**changes: object) -> DataSource:
    base = {"name": "set", "hub": "owner/set", "revision": "0" * 40, "splits": {"train": 6}, "licence": "MIT", "citation": "none"}
    return DataSource(**(base | changes))


def test_a_mirror_is_loaded_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = pictures()
    mirrored(tmp_path, monkeypatch, expected)
    loaded, note = load(source(fingerprints={"train": fingerprint(expected)}), "train")
    assert note["verified"] == "yes"
    assert note["origin"] == "local mirror"
    images, labels = images_and_labels(loaded, "image", "label")
    assert images.shape == (6, 4, 5)
    assert labels.tolist() == list(range(6))


def test_a_re_encoded_picture_has_the_same_fingerprint(tmp_path: Path) -> None:
    original = pictures()
    path = tmp_path / "a.bmp"
    rows = []
    for row in original:
        row["image"].save(path)
        rows.append(Image.open(path).copy())
    again = datasets.Dataset.from_dict({"image": rows, "label": original["label"][:]}, features=original.features)
    assert fingerprint(again) == fingerprint(original)


def test_altered_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrored(tmp_path, monkeypatch, pictures())
    with pytest.raises(DataError, match=r"set/train from local mirror .* is not the declared data.*data fetch set.*REPLICATIONS_DATA"):
        load(source(fingerprints={"train": "0" * 16}), "train")


def test_a_missing_row_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrored(tmp_path, monkeypatch, pictures(5))
    with pytest.raises(DataError, match="has 5 examples, 6 were declared"):
        load(source(), "train")


def test_a_truncated_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = mirrored(tmp_path, monkeypatch, pictures())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"set/train from local mirror .* cannot be read"):
        load(source(), "train")


def test_offline_without_data_names_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATIONS_DATA", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"replications data fetch set.*hub/owner/set"):
        load(source(), "train")


def test_a_mirror_that_is_no_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATIONS_DATA", "no-such-folder")
    with pytest.raises(DataError, match="no-such-folder is not a folder"):
        load(source(), "train")


def test_an_unknown_split_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Did you mean 'train'"):
        load(source(), "trian")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(gzip.compress(b"abc"), None, id="gzip"),
        pytest.param(b"\x1f\x8bnot gzip", "cannot be read", id="damaged"),
        pytest.param(gzip.compress(b"\xff"), "cannot be read", id="not-utf-8"),
    ],
)
def test_text_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str | None) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt.gz").write_bytes(content)
    monkeypatch.setenv("REPLICATIONS_DATA", str(tmp_path))
    text = source(hub="", file="text/a.txt.gz", splits={"all": 1})
    if message:
        with pytest.raises(DataError, match=message):
            load(text, "all")
    else:
        assert load(text, "all")[0][0]["text"] == "abc"


CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
---
"""


def numbers(mirror: Path, values: list[int]) -> Path:
    """A mirror whose card names its files, as every repository's of the hub does."""
    folder = mirror / "hub" / "owner" / "set"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(CARD)
    datasets.Dataset.from_dict({"x": values}).to_parquet(folder / "data" / "train-0.parquet")
    return mirror


def test_what_is_read_is_what_the_named_mirror_holds_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "prepared"))
    declared = source(splits={"train": 3})

    def read(mirror: Path) -> list[int]:
        monkeypatch.setenv("REPLICATIONS_DATA", str(mirror))
        return list(load(declared, "train")[0]["x"])

    one, other = numbers(tmp_path / "a", [1, 2, 3]), numbers(tmp_path / "b", [1, 2, 9])
    assert [read(one), read(other), read(one)] == [[1, 2, 3], [1, 2, 9], [1, 2, 3]]
    assert read(numbers(tmp_path / "a", [7, 7, 7])) == [7, 7, 7]


def test_a_mirror_put_right_is_accepted_after_a_wrong_one_was_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "prepared"))
    monkeypatch.setenv("REPLICATIONS_DATA", str(tmp_path / "a"))
    right = fingerprint(datasets.Dataset.from_dict({"x": [1, 2, 3]}))
    declared = source(splits={"train": 3}, fingerprints={"train": right})
    numbers(tmp_path / "a", [1, 2, 9])
    with pytest.raises(DataError, match="is not the declared data"):
        load(declared, "train")
    numbers(tmp_path / "a", [1, 2, 3])
    assert load(declared, "train")[1]["verified"] == "yes"


def test_two_declarations_of_one_name_are_checked_each_by_its_own_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrored(tmp_path, monkeypatch, pictures())
    load(source(), "train")
    with pytest.raises(DataError, match="is not the declared data"):
        load(source(fingerprints={"train": "0" * 16}), "train")


def test_a_pointer_of_git_lfs_is_called_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = mirrored(tmp_path, monkeypatch, pictures())
    load(source(), "train")
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(DataError, match=r"train-00000-of-00001.parquet is a pointer of Git LFS"):
        load(source(), "train")


def test_offline_another_revision_s_prepared_copy_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = tmp_path / "prepared"
    monkeypatch.delenv("REPLICATIONS_DATA", raising=False)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(prepared))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    # What the library leaves of a repository that it has once read, at whatever revision.
    card = numbers(tmp_path / "a", [1, 2, 3]) / "hub" / "owner" / "set"
    datasets.load_dataset(str(card), split="train", cache_dir=str(tmp_path / "other"))
    left = next((tmp_path / "other").glob("*/default/*/*"))
    left.parent.parent.parent.rename(tmp_path / "other" / "owner___set")
    for folder in (prepared, prepared / "replications" / f"set-{'1' * 16}"):
        shutil.copytree(tmp_path / "other", folder, dirs_exist_ok=True)
    with pytest.raises(DataError, match=r"set is not on this machine and the hub cannot be reached"):
        load(source(splits={"train": 3}), "train")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(prepared))
    assert list(load(source(splits={"train": 3}, revision="1" * 40), "train")[0]["x"]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("drawn", "right"),
    [
        (Image.fromarray(np.full((2, 2), 300, np.uint16)), [[1, 1], [1, 1]]),
        (Image.new("1", (2, 2), 1), [[255, 255], [255, 255]]),
    ],
    ids=["16-bit", "1-bit"],
)
def test_images_of_other_depths_are_brought_to_8_bits(drawn: Image.Image, right: list[list[int]]) -> None:
    stored = io.BytesIO()
    drawn.save(stored, format="PNG")
    rows = {"image": [{"bytes": stored.getvalue(), "path": None}], "label": [0]}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    assert images_and_labels(datasets.Dataset.from_dict(rows, features=features), "image", "label")[0][0].tolist() == right


def test_numbers_that_are_no_pixels_are_refused_with_their_row() -> None:
    features = datasets.Features({"image": datasets.Array2D((1, 2), "int64"), "label": datasets.Value("int64")})
    rows = datasets.Dataset.from_dict({"image": [[[0, 255]], [[0, 256]]], "label": [0, 1]}, features=features)
    with pytest.raises(DataError, match=r"Row 1 of column 'image' is no image of 8 bits: .*not integers from 0 to 255"):
        images_and_labels(rows, "image", "label")


def test_a_finished_run_whose_data_has_changed_is_not_taken_for_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "prepared"))
    monkeypatch.setenv("REPLICATIONS_DATA", str(numbers(tmp_path / "a", [1, 2, 3])))
    declared = source(splits={"train": 3})
    noted = {"set/train": load(declared, "train")[1]}
    assert changed_data([(declared, "train")], noted) == []
    numbers(tmp_path / "a", [1, 2, 9])
    assert changed_data([(declared, "train")], noted) == ["set/train"]
    shutil.rmtree(tmp_path / "a" / "hub" / "owner" / "set" / "data")
    assert changed_data([(declared, "train")], noted) == []


def test_a_checkpoint_is_not_continued_on_other_data(tmp_path: Path) -> None:
    def loaded(fingerprint: str) -> Recording:
        return Recording(Chunk("paper", "run", "smoke", (0,)), data={"set/train": {"fingerprint": fingerprint}})

    saved = loaded("a" * 16).state_dict()
    loaded("a" * 16).load_state_dict(saved)
    loaded("b" * 16).load_state_dict({name: part for name, part in saved.items() if name != "data"})  # of before it was noted
    with pytest.raises(CheckpointError, match=r"trained on other data of set/train: fingerprint a+, now b+\. .*\.state folder"):
        loaded("b" * 16).load_state_dict(saved)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"img": [[[1]]], "label": [1]}, r"No column \['image'\] among \['img', 'label'\]"),
        ({"image": [], "label": []}, "has no rows"),
        ({"image": [[[1]]], "label": ["cat"]}, "Values of column 'label' are not numbers of classes, but such as .*cat"),
        ({"image": [[[1]]], "label": [None]}, "are not numbers of classes"),
        ({"image": [[[1]]], "label": [1.7]}, "are not numbers of classes"),
    ],
    ids=["another-name", "empty", "names", "missing", "fractions"],
)
def test_labels_and_columns_that_do_not_fit_are_named(columns: dict[str, list[object]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        images_and_labels(datasets.Dataset.from_dict(columns), "image", "label")


def test_files_of_different_columns_say_why_they_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = mirrored(tmp_path, monkeypatch, datasets.Dataset.from_dict({"x": [1]}))
    datasets.Dataset.from_dict({"x": ["a"]}).to_parquet(path.with_name("train-00001-of-00001.parquet"))
    with pytest.raises(DataError, match=r"cannot be read: .*'a'.*int64"):
        load(source(), "train")


def test_a_source_without_an_address_is_not_told_to_be_fetched() -> None:
    source = DataSource(name="tea", splits={"all": 1}, licence="", citation="", file="text/tea.txt", note="From a kettle.")
    advice = how_to_get(source)
    assert "data fetch" not in advice
    assert advice.startswith(
        "No address is known to fetch it from: put a copy at <folder>/text/tea.txt and set REPLICATIONS_DATA=<folder>."
    )
    assert advice.endswith("From a kettle.")
