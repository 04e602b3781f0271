"""Whatever a file from outside holds, its reader gives the right value or an error in words, never a traceback of a library.

Sound files are damaged at random places (bytes flipped, cut off, put in), and random content takes their place. The whole file
runs in about 15 seconds; each test draws the same examples every time.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from replications.engine.datasets import DataSource, load
from replications.engine.images import open_rgb
from replications.errors import ReplicationError
from replications.papers.align_and_translate.sword import ENGLISH, SPANISH, read_bibles
from replications.papers.show_and_tell import vision
from replications.papers.show_and_tell.data import read_folder
from replications.papers.show_and_tell.scores import read_captions
from replications.presentation.metadata import read_folder as read_figures
from replications.presentation.verdict_log import read_log
from replications.registry.run_grid import settings_digest
from replications.registry.yaml_models import read_yaml
from replications.results.integrity import check_run
from replications.results.records import read_artifacts, read_records
from replications.results.store import Chunk, content_digest, file_digest, write_chunk

V = TypeVar("V")

few = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])

numbers = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats()
short = st.text(max_size=4)
json_values = st.recursive(
    numbers | short, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(short, inner, max_size=3), max_leaves=6
)
scored = st.fixed_dictionaries({"candidate": json_values, "references": json_values})


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A change of a file: some bytes replaced, the end cut off, or bytes put in."""
    kind = draw(st.sampled_from(["replace", "cut", "insert"]))
    place, extra = draw(st.floats(0, 1, exclude_max=True)), draw(st.binary(min_size=1, max_size=6))

    def change(data: bytes) -> bytes:
        at = int(place * len(data))
        return data[:at] + {"replace": extra + data[at + len(extra) :], "cut": b"", "insert": extra + data[at:]}[kind]

    return change


