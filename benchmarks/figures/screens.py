"""The docs' pictures of a report, in a wide window and on a phone, by headless Chromium.

Run: python benchmarks/figures/screens.py demo-output/report.html     (needs playwright and Chromium)
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import ctresample

FIGURES = Path(ctresample.__file__).parent / "docs" / "figures"
WINDOWS = {"report-1400.png": (1400, 1500), "report-400.png": (400, 860)}
COLOURS = 128  # the pages are mostly grey


def main() -> None:
    """Take them."""
    report = Path(sys.argv[1]).resolve()
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, (width, height) in WINDOWS.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(report.as_uri())
            picture = Image.open(io.BytesIO(page.screenshot()))
            picture.convert("RGB").quantize(COLOURS).save(FIGURES / name, optimize=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
