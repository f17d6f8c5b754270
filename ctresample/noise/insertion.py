"""A lower dose out of a scan that was measured: the noise that it would have had on top of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctresample.arrays import as_array
from ctresample.errors import UsageError
from ctresample.noise.counting import COUNT_FLOOR, check_noise


def thinned(
    values: NDArray[np.floating],
    *,
    photons: float | NDArray[np.floating],
    electronic_noise: float,
    fraction: float,
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Line integrals as the same scan would have measured them with a fraction of its photons.

    The scan counted ``N = photons exp(-values)``, of variance ``n + e^2`` about its expectation n, with e the
    electronic noise. Each of these photons is kept with probability f = ``fraction``, which makes of a Poisson
    variable another one, so that the variance becomes ``f n + f^2 e^2``; ``(1 - f^2) e^2`` of electronic noise,
    which does not fall with the dose, is added. Mean and variance are those of a scan at the lower dose, at any count
    (the model of Zabic et al., Med Phys 40(3), 031102, 2013, who approximate the thinning by a normal distribution).
    Noise that is correlated between bins, as by crosstalk, stays so only in the part that was measured.

    Args:
        values: line integrals, any shape.
        photons: sent along each ray in the scan that was measured, broadcastable to ``values``.
        electronic_noise: standard deviation of the read-out in photons, at either dose.
        fraction: of the photons that the lower dose keeps, above 0, at most 1.
        generator: source of all randomness.

    Raises:
        UsageError: the fraction or the noise is out of range.
    """
    check_noise(photons, electronic_noise)
    if not 0 < fraction <= 1:
        raise UsageError(f"fraction is {fraction}; expected the share of the dose to keep, above 0 and at most 1")
    values = as_array(values, "values", np.float64)
    if fraction == 1:
        return values.astype(np.float32)
    counts = np.rint(photons * np.exp(-values)).astype(np.int64)
    kept = generator.binomial(counts, fraction) + generator.normal(
        0, electronic_noise * np.sqrt(1 - fraction**2), values.shape
    )
    return (-np.log(np.maximum(kept, COUNT_FLOOR) / (fraction * photons))).astype(np.float32)
