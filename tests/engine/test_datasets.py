"""Data is the declared data or an error that names it, the two ways to get it and the exact command."""

import gzip
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from replications.engine.datasets import DataSource, fingerprint, images_and_labels, load
from replications.errors import DataError


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
    with pytest.raises(DataError, match=r"set/train from local mirror is not the declared data.*data fetch set.*REPLICATIONS_DATA"):
        load(source(fingerprints={"train": "0" * 16}), "train")


def test_a_missing_row_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrored(tmp_path, monkeypatch, pictures(5))
    with pytest.raises(DataError, match="has 5 examples, 6 were declared"):
        load(source(), "train")


def test_a_truncated_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = mirrored(tmp_path, monkeypatch, pictures())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"set/train from local mirror cannot be read"):
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
