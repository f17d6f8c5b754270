"""Photon and electronic noise of a low-dose scan, in line integrals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import UsageError

COUNT_FLOOR = 1.0
"""Smallest count the logarithm sees (the usual floor of low-dose simulations): a starved ray reads ln(photons)."""


def add_noise(
    transmission: NDArray[np.float64],
    *,
    photons: float,
    electronic_noise: float,
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Line integrals as a detector with counting and electronic noise would report them.

    ``N ~ Poisson(photons * transmission) + Normal(0, electronic_noise^2)``, ``p = -ln(max(N, 1) / photons)``.

    Args:
        transmission: fraction of photons that reach each bin, in (0, 1], any shape.
        photons: photons sent along each ray.
        electronic_noise: standard deviation of the read-out in photons.
        generator: source of all randomness.
    """
    if not (np.isfinite(photons) and photons > 0):
        raise UsageError(f"photons is {photons}; expected a number above 0")
    if not (np.isfinite(electronic_noise) and electronic_noise >= 0):
        raise UsageError(f"electronic_noise is {electronic_noise}; expected 0 or more photons")
    counts = generator.poisson(photons * transmission) + generator.normal(0, electronic_noise, transmission.shape)
    return (-np.log(np.maximum(counts, COUNT_FLOOR) / photons)).astype(np.float32)


def line_integral_variance(
    values: NDArray[np.float32], *, photons: float | NDArray[np.floating], electronic_noise: float
) -> NDArray[np.float32]:
    """Variance of each measured line integral, to first order: ``(N + electronic_noise^2) / N^2``.

    ``N = photons * exp(-values)`` is the count behind the value (Sauer and Bouman, IEEE TSP 41(2), 1993).
    """
    counts = np.maximum(photons * np.exp(-values.astype(np.float64)), COUNT_FLOOR)
    return ((counts + electronic_noise**2) / counts**2).astype(np.float32)
