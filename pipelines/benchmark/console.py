"""The summary of a benchmark on the screen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ctresample.pipelines.benchmark.figures import Figure
from ctresample.pipelines.benchmark.summary import SummaryRow, best_rows, main_figures, summarise
from ctresample.result import ResultRow

if TYPE_CHECKING:
    from rich.console import Console


def print_summary(rows: Sequence[ResultRow], console: Console) -> None:
    """Print mean ± standard deviation for each method, the best of each number of views in bold.

    Args:
        rows: the table; failed reconstructions are counted.
        console: a rich console.

    Raises:
        CTResampleError: the rows differ in data range.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    summary = summarise(rows)
    for condition, group in itertools.groupby(summary, key=lambda row: row.condition):
        of_it = list(group)
        last = of_it[-1] is summary[-1]
        # Text, because a plain string would be read as rich markup: "[red]" is a legal method name.
        table = Table(title=Text(condition), title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True)
        if last:
            table.caption, table.caption_justify = _caption(summary), "left"
        # On a narrow terminal the deviations go to a second line; names and counts stay whole.
        table.add_column("Method", no_wrap=True)
        table.add_column("n", justify="right", no_wrap=True)
        columns = []
        for figure in main_figures(summary):
            table.add_column(figure.heading, justify="right", min_width=max(map(len, figure.heading.split())))
            columns.append([Text(*cell) for cell in _mean_sd_cells(of_it, figure)])
        for index, row in enumerate(of_it):
            table.add_row(Text(row.label), str(row.n), *(column[index] for column in columns))
        console.print(table)
    if not summary:
        console.print("No results.")


def _mean_sd_cells(summary: Sequence[SummaryRow], figure: Figure) -> list[tuple[str, str]]:
    """For each row "mean ±sd" with the decimal points in line, and its style."""
    pairs = [row.figures[figure.name] for row in summary]
    deviations = ["" if math.isnan(pair.sd) else f"±{figure.text(pair.sd)}" for pair in pairs]
    width = max(map(len, deviations), default=0)
    return [
        (f"{figure.text(pair.mean)} {deviation:>{width}}", "bold green" if best else "")
        for pair, deviation, best in zip(pairs, deviations, best_rows(summary, figure), strict=True)
    ]


def _caption(summary: Sequence[SummaryRow]) -> str:
    failed = sum(row.n_failed for row in summary)
    return (
        f"Mean ± standard deviation over n slices; PSNR and SSIM over {summary[0].data_range_hu:g} HU. "
        "Bold: best of that scan (residual ratio: nearest to 1)."
    ) + (f" {failed} reconstructions failed." if failed else "")
