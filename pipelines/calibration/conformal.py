"""Split conformal prediction with units that hold many values: patients with their pixels, or slices.

Pixels of one patient are much alike, so a million of them are no million calibration points. What is exchangeable is
patients: a factor holds if, on average over new patients, the share of pixels that it covers is the one asked for
(Vovk et al., Algorithmic Learning in a Random World, 2005; for units with many values Dunn, Wasserman and Ramdas,
JASA 2023). Here that average is taken over the calibration patients, each left out in turn. It is no worst-case
guarantee: that would need, of ten patients, the 99th percentile of all pixels, and makes intervals that cover 99 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import CalibrationError

N_QUANTILES = 500
"""A unit's values are kept as so many quantiles, so that every unit counts the same."""

_LEVELS = 200
_ROUNDING = 1e-9

Floats = NDArray[np.floating[Any]]


def fewest_units(coverage: float) -> int:
    """Calibration units without which no bound of that coverage exists: 9 for 90 %, 19 for 95 %."""
    return math.ceil(coverage / (1 - coverage) - _ROUNDING)


def quantiles_of(values: Floats) -> NDArray[np.float64]:
    """A unit's values as `N_QUANTILES` of them."""
    return np.quantile(values, (np.arange(N_QUANTILES) + 0.5) / N_QUANTILES)


def factor_of(units: Sequence[Floats], coverage: float) -> float:
    """What the values of a new unit stay below, up to a share of ``1 - coverage`` on average over units.

    Args:
        units: of each unit its quantiles, from `quantiles_of`.
        coverage: between 0 and 1.

    Raises:
        CalibrationError: fewer units than `fewest_units`.
    """
    check_units(len(units), coverage)
    values = np.stack(list(units))
    levels = np.linspace(coverage, 1, _LEVELS)
    covered = np.zeros(_LEVELS)
    for number, own in enumerate(values):
        factors = np.quantile(np.delete(values, number, axis=0), levels)
        covered += np.searchsorted(np.sort(own), factors, side="right") / (own.size * len(values))
    enough = np.flatnonzero(covered >= coverage - _ROUNDING)
    return float(np.quantile(values, levels[enough[0]] if len(enough) else 1.0))


def rank_bound(values: Sequence[float], coverage: float) -> float:
    """What a new value stays below with that probability: the one of rank ``ceil((n + 1) coverage)`` of n seen.

    Raises:
        CalibrationError: fewer values than `fewest_units`.
    """
    check_units(len(values), coverage)
    return sorted(values)[math.ceil((len(values) + 1) * coverage - _ROUNDING) - 1]


def check_units(count: int, coverage: float) -> None:
    """`CalibrationError` if so few units can give no bound of that coverage."""
    if count < fewest_units(coverage):
        raise CalibrationError(
            f"{count} calibration units give no bound at {100 * coverage:g} %; expected {fewest_units(coverage)} "
            "patients, or as many slices, or more"
        )
