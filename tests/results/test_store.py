"""The integrity check: a chunk is what its run wrote, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from replications.errors import InputError
from replications.results import store
from replications.results.provenance import read_provenance, write_provenance
from replications.results.records import read_records, write_records
from replications.results.store import PROVENANCE, RECORDS, Chunk

Finish = Callable[..., None]


@pytest.fixture
def chunk(finish: Finish, tmp_path: Path) -> Chunk:
    """A finished chunk of three seeds."""
    finish("lady", error=[1.3, 1.2, 1.4], arrays={"score": np.zeros((3, 2))}, changes={"labels": {"cups": 8}})
    return store.chunks(tmp_path / "results", "tea", "lady")[0]


def edit(chunk: Chunk, **keys: object) -> list[str]:
    """Rewrite keys of the provenance, and return the faults of the chunk as it is then."""
    path = chunk.folder / PROVENANCE
    write_provenance(path, read_provenance(path) | keys)
    return Chunk(chunk.folder, chunk.paper, chunk.run).integrity_faults("gpu")


def test_a_chunk_as_written_is_sound_and_carries_its_labels(chunk: Chunk) -> None:
    assert chunk.integrity_faults("gpu") == []
    assert (chunk.seeds, chunk.labels) == ((0, 1, 2), {"cups": 8})
    assert set(chunk.provenance["sha256"]) == {"records.parquet", "artifacts.npz", "provenance.json"}


def test_an_edited_value_is_noticed(chunk: Chunk) -> None:
    records = read_records(chunk.folder / RECORDS)
    records.loc[0, "value"] += 1e-6
    write_records(chunk.folder / RECORDS, records)
    assert chunk.integrity_faults() == ["records.parquet is not the file that the run wrote: its SHA-256 differs."]


def test_a_seed_removed_or_invented_inside_the_folder_is_noticed(chunk: Chunk) -> None:
    records = read_records(chunk.folder / RECORDS)
    write_records(chunk.folder / RECORDS, records[records["seed"] != 1])
    assert "records say [0, 2]" in chunk.integrity_faults()[1]


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"tier": "paper"}, "provenance is of tier 'paper', not 'gpu'."),
        ({"run": "guest"}, "provenance is of run 'guest', not 'lady'."),
        ({"settings": {"cups": 9}}, "settings do not have the digest that is stored with them."),
        ({"seeds": [0, 1, 2, 3, 4]}, "provenance says [0, 1, 2, 3, 4]"),
        ({"started": "2026-01-01T00:00:00+00:00"}, "provenance.json is not what the run wrote: its SHA-256 differs."),
        ({"claims": {"lady-error": "0123"}}, "provenance.json is not what the run wrote: its SHA-256 differs."),
        ({"sha256": {}}, "provenance has no SHA-256 of records.parquet."),
    ],
)
def test_an_edited_provenance_is_noticed(chunk: Chunk, keys: dict[str, object], fault: str) -> None:
    assert any(fault in text for text in edit(chunk, **keys))


def test_another_runs_records_under_this_name_are_noticed(chunk: Chunk, finish: Finish) -> None:
    finish("guest", error=[0.1, 0.2, 0.3])
    other = chunk.folder.parents[1] / "guest" / chunk.folder.name
    for path in other.iterdir():
        (chunk.folder / path.name).write_bytes(path.read_bytes())
    faults = Chunk(chunk.folder, "tea", "lady").integrity_faults("gpu")
    assert {"provenance is of run 'guest', not 'lady'.", "records are of another run or paper."} <= set(faults)


def test_chunks_that_share_seeds_are_refused(finish: Finish, tmp_path: Path) -> None:
    finish("lady", error=[1.0, 2.0, 3.0])
    finish("lady", error=[1.0, 2.0, 3.0], first=2)
    with pytest.raises(InputError, match="share seeds, which would count twice"):
        store.chunks(tmp_path / "results", "tea", "lady")
