"""Corpora that several papers use: prose, C, and C++ that needs no download."""

from __future__ import annotations

import importlib.util
import itertools
import random
from pathlib import Path
from typing import TYPE_CHECKING

from replications.engine.datasets import DataSource
from replications.engine.text import CorpusSpec
from replications.errors import DataError

if TYPE_CHECKING:
    import datasets

PROGRAM_CHARACTERS = 1_800_000
"""Largest length of the program text, in characters."""


def _arrow_headers(_: str) -> datasets.Dataset:
    """Return one row 'text' of C++ out of an installed, pinned dependency: Apache Arrow's headers, which every wheel of pyarrow carries.

    Left out are the licence at the head of each file (the same 800 characters, hundreds of times), code vendored from
    elsewhere, files that are not ASCII, and the one that names the build. Whole files follow in a fixed random order, up to
    `PROGRAM_CHARACTERS`.
    """
    import datasets

    package = importlib.util.find_spec("pyarrow")
    if package is None or package.origin is None:
        raise DataError("The package pyarrow is not installed; it comes with requirements.lock. Run `make report` to set up .venv.")
    paths = sorted((Path(package.origin).parent / "include" / "arrow").rglob("*.h"))
    own = [path for path in paths if path.name != "config.h" and "vendored" not in path.parts]
    files = [data.decode("ascii") for data in (path.read_bytes() for path in own) if data.isascii()]
    texts = [text.partition("\n\n")[2] if text.startswith("// Licensed to the Apache") else text for text in files]
    random.Random(0).shuffle(texts)  # noqa: S311 (an order, not a secret)
    ends = itertools.accumulate(len(text) + 1 for text in texts)
    return datasets.Dataset.from_dict(
        {"text": ["\n".join(text for text, end in zip(texts, ends, strict=True) if end <= PROGRAM_CHARACTERS)]}
    )


TINY_SHAKESPEARE = DataSource(
    name="tiny-shakespeare",
    splits={"all": 1},
    fingerprints={"all": "68753a8e2f7e6d80"},
    address="https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",
    file="text/tinyshakespeare.txt.gz",
    licence="public domain",
    citation="Karpathy, A. (2015). char-rnn, data/tinyshakespeare.",
)
LINUX = DataSource(
    name="linux",
    splits={"all": 1},
    fingerprints={"all": "5b818f5355c81f2b"},
    file="text/linux_kernel.txt.gz",
    licence="GPL-2.0",
    citation="The Linux kernel 4.19, directory kernel/.",
    note="304 files of Linux 4.19's kernel/ in random order, 6,206,214 bytes of 101 kinds, from a copy not compared with upstream. It stands"
    " for a file of 6,206,996 bytes that published results rest on and that was not found.",
)
PROGRAM_TEXT = DataSource(
    name="arrow-headers",
    splits={"all": 1},
    fingerprints={"all": "27d4a8b3fa05b3d1"},
    build=_arrow_headers,
    licence="Apache-2.0",
    citation="Apache Arrow developers (2026). Apache Arrow 26, C++ headers.",
    note="C++ headers of pyarrow 26.0.1 as installed, without licence texts and vendored code. Another version has other headers: whoever renews"
    " requirements.lock renews this fingerprint.",
)

CORPORA = {
    "tiny-shakespeare": CorpusSpec(TINY_SHAKESPEARE, "prose", 0.05, 0.05),
    "linux": CorpusSpec(LINUX, "c", 0.05, 0.05),
    "program-text": CorpusSpec(PROGRAM_TEXT, "cpp", 0.05, 0.05),
}
"""Corpora by the name that settings use."""
