"""Folders of the suite's own files."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
PAPERS = PACKAGE / "papers"
"""One folder per paper."""
