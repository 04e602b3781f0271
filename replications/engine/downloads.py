"""A single file from a pinned address: whole and of the declared content, or an error that keeps nothing wrong.

`http.client` gives what it has when a connection ends early, and a network that asks for a sign-in answers every address with a
page of its own. So the length is compared with what the server announced, and the content is checked before the file gets its name.
"""

from __future__ import annotations

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path

from replications.engine.locks import FileLock
from replications.errors import DataError

TRUE = frozenset({"1", "ON", "YES", "TRUE"})
"""What Hugging Face's libraries take for true, in any case of letters."""


def offline() -> bool:
    """Return True when the environment forbids downloads, by the variables and values that Hugging Face's libraries read."""
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").upper() in TRUE for name in names)


def download(address: str, target: Path, check: Callable[[Path], None]) -> None:
    """Fetch a file, continuing a part of it that is there; a second process that asks for the same file waits.

    Args:
        address: of the file.
        target: where the file goes once it is whole and checked; the unfinished part lies beside it.
        check: raises DataError when a path does not hold the declared content.

    Raises:
        OSError: the server cannot be reached, or closed the connection early; what arrived is continued next time.
        DataError: other content than declared arrived; it was removed.
        ReplicationError: the folder cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    lock = FileLock(target.with_name(f"{target.name}.lock"), lambda _: None)
    lock.acquire(wait=True)
    try:
        if target.is_file():
            return
        continued = _receive(address, part)
        try:
            check(part)
        except DataError:
            part.unlink()
            if not continued:
                raise
            # The first part can be of an older file or of something else, so the whole is fetched once.
            _receive(address, part)
            _keep_only_checked(part, check)
        part.replace(target)
    finally:
        lock.release()


def _keep_only_checked(part: Path, check: Callable[[Path], None]) -> None:
    try:
        check(part)
    except DataError:
        part.unlink()
        raise


def _receive(address: str, part: Path) -> bool:
    """Complete the part of a file; return whether some of it was there before."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 (pinned https)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 (the same)
            continued = have > 0 and _range_start(answer.headers) == have
            if answer.status == http.HTTPStatus.PARTIAL_CONTENT and not continued:
                raise OSError("the server sent another part of the file than was asked for; remove " + str(part))
            length = answer.headers.get("Content-Length")
            expected = int(length) + have * continued if length and length.isdigit() else None
            with part.open("ab" if continued else "wb") as file:
                while block := answer.read(1 << 20):
                    file.write(block)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        if _total(error.headers) == have:  # the part is the whole file
            return True
        part.unlink()
        return _receive(address, part)
    except http.client.HTTPException as error:  # such as a chunk cut short; not an OSError
        raise OSError(f"the answer is damaged ({error!r})") from error
    received = part.stat().st_size
    if expected is not None and received != expected:
        raise OSError(f"the connection was closed after {received:,} of {expected:,} bytes; the same command continues")
    return continued


def _range_start(headers: Message) -> int | None:
    match = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _total(headers: Message) -> int | None:
    match = re.match(r"bytes .*/(\d+)$", headers.get("Content-Range", ""))
    return int(match[1]) if match else None