def value_or_words(read: Callable[[], V]) -> V | None:
    """The value; None after an error of the suite with a sentence. Anything else a reader raises fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on damaged metadata
        try:
            return read()
        except ReplicationError as error:
            assert len(str(error)) > 20
            return None


def stored(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


GRADIENT = Image.fromarray(np.arange(16 * 12 * 3, dtype=np.uint8).reshape(12, 16, 3))
KINDS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "PCX", "JPEG2000", "SGI", "DDS", "QOI"]
IMAGES = {kind: stored(GRADIENT, kind) for kind in KINDS} | {"deep": stored(Image.fromarray(np.full((5, 4), 300, np.uint16)), "TIFF")}


@settings(few, max_examples=200)
@given(st.sampled_from(sorted(IMAGES)), damage())
def test_images(kind: str, change: Callable[[bytes], bytes]) -> None:
    image = value_or_words(lambda: open_rgb(io.BytesIO(change(IMAGES[kind])), upright=True))
    assert image is None or (image.mode == "RGB" and min(image.size) > 0)


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        GRADIENT.save(tmp_path / "images" / name)
    return tmp_path


@few
@given(
    st.binary(max_size=60)
    | st.text(alphabet="ab.png\t\r\n\0\u2028\ufeff/\ud800", max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_caption_files(captions: Path, content: bytes) -> None:
    (captions / "test.tsv").write_bytes(content)
    read = value_or_words(lambda: read_folder(captions, "test", side=4))
    assert read is None or (len(read) > 0 and read.read([0]).shape == (1, 3, 4, 4))


texts = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), min_size=1, max_size=8).filter(str.strip)


@few
@given(st.lists(st.tuples(st.sampled_from("ab"), texts), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_captions_are_what_was_written(captions: Path, rows: list[tuple[str, str]], end: str, mark: bool) -> None:
    content = end.join(f"{image}.png\t{text}" for image, text in rows)
    (captions / "test.tsv").write_bytes(("\ufeff" * mark + content).encode())
    order = list(dict.fromkeys(image for image, _ in rows))
    assert read_folder(captions, "test", side=4).captions == [[text for name, text in rows if name == image] for image in order]


@settings(few, max_examples=20)
@given(st.binary(max_size=40) | damage().map(lambda change: change(gzip.compress("Ĉu? ".encode() * 9))))
def test_corpora(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("mirror")
    (folder / "text.txt").write_bytes(content)
    source = DataSource(name="text", splits={"all": 1}, licence="", citation="", file="text.txt")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("REPLICATIONS_DATA", str(folder))
        read = value_or_words(lambda: load(source, "all")[0][0]["text"])
    if read is not None:
        assert read.encode() == (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content)


WEIGHTS = torch.nn.Linear(3, 2).state_dict()


@few
@given(damage(), st.booleans())
def test_weights(tmp_path_factory: pytest.TempPathFactory, change: Callable[[bytes], bytes], old: bool) -> None:
    buffer = io.BytesIO()
    torch.save(WEIGHTS, buffer, _use_new_zipfile_serialization=not old)
    path = tmp_path_factory.mktemp("weights") / "w.pt"
    path.write_bytes(change(buffer.getvalue()))
    network = value_or_words(lambda: vision.load_weights(torch.nn.Linear(3, 2), path))
    assert network is None or all(bool(value.isfinite().all()) for value in network.state_dict().values())


@few
@given(json_values | st.dictionaries(st.just("captions"), st.lists(scored, max_size=2)))
def test_files_to_be_scored(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    value_or_words(lambda: read_captions(path))


@few
@given(st.binary(max_size=40) | st.sampled_from([b"[" * 100_000, b'{"a": 1e999}', b'{"\\ud800": 1}', b"1" * 5000]))
def test_bytes_that_are_no_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "captions.json"
    path.write_bytes(content)
    value_or_words(lambda: read_captions(path))


ROWS: list[dict[str, object]] = [
    {"paper": "tea", "run": "lady", "seed": 0, "split": "test", "step": 1, "metric": "error", "value": 1.5, "unit": "%"}
]


@pytest.fixture
def chunk(tmp_path: Path) -> Chunk:
    folder = tmp_path / "tea" / "lady" / "seeds-0-0"
    provenance = {"paper": "tea", "run": "lady", "tier": "smoke", "seeds": [0], "settings": {}, "cost": {"seconds": 1.0}, "data": {}}
    write_chunk(folder, ROWS, {"a": np.arange(3)}, provenance)
    return Chunk(folder, "tea", "lady")


def again(chunk: Chunk) -> Chunk:
    """The chunk without what it has read."""
    return Chunk(chunk.folder, chunk.paper, chunk.run)


@few
@given(st.data())
def test_provenance_of_any_content(chunk: Chunk, data: st.DataObject) -> None:
    path = chunk.folder / "provenance.json"
    before = path.read_bytes()
    content = json.loads(before) | {"settings_digest": settings_digest("tea", "lady", {})}
    keys = [*content, "dirty", "commit", "started", "ended", "packages", "hardware", "claims", "labels", "code_digest", "resumes"]
    for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3)):
        content[key] = data.draw(json_values)
    content["sha256"] = {name: file_digest(chunk.folder / name) for name in ("records.parquet", "artifacts.npz")} | {
        "provenance.json": content_digest(content)
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    try:
        check_run([again(chunk)], "smoke")
        value_or_words(lambda: again(chunk).cost)
        value_or_words(lambda: again(chunk).labels)
    finally:
        path.write_bytes(before)


@few
@given(st.sampled_from(["records.parquet", "artifacts.npz", "provenance.json"]), damage())
def test_damaged_chunks_are_never_trusted(chunk: Chunk, name: str, change: Callable[[bytes], bytes]) -> None:
    path = chunk.folder / name
    before = path.read_bytes()
    path.write_bytes(change(before))
    try:
        same = path.read_bytes() == before
        if name != "provenance.json":
            assert bool(check_run([again(chunk)], "smoke").faults) or same
        value_or_words(lambda: read_records(chunk.folder / "records.parquet"))
        value_or_words(lambda: read_artifacts(chunk.folder / "artifacts.npz"))
        value_or_words(lambda: again(chunk).provenance)
    finally:
        path.write_bytes(before)


COLUMN = st.sampled_from(["paper", "run", "seed", "model", "split", "step", "axis", "at", "metric", "value", "unit"])


@few
@given(st.dictionaries(COLUMN, st.none() | st.text(max_size=3) | st.floats() | st.integers(-5, 5), min_size=1, max_size=3))
def test_records_of_other_types(tmp_path: Path, changed: dict[str, Any]) -> None:
    path = tmp_path / "records.parquet"
    row = {"model": "", "axis": "", "at": math.nan} | ROWS[0] | changed
    pd.DataFrame([row]).to_parquet(path)
    read = value_or_words(lambda: read_records(path))
    assert read is None or len(read) == 1


YAML = [
    "a: 2024-99-99",
    "a: &x [*x]",
    "{" * 2000,
    "? [a]\n: b",
    "? {a: b}\n: c",
    "a: !!python/object:os.system {}",
    "a: 0x",
    "<<: 1",
    "1: 2\n1: 3",
]


@few
@given(st.text(max_size=40) | st.sampled_from(YAML))
def test_yaml_of_any_content(tmp_path: Path, content: str) -> None:
    path = tmp_path / "paper.yaml"
    path.write_text(content, encoding="utf-8", errors="replace")
    value_or_words(lambda: read_yaml(path))


@few
@given(st.binary(max_size=60), st.sampled_from(["log", "figures"]))
def test_tables_of_the_reference(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / ("verdicts.csv" if kind == "log" else "index.json")
    path.write_bytes(content)
    (tmp_path / "figure.json").write_bytes(content)
    if kind == "log":
        value_or_words(lambda: read_log(path))
    else:
        read_figures(tmp_path)


VERSES = ["In the beginning", "And the earth"]


def sword_files(name: str) -> dict[str, bytes]:
    """A module of two verses per testament by path: one compressed block, its index, and the index of verses."""
    block = "".join(VERSES).encode()
    packed = zlib.compress(block)
    index = struct.pack("<IIH", 0, 0, len(VERSES[0])) + struct.pack("<IIH", 0, len(VERSES[0]), len(VERSES[1]))
    parts = {"bzz": packed, "bzs": struct.pack("<III", 0, len(packed), len(block)), "bzv": index}
    texts = {f"modules/{name}/{part}.{ending}": content for part in ("ot", "nt") for ending, content in parts.items()}
    return texts | {f"mods.d/{name}.conf": f"[{name}]\nDataPath=./modules/{name}/\nVersification=KJV\n".encode()}


SWORD = sword_files(ENGLISH) | sword_files(SPANISH)


@few
@given(st.sampled_from(sorted(SWORD)), damage())
def test_sword_modules(tmp_path: Path, damaged: str, change: Callable[[bytes], bytes]) -> None:
    for path, content in SWORD.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(change(content) if path == damaged else content)
    value_or_words(lambda: read_bibles([tmp_path]))


def test_a_sword_verse_that_reaches_beyond_its_block_is_refused(tmp_path: Path) -> None:
    for path, content in SWORD.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert read_bibles([tmp_path]).startswith(f"ot-0\t{VERSES[0]}\t{VERSES[0]}\n")
    (tmp_path / "modules" / ENGLISH / "ot.bzv").write_bytes(struct.pack("<IIH", 0, 0, 500) * 2)
    with pytest.raises(ReplicationError, match="a verse of 500 bytes reaches beyond its block"):
        read_bibles([tmp_path])
