"""What came back of a lesion, and what came that nobody put there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctresample.pipelines.lesions.places import soft_tissue
from ctresample.units import MATTERS_HU

ERASED = 0.5
"""A lesion is erased where less than this share of its contrast comes back."""

FLAGGED = 4.0
"""Standard deviations of `ctresample.observers.misfit_score` at which the data ask for the lesion: one false alarm in
30 000 places. Of a lesion whose detectability is less, the data do not tell with that certainty."""

COVERAGE = 90
"""Of the intervals that may hold what is missing of a lesion, in per cent."""

PROBE_MM, PROBE_HU = 8.0, MATTERS_HU
"""A false lesion: a disc that differs from its surroundings by this much more, or less, than it does in the truth."""

_RING_MM = (12.0, 20.0)

Image = NDArray[np.floating]


def recovered(image_with_hu: Image, image_without_hu: Image, lesion_hu: Image) -> float:
    """The share of a lesion's contrast that an image shows: 1 all, 0 nothing, below 0 the reverse.

    The multiple of the lesion that is nearest to the difference of two images, over the pixels it covers.

    Example:
        >>> lesion = np.zeros((8, 8))
        >>> lesion[2:5, 2:5] = 40
        >>> recovered(7 + 0.25 * lesion, 7 * np.ones((8, 8)), lesion)
        0.25

    Args:
        image_with_hu: reconstruction of the scan with the lesion.
        image_without_hu: of the same scan without it, the noise being the same.
        lesion_hu: what was added, on the same pixels.
    """
    lesion = np.asarray(lesion_hu, np.float64)
    difference = np.asarray(image_with_hu, np.float64) - image_without_hu
    return float(np.vdot(difference, lesion) / np.vdot(lesion, lesion))


def false_lesions(image_hu: Image, truth_hu: Image, pixel_size_mm: float) -> int:
    """Connected places in soft tissue where a disc stands out, or is missing, that does not in the truth.

    Args:
        image_hu: ``[y, x]``, of a scan without lesions.
        truth_hu: the same shape.
        pixel_size_mm: of both.
    """
    from scipy.ndimage import binary_erosion, label  # here, for it takes long to import
    from scipy.signal import fftconvolve

    n = int(np.ceil(_RING_MM[1] / 2 / pixel_size_mm))
    y, x = np.mgrid[-n : n + 1, -n : n + 1] * pixel_size_mm
    across = 2 * np.hypot(y, x)
    disc, ring = across <= PROBE_MM, (across >= _RING_MM[0]) & (across <= _RING_MM[1])
    probe = disc / disc.sum() - ring / ring.sum()
    contrast = fftconvolve(np.asarray(image_hu, np.float64) - truth_hu, probe, mode="same")
    room = binary_erosion(soft_tissue(truth_hu, pixel_size_mm), across <= PROBE_MM + 2 * 3.0)
    return sum(label(room & (sign * contrast >= PROBE_HU))[1] for sign in (1, -1))
