"""The noise level of a sinogram that comes without one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctresample.arrays import as_array
from ctresample.errors import SinogramError

_DIFFERENCE = np.array([1.0, -3.0, 3.0, -1.0]) / np.sqrt(20.0)
"""Third difference, of norm one: white noise keeps its variance, and a parabola leaves nothing."""

_WITHIN_ONE_SIGMA = 0.6827
"""Share of a normal distribution within one standard deviation."""

_N_GROUPS, _GROUP_SIZE = 10, 100
_STARVED = 30.0  # counts below which the logarithm bends the noise
_AGREEMENT = 1.5
_LARGEST = 50.0  # no detector counts the e^-50th part of its photons


def estimate_photons(values: NDArray[np.floating]) -> float:
    """Photons sent along each ray, from the roughness of the line integrals alone.

    Counting noise has variance ``exp(p) / photons`` (Sauer and Bouman, IEEE TSP 41(2), 1993, without electronic
    noise). What third differences along the detector leave of ``p``, times ``exp(-p / 2)``, therefore has one
    variance everywhere, and edges of the object only add to it: the rays are sorted by ``p`` into ten groups, and
    the second quietest counts. Its spread is that which 68 % of the rays keep within, so that single edges or broken
    bins do not matter.

    On simulated scans of single chest slices with air around the patient it is right to about 15 % from 1e4 to 1e6
    photons, from 25 views on. It is one number: with a bow-tie filter or tube-current modulation that of the rays
    that get most, and much electronic noise lowers it. Without rays beside the object it is refused from about 1e5
    photons on, where edges drown the noise. Weak correlation goes unnoticed: where each bin passes 5 % on to either
    neighbour, it finds half too many photons.

    Args:
        values: line integrals ``[slice, view, detector]``, each detector bin counted on its own.

    Returns:
        The photons.

    Raises:
        SinogramError: the values are too few, or their roughness is not that of independent counts: they are free
            of noise, blurred, interpolated or smoothed along the detector, or too coarse for the object's edges; or
            they are no line integrals.
    """
    values = as_array(values, "values")
    if values.ndim != 3 or not np.isfinite(values).all():
        raise SinogramError(f"values of shape {values.shape}; expected finite numbers [slice, view, detector]")
    if np.abs(values).max(initial=0) > _LARGEST:
        raise SinogramError(
            f"values reach {np.abs(values).max():.4g}; expected line integrals, -ln of the share that passes, which "
            f"stay below {_LARGEST:g}"
        )
    p = values.astype(np.float64)
    rough, level = _third_difference(p, 1)
    level, whitened = level[rough != 0], (rough * np.exp(-level / 2))[rough != 0]  # padding has no noise
    fed = np.zeros(len(level), bool)
    if len(level):
        brightest = level <= np.quantile(level, 0.25)
        fed = np.exp(-level) > _STARVED * _variance(whitened[brightest])
    if fed.sum() < _N_GROUPS * _GROUP_SIZE:
        raise SinogramError(
            f"a noise level needs {_N_GROUPS * _GROUP_SIZE} rays that are not starved and differ from their "
            f"neighbours, found {fed.sum()}; state the photons of the scan"
        )
    level, whitened = level[fed], whitened[fed]
    groups = np.array_split(np.argsort(level), _N_GROUPS)
    quietest = sorted(groups, key=lambda group: _variance(whitened[group]))[:3]
    wide, wide_level = _third_difference(p, 2)
    wide_level, wide = wide_level[wide != 0], (wide * np.exp(-wide_level / 2))[wide != 0]
    ratio = float(np.median([_variance_ratio(wide, wide_level, whitened[g], level[g]) for g in quietest]))
    if not 1 / _AGREEMENT < ratio < _AGREEMENT:
        raise SinogramError(
            f"no noise level can be told: bins two apart differ by {ratio:.2g} times the variance of neighbours, which "
            "independent counts do not; the values are free of noise, blurred, or coarse beside the object's edges; "
            "state the photons of the scan"
        )
    return 1 / _variance(whitened[quietest[1]])


def _third_difference(values: NDArray[np.float64], step: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Differences of bins ``step`` apart, and the mean of the four values in each."""
    n = max(0, values.shape[-1] - 3 * step)
    parts = [values[..., k * step : k * step + n] for k in range(4)]
    rough = sum(weight * part for weight, part in zip(_DIFFERENCE, parts, strict=True))
    return np.ravel(rough), np.ravel(sum(parts) / 4)


def _variance(whitened: NDArray[np.float64]) -> float:
    return float(np.quantile(np.abs(whitened), _WITHIN_ONE_SIGMA) ** 2)


def _variance_ratio(
    wide: NDArray[np.float64], wide_level: NDArray[np.float64], near: NDArray[np.float64], level: NDArray[np.float64]
) -> float:
    """Variance of the wide differences over that of the near ones, between rays of like level."""
    alike = wide[(wide_level >= level.min()) & (wide_level <= level.max())]
    return _variance(alike) / _variance(near) if len(alike) else np.inf
