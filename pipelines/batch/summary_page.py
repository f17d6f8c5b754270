"""``summary.html``: what people look at in the morning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ctresample.pipelines.batch.rows import SummaryRow
from ctresample.pipelines.output import write_text_atomically

PAGE_NAME = "summary.html"


def write_summary_page(folder: Path, rows: Sequence[SummaryRow], facts: Mapping[str, str]) -> None:
    """Write the page, whole or not at all; it shows the previews that lie in the result folders.

    Args:
        folder: of the batch.
        rows: in the order to show.
        facts: what was done to all of them, in the order to show.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counts = Counter(row.status for row in rows)
    html = environment.get_template("batch.html.j2").render(rows=rows, facts=facts, counts=counts)
    write_text_atomically(folder / PAGE_NAME, html)
