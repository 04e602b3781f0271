"""Resumable state beside a run's outputs: two generations, checked by hash, never half written.

Snakemake deletes a job's declared outputs before it starts and after it fails, so the state lives in a folder that no
rule declares. Its header carries the run's key (settings, seeds, code, device kind): another key starts afresh, loudly.
A finished chunk leaves its outputs here too, so that a job re-run for another member of its group loses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch

from replications.engine.locks import FileLock, holder
from replications.errors import CheckpointError, ReplicationError
from replications.files import replacing


class Stateful(Protocol):
    """Anything with a state that can be saved: modules, optimisers, schedules, samplers."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors, numbers and containers of them, by name."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Continue from a saved state.

        Args:
            state_dict: what `state_dict` returned.

        Returns:
            Nothing that callers use; modules return the keys that did not fit.
        """
        ...


class CheckpointStore:
    """The state of one chunk of a run.

    Args:
        folder: where the state lives; made on the first save.
        key: identity of the run; state of another key is discarded.
        warn: called with a sentence when something is discarded or a damaged file is passed over.
        discard: whether this process may remove another key's state; of several that train together one does.
    """

    def __init__(self, folder: Path, key: str, warn: Callable[[str], None], *, discard: bool = True) -> None:
        self.folder, self.key, self.warn = folder, key, warn
        header = self._header()
        if discard and header and header.get("key") != key:
            warn(f"State in {folder} belongs to other settings, code or device; starting afresh.")
            shutil.rmtree(folder, ignore_errors=True)

    @classmethod
    @contextlib.contextmanager
    def alone(cls, folder: Path, key: str, warn: Callable[[str], None]) -> Iterator[CheckpointStore]:
        """Yield the store, while no other job may write the same chunk, on this machine or (NFS) on another.

        Args:
            folder: where the state lives.
            key: identity of the run; state of another key is discarded.
            warn: called with a sentence when something is discarded or a damaged file is passed over.

        Yields:
            The store.

        Raises:
            ReplicationError: another job holds it, or the folder cannot be written. Nothing has been touched then.
        """
        lock = FileLock(folder.with_name(f"{folder.name}.lock"), warn)
        if not lock.acquire():
            other = holder(lock.path)
            who = f"process {other.get('process', '?')} on {other.get('host', 'an unknown machine')}, since {other.get('since', '?')}"
            raise ReplicationError(
                f"{folder.parent.parent / folder.name} is being written by another job ({who}). Two jobs must not write the same run:"
                " wait for it, or stop it and run this command again to continue where it stood."
            )
        lock.sign()
        try:
            yield cls(folder, key, warn)
        finally:
            lock.release()

    def _header(self) -> dict[str, Any]:
        try:
            content = json.loads((self.folder / "header.json").read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError, UnicodeDecodeError):
            return {}
        return content if isinstance(content, dict) else {}

    def save(self, stage: str, content: dict[str, Any]) -> None:
        """Save the state of one stage; the generation before it stays until the next save.

        Args:
            stage: name of a training of the run.
            content: tensors, numbers and containers of them.

        Raises:
            CheckpointError: it cannot be written; the earlier state is intact.
        """
        buffer = io.BytesIO()
        torch.save(content, buffer)
        data = buffer.getbuffer()
        current, before = self._paths(stage)
        try:
            if not (self.folder / "header.json").exists():
                with replacing(self.folder / "header.json") as temporary:
                    temporary.write_text(json.dumps({"key": self.key}), encoding="utf-8")
            with replacing(self.folder / f"{stage}.next") as temporary, temporary.open("wb") as file:
                file.write(hashlib.sha256(data).digest())
                file.write(data)
            if current.exists():
                current.replace(before)
            (self.folder / f"{stage}.next").replace(current)
        except (OSError, ReplicationError) as error:
            raise CheckpointError(f"Checkpoint not saved. {error} The state saved before is intact.") from error

    def load(self, stage: str, device: torch.device) -> dict[str, Any] | None:
        """Return the newest undamaged state of a stage. A damaged file is passed over with a warning.

        Args:
            stage: name of a training of the run.
            device: of the loaded tensors.

        Returns:
            What was saved; None when nothing undamaged is there.
        """
        candidates = [self.folder / f"{stage}.next", *self._paths(stage)]
        for path in candidates:
            try:
                data = path.read_bytes()
            except OSError:
                continue
            if len(data) > 32 and hashlib.sha256(data[32:]).digest() == data[:32]:
                return torch.load(io.BytesIO(data[32:]), map_location=device, weights_only=True)
            self.warn(f"Checkpoint {path} is damaged (its hash differs); using the one before.")
        return None

    def _paths(self, stage: str) -> tuple[Path, Path]:
        return self.folder / f"{stage}.checkpoint", self.folder / f"{stage}.previous"

    def finish(self, outputs: list[Path]) -> None:
        """Keep the finished outputs under the run's key and drop the training state.

        Args:
            outputs: files of the chunk; hard links to them are kept where the file system allows it.

        Raises:
            ReplicationError: the folder of the state cannot be written.
        """
        done = self.folder / "done"
        with replacing(self.folder / "header.json") as temporary:
            temporary.write_text(json.dumps({"key": self.key}), encoding="utf-8")
        done.mkdir(parents=True, exist_ok=True)
        for path in outputs:
            _link(path, done / path.name)
        with replacing(done / "complete.json") as temporary:
            temporary.write_text(json.dumps({path.name: _sha256(path) for path in outputs}), encoding="utf-8")
        for pattern in ("*.checkpoint", "*.previous", "*.next", "progress.json", "failure.json"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def restore_finished(self, folder: Path) -> bool:
        """Put the outputs of an already finished, identical run back.

        Args:
            folder: folder of the chunk; made when missing.

        Returns:
            True when the outputs were there and undamaged; False when nothing was put back.
        """
        done = self.folder / "done"
        try:
            hashes = json.loads((done / "complete.json").read_text(encoding="utf-8"))
            if not all(_sha256(done / name) == digest for name, digest in hashes.items()):
                return False
        except (OSError, json.JSONDecodeError):
            return False
        folder.mkdir(parents=True, exist_ok=True)
        for name in hashes:
            _link(done / name, folder / name)
        return True


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _link(source: Path, target: Path) -> None:
    """Make `target` an atomic copy of `source`, as a hard link where the file system allows it."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    temporary.replace(target)
