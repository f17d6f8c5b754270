"""The summary of a benchmark as Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ctresample.metrics.structures import REGION_MM, SPOT_HU, SPOT_MM2
from ctresample.pipelines.benchmark.differences import Difference
from ctresample.pipelines.benchmark.figures import COMPARED, COSTS, ORIGINS, REGIONS, STRUCTURES, Figure
from ctresample.pipelines.benchmark.summary import Statistic, SummaryRow, main_figures
from ctresample.result import ResultRow
from ctresample.units import MATTERS_HU


def markdown(
    summary: Sequence[SummaryRow], rows: Sequence[ResultRow], *, baseline: str = "", facts: Mapping[str, str]
) -> str:
    """For each condition the figures of image quality with their paired differences, those of regions, and the costs.

    Args:
        summary: from `summarise`.
        rows: what it was made from, for the failures.
        baseline: label of the method that differences are to.
        facts: what a reader needs to repeat or doubt the result.
    """
    parts = [f"- {name}: {value}" for name, value in facts.items()]
    for condition in dict.fromkeys(row.condition for row in summary):
        of_it = [row for row in summary if row.condition == condition]
        parts += ["", f"## {condition}", "", *quality_table(of_it, baseline), "", reading(of_it, baseline)]
        parts += [
            "",
            "Errors of the whole slice, of two windows within the body and of the body "
            "(the largest object above -500 HU, filled; lung window: -1350 to 150 HU):",
            "",
            *_plain_table(of_it, REGIONS),
            "",
            f"What averages do not see, means over slices: the largest error over a square of {REGION_MM:g} mm within "
            f"the body, and pieces of {SPOT_MM2:g} mm² and more that are {SPOT_HU:g} HU and more too dense (made up) "
            "or too little (lost):",
            "",
            *_plain_table(of_it, STRUCTURES),
            "",
            "Root mean square of the two parts of the error: measured, which the data could have told (to within "
            f"{MATTERS_HU:g} HU of noise a pixel), and invented, which they leave open:",
            "",
            *_plain_table(of_it, ORIGINS),
        ]
        parts += [
            "",
            "Passes through networks and operator calls a slice (one projection measures the residual):",
            "",
            *_plain_table(of_it, COSTS),
        ]
    if failures := [row for row in rows if row.failure]:
        parts += ["", "## Failures", ""]
        parts += [f"- {row.label}, {row.slice}, {row.condition}, seed {row.seed}: {row.failure}" for row in failures]
    return "\n".join(parts) + "\n"


def quality_table(summary: Sequence[SummaryRow], baseline: str) -> list[str]:
    """Lines of a table: mean ± standard deviation and, where there is a baseline, the difference with its interval."""
    compared = COMPARED if any(row.differences for row in summary) else ()
    header, main = ["method", "slices"], main_figures(summary)
    for figure in main:
        header += [figure.heading, f"minus {baseline}"] if figure in compared else [figure.heading]
    lines = []
    for row in summary:
        cells = [_name(row), str(row.n)]
        for figure in main:
            cells.append(mean_sd(row.figures[figure.name], figure))
            if figure in compared:
                cells.append(with_interval(row.differences.get(figure.name), figure))
        lines.append(cells)
    return table(header, lines)


def reading(summary: Sequence[SummaryRow], baseline: str) -> str:
    """What the quality table's numbers are, in a sentence or two."""
    n_seeds = max(row.n_seeds for row in summary)
    n_patients = max(row.n_patients for row in summary)
    drawn = "patients" if n_patients > 1 else "slices, for there is one patient"
    text = (
        f"Mean ± standard deviation over slices, each averaged over {_count(n_seeds, 'noise draw')}; "
        f"{_count(n_patients, 'patient')}. PSNR and SSIM over {summary[0].data_range_hu:g} HU. Soft: pixels of "
        "the body whose true value lies from -160 to 240 HU."
    )
    if any(not math.isnan(row.figures["flicker"].mean) for row in summary):
        text += " Flicker: mean absolute difference of a slice from its neighbours, over that of the truth."
    if any(row.differences for row in summary):
        text += f" Differences to {baseline} are paired, with 95 % intervals by bootstrap over {drawn}."
    return text


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    rows = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in line] for line in lines)]
    return [f"| {' | '.join(row)} |" for row in rows]


def mean_sd(statistic: Statistic, figure: Figure) -> str:
    """Such as ``35.25 ± 0.74``."""
    mean = figure.text(statistic.mean)
    return mean if math.isnan(statistic.sd) else f"{mean} ± {figure.text(statistic.sd)}"


def with_interval(difference: Difference | None, figure: Figure) -> str:
    """Such as ``+1.98 [+1.71, +2.20]``."""
    if difference is None:
        return "–"
    mean = figure.signed(difference.mean)
    if math.isnan(difference.low):
        return mean
    return f"{mean} [{figure.signed(difference.low)}, {figure.signed(difference.high)}]"


def _plain_table(summary: Sequence[SummaryRow], figures: Sequence[Figure]) -> list[str]:
    shown = [figure for figure in figures if any(row.figures[figure.name].mean > 0 for row in summary)]
    lines = [[_name(row), *(figure.text(row.figures[figure.name].mean) for figure in shown)] for row in summary]
    return table(["method", *(figure.heading for figure in shown)], lines)


def _name(row: SummaryRow) -> str:
    return row.label + (f" ({row.n_failed} failed)" if row.n_failed else "")


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s'[: n != 1]}"
