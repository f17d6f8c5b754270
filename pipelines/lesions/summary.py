"""Lesions over slices: means with intervals over patients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ctresample.pipelines.benchmark.differences import cluster_bootstrap
from ctresample.pipelines.lesions.rows import LesionRow, SliceRow


@dataclass(frozen=True)
class Mean:
    """A mean and the ends of its 95 % interval by bootstrap over patients, or where there is one, over its slices.

    The interval is NaN for a single value.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class LesionSummary:
    """Lesions of one size and contrast under one method and scan.

    Attributes:
        condition: name of the scan.
        label: method and preset.
        diameter_mm: of the lesions.
        contrast_hu: of them.
        n: lesions.
        detectability: of the ideal observer in the sinogram, mean.
        recovered: share of the contrast.
        erased: share of the lesions.
        in_silence: share of them that is erased, and of which the misfit says nothing.
        unflagged: share of them that is erased in silence, and which their 90 % intervals do not hold either.
        though_told: share of them that is erased, although the data tell of it.
    """

    condition: str
    label: str
    diameter_mm: float
    contrast_hu: float
    n: int
    detectability: float
    recovered: Mean
    erased: Mean
    in_silence: Mean
    unflagged: Mean
    though_told: Mean


@dataclass(frozen=True, kw_only=True)
class FalseSummary:
    """Slices without lesions under one method and scan.

    Attributes:
        condition: name of the scan.
        label: method and preset.
        n: slices.
        false_lesions: of a slice.
    """

    condition: str
    label: str
    n: int
    false_lesions: Mean


def summarise_lesions(rows: Sequence[LesionRow | SliceRow]) -> tuple[list[LesionSummary], list[FalseSummary]]:
    """Every scan, method, size and contrast, in order of first appearance, sizes and contrasts rising."""
    lesions = [row for row in rows if isinstance(row, LesionRow)]
    slices = [row for row in rows if isinstance(row, SliceRow) and not row.failure]
    order = list(dict.fromkeys((row.condition, row.label) for row in rows))
    kinds = sorted({(row.contrast_hu, row.diameter_mm) for row in lesions})
    made, false = [], []
    for condition, label in order:
        mine = [row for row in lesions if (row.condition, row.label) == (condition, label)]
        for contrast_hu, diameter_mm in kinds:
            kind = [row for row in mine if (row.contrast_hu, row.diameter_mm) == (contrast_hu, diameter_mm)]
            if not kind:
                continue
            made.append(
                LesionSummary(
                    condition=condition,
                    label=label,
                    diameter_mm=diameter_mm,
                    contrast_hu=contrast_hu,
                    n=len(kind),
                    detectability=float(np.mean([row.detectability for row in kind])),
                    recovered=_mean(kind, lambda row: row.recovered),
                    erased=_mean(kind, lambda row: float(row.erased)),
                    in_silence=_mean(kind, lambda row: float(row.in_silence)),
                    unflagged=_mean(kind, lambda row: float(row.unflagged)),
                    though_told=_mean(kind, lambda row: float(row.though_told)),
                )
            )
        if clear := [row for row in slices if (row.condition, row.label) == (condition, label)]:
            false.append(
                FalseSummary(
                    condition=condition,
                    label=label,
                    n=len(clear),
                    false_lesions=_mean(clear, lambda row: row.false_lesions),
                )
            )
    return made, false


def _mean(rows: Sequence, value: Callable) -> Mean:  # type: ignore[type-arg]
    values = np.array([value(row) for row in rows], np.float64)
    if len(values) < 2:
        return Mean(float(values.mean()), math.nan, math.nan)
    low, high = cluster_bootstrap(values, [row.patient for row in rows], np.random.default_rng(0))
    return Mean(float(values.mean()), low, high)
