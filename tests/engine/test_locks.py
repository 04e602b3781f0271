"""Locks where the file system has none, or where nothing can be written."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from replications.engine.locks import exclusive, held
from replications.errors import ReplicationError
from replications.paths import ROOT


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_told_and_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    monkeypatch.setattr(fcntl, "flock", refuse)
    told: list[str] = []
    with exclusive(tmp_path / "cache" / "x.lock", told.append):
        (tmp_path / "cache" / "x").write_text("made")
    assert told == [f"The file system of {tmp_path / 'cache'} has no locks; nothing keeps a second job from writing the same files."]


def test_a_cache_that_cannot_be_written_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with exclusive(tmp_path / "x.lock", print):
        pass
    monkeypatch.undo()
    (tmp_path / "file").write_text("")
    with pytest.raises(ReplicationError, match="Cannot write"), exclusive(tmp_path / "file" / "x.lock", print):
        pass


def test_another_process_sees_the_lock_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    ask = [sys.executable, "-c", f"from pathlib import Path; from replications.engine.locks import held; print(held(Path({str(path)!r})))"]
    with exclusive(path, print):
        assert subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "True\n"
    assert not held(path)
