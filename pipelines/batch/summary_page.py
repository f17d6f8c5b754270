"""``summary.html``: what people look at in the morning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctresample.files import write_file
from ctresample.pipelines.batch.rows import SummaryRow
from ctresample.pipelines.page import filled

PAGE_NAME = "summary.html"


def write_summary_page(folder: Path, rows: Sequence[SummaryRow], facts: Mapping[str, str]) -> None:
    """Write the page, whole or not at all; it shows the previews that lie in the result folders.

    Args:
        folder: of the batch.
        rows: in the order to show.
        facts: what was done to all of them, in the order to show.
    """
    counts = Counter(row.status for row in rows)
    write_file(folder / PAGE_NAME, filled("batch.html.j2", rows=rows, facts=facts, counts=counts))


def facts_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings of a batch in words, from its manifest."""
    scan = settings["scan"]
    photons = f"{scan['photons']:,g} photons a ray" if scan["photons"] else "no noise"
    return {
        "method": " ".join(filter(None, (settings["method"], settings["preset"]))),
        "DICOM series": f"scanned with {scan['n_views']} views, {scan['beam']}, {photons}",
        "learned model": f"weights {settings['prior']['sha256'][:12]}" if settings["prior"] else "none",
        "ctresample": settings["ctresample"],
    }
