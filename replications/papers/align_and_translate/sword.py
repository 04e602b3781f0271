"""Two Bibles of the SWORD project as pairs of verses; their compressed texts are read here, without the SWORD library.

Format zText: for each testament `<name>.bzs` has 12 bytes a block (offset, compressed size, size), `<name>.bzv` 10 bytes a verse
(block, offset in the block, length of 16 bits), and `<name>.bzz` the blocks, compressed with zlib. Verses are numbered by a scheme that
`mods.d/<module>.conf` names under `Versification`; only in equal schemes is entry i of one Bible entry i of the other.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from replications.errors import DataError

INSTALL = "apt-get install sword-text-kjv sword-text-sparv"

ENGLISH, SPANISH = "engKJV2006eb", "spaRV1909eb"
"""Modules of the packages sword-text-kjv 14.3 (text of 1769) and sword-text-sparv 2.60 (Reina-Valera of 1909)."""

_LEFT_OUT = re.compile(r"<(note|title)\b.*?</\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def usual_places() -> list[Path]:
    """Return the folders where Debian's packages and SWORD's front ends install modules; without a home folder, the system's alone."""
    own = Path(os.path.expanduser("~/.sword"))  # noqa: PTH111 (pathlib raises where there is no home folder)
    return [Path("/usr/share/sword"), Path("/usr/local/share/sword"), *([own] if own.is_absolute() else [])]


def read_bibles(places: Sequence[Path] | None = None) -> str:
    """Return verse pairs of the two installed Bibles, one a line: testament and entry, English, Spanish, separated by tabs.

    Args:
        places: folders that may hold SWORD's `mods.d` and `modules`; None: the usual ones.

    Returns:
        Lines in the order of the English Bible; entries that either lacks are left out.

    Raises:
        DataError: a module is missing, of another numbering, or damaged.
    """
    folders = usual_places() if places is None else places
    english, spanish = (_module(name, folders) for name in (ENGLISH, SPANISH))
    schemes = [_setting(conf, "Versification", "KJV") for conf, _ in (english, spanish)]
    if schemes[0] != schemes[1]:
        raise DataError(
            f"{english[0]} numbers its verses by '{schemes[0]}', {spanish[0]} by '{schemes[1]}': entry i of one is not entry i of the other."
            f" Install modules of one numbering: {INSTALL}."
        )
    lines = []
    for testament in ("ot", "nt"):
        entries = [list(_verses(folder, testament)) for _, folder in (english, spanish)]
        if len(entries[0]) != len(entries[1]):
            raise DataError(
                f"{english[1]} has {len(entries[0]):,} entries in '{testament}', {spanish[1]} has {len(entries[1]):,}: their numberings differ."
                f" Install modules of one numbering: {INSTALL}."
            )
        lines += [f"{testament}-{i}\t{a}\t{b}" for i, (a, b) in enumerate(zip(*entries, strict=True)) if a and b]
    return "\n".join(lines) + "\n"


def _module(name: str, places: Sequence[Path]) -> tuple[Path, Path]:
    """Return the configuration file and the data folder of a module."""
    for place in places:
        conf = place / "mods.d" / f"{name}.conf"
        if conf.is_file():
            return conf, place / _setting(conf, "DataPath", "")
    looked = ", ".join(str(place) for place in places)
    raise DataError(
        f"The SWORD module '{name}' is not installed (looked in {looked}). Install it: {INSTALL}; or put a copy of the pairs in a mirror."
    )


def _setting(conf: Path, key: str, default: str) -> str:
    """Return the value of a key of a module's configuration file."""
    match = re.search(rf"^{key}=(.*)$", conf.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return match[1].strip() if match else default


def _verses(folder: Path, testament: str) -> Iterator[str]:
    """Yield the plain text of every entry of a testament, empty where the module has none."""
    try:
        blocks_index, verses_index, compressed = ((folder / f"{testament}.{ending}").read_bytes() for ending in ("bzs", "bzv", "bzz"))
        blocks = [zlib.decompress(compressed[start : start + size]) for start, size, _ in struct.iter_unpack("<III", blocks_index)]
        for block, start, length in struct.iter_unpack("<IIH", verses_index):
            raw = blocks[block][start : start + length] if length else b""
            if len(raw) != length:
                raise IndexError(f"a verse of {length} bytes reaches beyond its block")
            yield plain_text(raw.decode("utf-8"))
    except (OSError, zlib.error, struct.error, IndexError, UnicodeDecodeError) as error:
        raise DataError(f"{folder}, testament '{testament}' cannot be read: {error}. Install the module again: {INSTALL}.") from error


def plain_text(verse: str) -> str:
    """Return a verse without notes, titles, tags and pilcrows, and with single spaces.

    >>> plain_text("<title>A Psalm</title>¶ The <w>Lord</w>  is my <note>a note</note>shepherd.")
    'The Lord is my shepherd.'

    Args:
        verse: OSIS markup.
    """
    return " ".join(_TAG.sub("", _LEFT_OUT.sub("", verse)).replace("¶", "").split())
