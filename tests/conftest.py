"""For all tests: one thread each, and a real browser for those of pages (Debian's Chromium, driven by Playwright, with the network off)."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from replications.paths import ROOT

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before torch starts: threads of two workers that spin on shared cores cost both a factor of 2.5

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOCAL = ("file:", "data:", "blob:", "about:")
expect.set_options(timeout=20_000)  # a browser shares its cores with other tests

Visit = Callable[..., Page]

pytest_plugins = ["tests.factories"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--report-folder",
        type=Path,
        default=ROOT / "results" / "smoke" / "report",
        help="The report that browser tests open; default: smoke.",
    )


@pytest.fixture(autouse=True)
def figures_are_closed() -> Iterator[None]:
    """Close the figures that a test left open: matplotlib warns of many, and warnings are errors."""
    yield
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close("all")


@pytest.fixture(scope="session")
def report_folder(pytestconfig: pytest.Config) -> Path:
    """A finished report."""
    folder: Path = pytestconfig.getoption("--report-folder").resolve()
    if not (folder / "index.html").is_file():
        pytest.skip(f"{folder} holds no report: run `make report` first (`make test` does).")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no browser on this machine: `apt-get install chromium` lets this test run.")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser, report_folder: Path) -> Iterator[Visit]:
    """Open a page of the report from disk: `visit("index.html", width=360, color_scheme="dark")`; `requested` gathers what it loads.

    A console error, a failed script or a request that leaves the disk fails the test when it ends.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def watch(page: Page) -> None:
        page.on("console", lambda message: faults.append(f"console: {message.text}") if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(f"script: {error}"))
        page.on("request", lambda request: None if request.url.startswith(LOCAL) else faults.append(f"request: {request.url}"))
        page.on("requestfailed", lambda request: faults.append(f"missing: {request.url}"))

    def go(
        path: str, *, width: int = 1280, height: int = 800, fragment: str = "", requested: set[str] | None = None, **options: Any
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        watch(page)
        if requested is not None:
            page.on("request", lambda request: requested.add(request.url))
        page.goto((report_folder / path).as_uri() + fragment)
        return page

    yield go
    for context in contexts:
        context.close()
    assert not faults
