"""What a detector does to a sharp view: blur before the photons are counted, crosstalk after, bins that misreport."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_FWHM_A_SIGMA = math.sqrt(8 * math.log(2))


def blurred(intensity: NDArray[np.float64], fwhm_mm: float, pitch_mm: float) -> NDArray[np.float64]:
    """Intensities behind a Gaussian point spread along the detector, as of the focal spot.

    It acts on what arrives, before counting, so the noise of neighbouring bins stays independent. At the ends the
    last bin is repeated.

    Args:
        intensity: any shape, detector bins last.
        fwhm_mm: full width at half maximum, at the detector; 0 for no blur.
        pitch_mm: distance between bins.
    """
    from scipy.ndimage import gaussian_filter1d  # here, for whoever only reads a sinogram should not wait for it

    sigma = fwhm_mm / _FWHM_A_SIGMA / pitch_mm
    return gaussian_filter1d(intensity, sigma, axis=-1, mode="nearest") if sigma > 0 else intensity


def with_crosstalk(signal: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Signals of bins that each pass a share on to either neighbour, as light does in a scintillator.

    It acts on what was counted, noise included: noise of neighbours becomes correlated and its variance falls to
    ``(1 - 2 share)^2 + 2 share^2``, which the noise model of a sinogram leaves out. At the ends the last bin is
    repeated.

    Args:
        signal: any shape, detector bins last.
        share: that goes to each of the two neighbours, from 0 to below 1/3.
    """
    from scipy.ndimage import correlate1d  # as above

    return correlate1d(signal, [share, 1 - 2 * share, share], axis=-1, mode="nearest") if share > 0 else signal


def gain_errors(
    n_detectors: int, *, share: float, spread: float, generator: np.random.Generator
) -> NDArray[np.float64]:
    """What faulty bins add to each of their line integrals, the same in every view: rings in the image.

    A bin whose gain is off by a factor g reports line integrals that are ``ln g`` too low.

    Args:
        n_detectors: bins.
        share: of them that are faulty, rounded down to whole bins.
        spread: standard deviation of ``ln g`` over faulty bins.
        generator: source of all randomness.

    Returns:
        ``[detector]``, 0 where a bin is sound.
    """
    errors = np.zeros(n_detectors)
    faulty = generator.permutation(n_detectors)[: int(share * n_detectors)]
    errors[faulty] = generator.normal(0, spread, len(faulty))
    return errors
