"""Results over slices: mean and standard deviation of every figure, with the differences to a baseline."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ctresample.errors import CTResampleError
from ctresample.pipelines.benchmark.differences import Difference, differences, grouped
from ctresample.pipelines.benchmark.figures import FIGURES, MAIN, Figure
from ctresample.result import Labelled, ResultRow


@dataclass(frozen=True)
class Statistic:
    """Mean over slices and sample standard deviation (n - 1); the latter is NaN for one slice."""

    mean: float
    sd: float


@dataclass(frozen=True)
class SummaryRow(Labelled):
    """The figures of one method with one preset under one condition.

    Attributes:
        condition: name of the scan.
        views: of it.
        method: the solver.
        preset: its named settings.
        n: slices that it reconstructed.
        n_patients: whose slices they are.
        n_seeds: noise draws; a slice's figures are averaged over them first.
        n_failed: reconstructions that failed.
        data_range_hu: of PSNR and SSIM.
        figures: by name.
        differences: to the baseline by name of the figure; empty for the baseline itself, or where there is none.
    """

    condition: str
    views: int
    method: str
    preset: str
    n: int
    n_patients: int
    n_seeds: int
    n_failed: int
    data_range_hu: float
    figures: Mapping[str, Statistic]
    differences: Mapping[str, Difference]


def summarise(
    rows: Sequence[ResultRow], *, baseline: str = "", generator: np.random.Generator | None = None
) -> list[SummaryRow]:
    """The figures over slices, for each condition, method and preset.

    Args:
        rows: the table, in any order.
        baseline: label of the method that the others are compared with; conditions without it have no differences.
        generator: source of the bootstrap's randomness, needed for a baseline.

    Returns:
        Conditions and, within each, methods in the order they first appear.

    Raises:
        CTResampleError: the rows differ in data range, so that their PSNR and SSIM do not compare.
    """
    ranges = sorted({row.data_range_hu for row in rows if not row.failure})
    if len(ranges) > 1:
        raise CTResampleError(f"the rows have data ranges {ranges} HU; PSNR and SSIM compare only within one")
    order = {name: place for place, name in enumerate(dict.fromkeys(row.condition for row in rows))}
    groups: dict[tuple[str, str, str], list[ResultRow]] = {}
    for row in rows:
        groups.setdefault((row.condition, row.method, row.preset), []).append(row)
    found = {(condition, f"{m} {p}".strip()): group for (condition, m, p), group in groups.items()}
    summary = []
    # sorting is stable: within one condition the order of first appearance stays
    for (condition, method, preset), group in sorted(groups.items(), key=lambda item: order[item[0][0]]):
        good = [row for row in group if not row.failure]
        reference = found.get((condition, baseline))
        compared = generator is not None and reference is not None and reference is not group
        summary.append(
            SummaryRow(
                condition=condition,
                views=group[0].views,
                method=method,
                preset=preset,
                n=len({row.slice for row in good}),
                n_patients=len({row.patient for row in good}),
                n_seeds=len({row.seed for row in good}),
                n_failed=len(group) - len(good),
                data_range_hu=ranges[0] if ranges else math.nan,
                figures={figure.name: _statistic(_over_seeds(good, figure.name)) for figure in FIGURES},
                differences=differences(good, reference, generator) if compared else {},  # type: ignore[arg-type]
            )
        )
    return summary


def best_rows(summary: Sequence[SummaryRow], figure: Figure) -> list[bool]:
    """Which rows hold the best mean of a figure, among those of the same condition: a flag a row of `summarise`."""
    groups = itertools.groupby(summary, key=lambda row: row.condition)
    return [mark for _, group in groups for mark in figure.best_of([row.figures[figure.name].mean for row in group])]


def main_figures(summary: Sequence[SummaryRow]) -> tuple[Figure, ...]:
    """Those of `MAIN` that there are: slices by themselves have no flicker."""
    flickers = any(not math.isnan(row.figures["flicker"].mean) for row in summary)
    return tuple(figure for figure in MAIN if figure.name != "flicker" or flickers)


def _over_seeds(rows: Sequence[ResultRow], name: str) -> list[float]:
    """A figure a slice, averaged over its noise draws."""
    by_slice = grouped(rows, lambda row: row.slice, lambda row: getattr(row, name))
    return [sum(values) / len(values) for values in by_slice.values()]


def _statistic(values: Sequence[float]) -> Statistic:
    if not values:
        return Statistic(math.nan, math.nan)
    if not all(map(math.isfinite, values)):
        return Statistic(sum(values) / len(values), math.nan)
    return Statistic(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan)
