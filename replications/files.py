"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from replications.errors import ReplicationError


def _umask() -> int:
    """Return the permissions that the user takes away from new files; a temporary file is made without any for others."""
    mask = os.umask(0o077)  # it can only be read by setting it
    os.umask(mask)
    return mask


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success flush it to disk and move it there, else remove it.

    Args:
        path: file to write or replace.

    Yields:
        The temporary path.

    Raises:
        ReplicationError: the folder cannot be written or the disk is full; what `path` held before is intact.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ReplicationError(
            f"Cannot write {path}: {error.strerror or error}. Free space or fix the permissions of {path.parent}, then run the same"
            " command again; what was there before is unchanged."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
