"""Photographs and texts that we may not pass on enter the reference as mosaics and outlines; all else enters as it was written."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from replications.registry.run_grid import settings_digest
from replications.results.mosaics import SIDE, holds, is_outline, mosaic, outline, published_files
from replications.results.provenance import write_provenance
from replications.results.store import ARTIFACTS, CHUNK_FILES, PROVENANCE, RECORDS, Chunk, write_chunk

PHOTOGRAPHS = "for research; the photographs belong to their authors"
TEXT = "if (Cup_2 == 'caf\u00e9') {\n\treturn NULL; /* x */"


def made(folder: Path, licence: str, seed: int = 0) -> Chunk:
    row = {"paper": "tea", "run": "lady", "seed": 0, "split": "test", "step": 1, "metric": "error", "value": 1.5, "unit": "%"}
    pictures = np.random.default_rng(seed).integers(0, 256, (1, 2, 3, 96, 64), dtype=np.uint8)
    text = np.frombuffer(TEXT.encode("latin-1"), dtype=np.uint8)
    arrays = {"cup_images": pictures, "images_seen": np.arange(300), "captions": np.array(["a cup"]), "cup_text.lstm-1": text}
    provenance = {
        "paper": "tea",
        "run": "lady",
        "tier": "cpu",
        "seeds": [0],
        "settings": {},
        "settings_digest": settings_digest("tea", "lady", {}),
        "cost": {"seconds": 3.0},
        "data": {"leaves/test": {"licence": "MIT"}, "cups/test": {"licence": licence}},
    }
    place = folder / "tea" / "lady" / "seeds-0-0"
    place.mkdir(parents=True)
    write_chunk(place, [row], arrays, provenance)
    return Chunk(place, "tea", "lady")


def published(chunk: Chunk, folder: Path) -> Chunk:
    place = folder / "tea" / "lady" / chunk.folder.name
    place.mkdir(parents=True)
    for name, content in published_files(chunk).items():
        (place / name).write_bytes(content)
    return Chunk(place, "tea", "lady")


def test_pictures_alone_become_coarse_and_the_chunk_stays_sound(tmp_path: Path) -> None:
    chunk = made(tmp_path / "made", PHOTOGRAPHS)
    held = published(chunk, tmp_path / "held")
    assert chunk.integrity_faults("cpu") == held.integrity_faults("cpu") == []
    assert held.artifacts()["cup_images"].shape == (1, 2, 3, SIDE, SIDE)
    for name in ("images_seen", "captions"):
        assert np.array_equal(held.artifacts()[name], chunk.artifacts()[name])
    assert (held.folder / RECORDS).read_bytes() == (chunk.folder / RECORDS).read_bytes()
    assert held.provenance["mosaics"] == {"names": ["cup_images"], "artifacts": chunk.provenance["sha256"][ARTIFACTS]}


def test_pictures_that_anybody_may_pass_on_stay(tmp_path: Path) -> None:
    chunk = made(tmp_path / "made", "CC BY 4.0")
    assert published_files(chunk) == {name: (chunk.folder / name).read_bytes() for name in CHUNK_FILES}


def test_texts_under_a_gpl_become_outlines_and_pictures_stay(tmp_path: Path) -> None:
    chunk = made(tmp_path / "made", "GPL-2.0")
    held = published(chunk, tmp_path / "held")
    assert held.integrity_faults("cpu") == []
    shown = bytes(held.artifacts()["cup_text.lstm-1"]).decode("latin-1")
    assert shown == "xx (Xxx_2 == 'xxxx') {\n\txxxxxx XXXX; /* x */"
    assert is_outline(shown)
    assert not is_outline(TEXT)
    assert np.array_equal(held.artifacts()["cup_images"], chunk.artifacts()["cup_images"])
    assert held.provenance["mosaics"] == {"names": ["cup_text.lstm-1"], "artifacts": chunk.provenance["sha256"][ARTIFACTS]}
    assert holds(held.folder, chunk)


def test_an_outline_keeps_all_signs_but_letters() -> None:
    codes = np.arange(256, dtype=np.uint8)
    letters = np.array([chr(code).isalpha() for code in codes])
    assert np.array_equal(outline(codes)[~letters], codes[~letters])
    assert set(outline(codes)[letters]) == {ord("x"), ord("X")}


def test_provenance_without_hashes_is_no_crash_but_a_fault(tmp_path: Path) -> None:
    chunk = made(tmp_path / "made", PHOTOGRAPHS)
    write_provenance(chunk.folder / PROVENANCE, {key: value for key, value in chunk.provenance.items() if key != "sha256"})
    edited = Chunk(chunk.folder, chunk.paper, chunk.run)
    held = published(edited, tmp_path / "held")
    assert edited.integrity_faults("cpu")
    assert held.integrity_faults("cpu")
    assert held.artifacts()["cup_images"].shape[-1] == SIDE


def test_the_reference_knows_a_chunk_by_its_mosaics_and_a_restored_one_by_its_files(tmp_path: Path) -> None:
    chunk = made(tmp_path / "made", PHOTOGRAPHS)
    held = published(chunk, tmp_path / "held")
    assert holds(held.folder, chunk)
    assert holds(held.folder, held)
    assert published_files(held) == published_files(chunk), "restored and promoted again"
    assert not holds(held.folder, made(tmp_path / "again", PHOTOGRAPHS, seed=1)), "another training saw other images"
    assert not holds(tmp_path / "nowhere", chunk)


@pytest.mark.parametrize("size", [8, 13, 96])
def test_a_mosaic_is_the_mean_of_its_parts(size: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (3, size, size), dtype=np.uint8)
    edges = [part[0] for part in np.array_split(np.arange(size), SIDE)] + [size]
    means = [
        [[channel[a:b, c:d].mean() for c, d in itertools.pairwise(edges)] for a, b in itertools.pairwise(edges)] for channel in picture
    ]
    assert np.abs(mosaic(picture) - np.array(means)).max() <= 0.5
