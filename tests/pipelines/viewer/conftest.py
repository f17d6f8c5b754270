"""Headless Chromium for tests of pages, or the reason why there is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser, started once."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if PROGRAM is None:
        pytest.skip("no Chromium found on the PATH")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(chromium: Any, page_file: Path, *, width: int = 1400, height: int = 1000) -> Iterator[Any]:
    """A page of a file, once its scripts have run; fails on any error in the console and any request that leaves."""
    page = chromium.new_page(viewport={"width": width, "height": height})
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file.as_uri())
    yield page
    assert complaints == []
    assert [url for url in requests if not url.startswith(("data:", page_file.as_uri()))] == []
    page.close()


@pytest.fixture
def open_page(chromium: Any) -> Callable[..., Any]:
    """``with open_page(file, width=400) as page``."""
    return lambda file, **size: opened(chromium, file, **size)
