"""Photon and electronic noise of a low-dose scan, in line integrals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctresample.arrays import as_array
from ctresample.errors import UsageError
from ctresample.noise.detector import with_crosstalk

_MOST_NEGATIVE = 80.0  # values that are no line integrals must not overflow

COUNT_FLOOR = 1.0
"""Smallest count the logarithm sees (the usual floor of low-dose simulations): a starved ray reads ln(photons)."""


def add_noise(
    transmission: NDArray[np.float64],
    *,
    photons: float | NDArray[np.floating],
    electronic_noise: float,
    generator: np.random.Generator,
    crosstalk: float = 0.0,
) -> NDArray[np.float32]:
    """Line integrals as a detector with counting and electronic noise would report them.

    ``N ~ Poisson(photons * transmission) + Normal(0, electronic_noise^2)``, ``p = -ln(max(N, 1) / photons)``. Photons
    are counted first, then crosstalk spreads their light, with the noise it carries, then the read-out adds its own.

    Args:
        transmission: fraction of photons that reach each bin, in (0, 1], any shape.
        photons: photons sent along each ray: a number, or an array that broadcasts to ``transmission``.
        electronic_noise: standard deviation of the read-out in photons.
        generator: source of all randomness.
        crosstalk: share of each bin's signal that either neighbour gets, from 0 to below 1/3.

    Raises:
        UsageError: photons are not above 0 or do not fit, or the electronic noise is below 0.
    """
    check_noise(photons, electronic_noise)
    transmission = as_array(transmission, "transmission", np.float64)
    try:
        expected = np.broadcast_to(photons, transmission.shape) * transmission
    except ValueError:
        raise UsageError(
            f"photons have shape {np.shape(photons)}; expected one number, or an array that fits {transmission.shape}"
        ) from None
    counts = with_crosstalk(generator.poisson(expected).astype(np.float64), crosstalk)
    counts += generator.normal(0, electronic_noise, transmission.shape)
    return (-np.log(np.maximum(counts, COUNT_FLOOR) / photons)).astype(np.float32)


def line_integral_variance(
    values: NDArray[np.float32], *, photons: float | NDArray[np.floating], electronic_noise: float
) -> NDArray[np.float32]:
    """Variance of each measured line integral, to first order: ``(N + electronic_noise^2) / N^2``.

    ``N = photons * exp(-values)`` is the count behind the value (Sauer and Bouman, IEEE TSP 41(2), 1993). Photons
    ``[view, detector]`` hold for every slice, or row of a flat panel.
    """
    counts = np.maximum(
        photons * np.exp(np.minimum(-as_array(values, "values", np.float64), _MOST_NEGATIVE)), COUNT_FLOOR
    )
    return ((counts + electronic_noise**2) / counts**2).astype(np.float32)


def check_noise(photons: float | NDArray[np.floating], electronic_noise: float) -> None:
    """`UsageError` unless all photons are above 0 and the electronic noise is 0 or more."""
    if not (np.isfinite(photons).all() and np.all(np.asarray(photons) > 0)):
        found = photons if np.ndim(photons) == 0 else f"an array with a smallest value of {np.min(photons):g}"
        raise UsageError(f"photons is {found}; expected a number above 0")
    if not (np.isfinite(electronic_noise) and electronic_noise >= 0):
        raise UsageError(f"electronic_noise is {electronic_noise}; expected 0 or more photons")
