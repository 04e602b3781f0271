"""Locks on files that end with the process that holds them, however it ends: on one machine, and over NFS between machines.

POSIX record locks, because the kernel (and an NFS server, when the client's lease runs out) frees them at the holder's
death, because a forked data worker does not inherit them, and because they survive the `exec` that starts torchrun.
File systems without locks (some Lustre mounts without `-o flock`) are reported in a warning and go unprotected.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from replications.errors import ReplicationError
from replications.results.provenance import now
from replications.text_files import read_json

UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
FLOCK = "qqihh" if sys.platform == "darwin" else "hhqqi4x"
"""`struct flock`: type, whence, start, length, process on 64-bit Linux; start, length, process, type, whence on macOS."""
TYPE = 3 if sys.platform == "darwin" else 0
"""Where its type stands."""


class FileLock:
    """An exclusive lock on one file. A process must not open the file elsewhere while it holds the lock: closing it frees it.

    Args:
        path: made when missing; holds who has the lock, for messages.
        warn: called with a sentence where the file system has no locks.
    """

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self.path, self.warn = path, warn
        self._file: int | None = None

    def acquire(self, *, wait: bool = False) -> bool:
        """Take the lock.

        Args:
            wait: wait until it is free.

        Returns:
            False when another process holds it and `wait` is not set; True otherwise, also where the file system has no locks.

        Raises:
            ReplicationError: the file cannot be made or locked.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)  # less the umask: a shared folder's users lock one file
        except OSError as error:
            raise ReplicationError(
                f"Cannot write {self.path}: {error.strerror}. The folder must be writable where the job runs; check its mount and"
                " permissions."
            ) from error
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno in UNSUPPORTED:
                self.warn(f"The file system of {self.path.parent} has no locks; nothing keeps a second job from writing the same files.")
            elif error.errno in (errno.EACCES, errno.EAGAIN):
                os.close(file)
                return False
            else:
                os.close(file)
                raise ReplicationError(f"Cannot lock {self.path}: {error.strerror}.") from error
        self._file = file
        return True

    def sign(self, **content: Any) -> None:
        """Write into the file who holds the lock: machine, process and time.

        Args:
            content: further entries, written as JSON.
        """
        if self._file is not None:
            note = {"host": platform.node(), "process": os.getpid(), "since": now()} | content
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps(note).encode(), 0)

    def keep_over_exec(self) -> None:
        """Hold the lock also in the program that replaces this one in the same process."""
        if self._file is not None:
            os.set_inheritable(self._file, True)

    def release(self) -> None:
        """Give the lock back; closing the file does it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


@contextlib.contextmanager
def exclusive(path: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock during a block, after waiting for it.

    Args:
        path: of the lock file.
        warn: called with a sentence where the file system has no locks.

    Yields:
        Nothing. In a folder that cannot be written no lock is held, since no other process writes there either.

    Raises:
        ReplicationError: the file cannot be made or locked although its folder can be written.
    """
    lock = FileLock(path, warn)
    try:
        lock.acquire(wait=True)
    except ReplicationError:
        if os.access(path.parent, os.W_OK) or not path.parent.is_dir():
            raise
    try:
        yield
    finally:
        lock.release()


def holder(path: Path) -> dict[str, Any]:
    """Return what the last holder wrote into a lock file: host, process, since; empty when there is nothing to read.

    Args:
        path: of the lock file.

    Returns:
        Entries as `FileLock.sign` wrote them.
    """
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def held(path: Path) -> bool:
    """Return True when another process holds the lock. It is not taken, so that asking never disturbs a job that starts.

    Args:
        path: of the lock file.

    Returns:
        False also where the file is missing or the file system has no locks.
    """
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fields = [0] * 5  # the whole file, from its start
        fields[TYPE] = fcntl.F_WRLCK
        asked = struct.pack(FLOCK, *fields)
        answer = fcntl.fcntl(file, fcntl.F_GETLK, asked)
    except OSError:
        return False
    finally:
        os.close(file)
    return bool(struct.unpack(FLOCK, answer)[TYPE] != fcntl.F_UNLCK)
