"""Paired differences of a method to a baseline, with confidence intervals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctresample.pipelines.benchmark.figures import FIGURES
from ctresample.result import ResultRow

DRAWS = 10_000
"""Bootstrap samples."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """Mean paired difference to a baseline, method minus baseline, with a 95 % confidence interval.

    Attributes:
        mean: over slices that both have.
        low: lower end of the interval, NaN where there is one cluster only.
        high: upper end.
        n_slices: pairs.
        n_patients: whose slices they are. One: the slices were drawn, and say nothing of other patients.
    """

    mean: float
    low: float
    high: float
    n_slices: int
    n_patients: int


def differences(
    rows: Sequence[ResultRow], reference: Sequence[ResultRow], generator: np.random.Generator
) -> dict[str, Difference]:
    """Of all figures by name, method minus baseline: each averaged over the noise draws of a slice that both have.

    Args:
        rows: of the method, without failures.
        reference: of the baseline.
        generator: source of the bootstrap's randomness.
    """
    other = {(row.slice, row.seed): row for row in reference if not row.failure}
    pairs = [(row, other[row.slice, row.seed]) for row in rows if (row.slice, row.seed) in other]
    patients = {row.slice: row.patient for row, _ in pairs}
    found = {}
    for figure in FIGURES:
        by_slice = grouped(pairs, lambda pair: pair[0].slice, _difference_of(figure.name))
        if not by_slice:
            continue
        values = np.array([statistics.fmean(of_slice) for of_slice in by_slice.values()])
        clusters = [patients[name] for name in by_slice]
        low, high = cluster_bootstrap(values, clusters, generator)
        found[figure.name] = Difference(float(values.mean()), low, high, len(values), len(set(clusters)))
    return found


def cluster_bootstrap(
    values: NDArray[np.float64], clusters: Sequence[int], generator: np.random.Generator
) -> tuple[float, float]:
    """A 95 % percentile interval of the mean of values that come in clusters, such as the slices of patients.

    Whole clusters are drawn with replacement, as many as there are (Davison and Hinkley, "Bootstrap Methods and
    their Application", 1997, section 3.8), and the mean taken over all their values. With few clusters it is too
    narrow rather than too wide.

    Args:
        values: any number.
        clusters: a number a value, the same for values of one cluster. Where all are the same, each value is one.
        generator: source of all randomness.

    Returns:
        Lower and upper end; NaN for a single value, or where one is infinite (the PSNR of a perfect image).
    """
    _, places = np.unique(clusters, return_inverse=True)
    if places.max() == 0:
        places = np.arange(len(values))
    n = int(places.max()) + 1
    if n < 2 or not np.isfinite(values).all():
        return math.nan, math.nan
    sums, counts = np.bincount(places, values), np.bincount(places)
    drawn = generator.integers(n, size=(DRAWS, n))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


def grouped(items: Sequence, key: Callable, value: Callable) -> dict[str, list[float]]:  # type: ignore[type-arg]
    """Values by key, without those that are no number."""
    groups: dict[str, list[float]] = {}
    for item in items:
        if not math.isnan(found := value(item)):
            groups.setdefault(key(item), []).append(found)
    return groups


def _difference_of(name: str) -> Callable[[tuple[ResultRow, ResultRow]], float]:
    return lambda pair: getattr(pair[0], name) - getattr(pair[1], name)
