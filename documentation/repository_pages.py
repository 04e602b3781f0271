"""Pages of the repository that the site shows too: guides are written once, where people who work in a clone look for them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from replications.paths import ROOT
from replications.presentation.citations import suite

SHOWN = {
    "CONTRIBUTING.md": "contributing.md",
    "config/README.md": "configuration.md",
    "report/README.md": "report.md",
    "CHANGELOG.md": "changelog.md",
}
"""File of the repository -> its page under `generated/`."""

_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def page(name: str) -> str:
    """Return a file of the repository as a page, with its relative links leading to the site, or to the repository where the site lacks them.

    Args:
        name: key of `SHOWN`.

    Returns:
        Markdown.
    """
    here = PurePosixPath(name).parent

    def linked(match: re.Match[str]) -> str:
        target, anchor = (here / match[1]).as_posix(), match[2] or ""
        if target in SHOWN:
            return f"]({SHOWN[target]}{anchor})"
        if target.startswith("docs/"):
            return f"](../{target.removeprefix('docs/')}{anchor})"
        return f"]({suite()['url']}/blob/main/{target}{anchor})"

    return _LINK.sub(linked, (ROOT / name).read_text(encoding="utf-8"))
