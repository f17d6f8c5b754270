"""A scan as it would have been at a lower dose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctresample.errors import SinogramError
from ctresample.noise import thinned
from ctresample.sinogram import Sinogram


def lower_dose(sinogram: Sinogram, fraction: float, *, seed: int = 0) -> Sinogram:
    """The same scan with a fraction of its photons: exactly the noise that is missing is added (`noise.thinned`).

    Args:
        sinogram: measured with known photons.
        fraction: of the photons to keep, above 0, at most 1.
        seed: of the noise; slice k draws from ``(seed, k, 1)``, other numbers than a simulated scan of that seed.

    Raises:
        SinogramError: the scan states no photons.
        UsageError: the fraction is out of range.
    """
    if sinogram.photons is None:
        raise SinogramError(
            "the scan states no photons, so its dose is not known; state them (--photons on the command line, where "
            "they may also be estimated)"
        )
    values = [
        thinned(
            one,
            photons=sinogram.photons,
            electronic_noise=sinogram.electronic_noise,
            fraction=fraction,
            generator=np.random.default_rng([seed, index, 1]),
        )
        for index, one in enumerate(sinogram.values)
    ]
    return replace(
        sinogram,
        values=np.stack(values),
        photons=sinogram.photons * fraction,
        origin=f"{sinogram.origin}; lowered to {fraction:g} of its photons by thinning the counts, noise seed {seed}",
    )
