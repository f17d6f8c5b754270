"""The non-prewhitening observer: the known signal held against the image, whatever the noise looks like."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.floating]


def matched_scores(images: Images, signal: Images) -> NDArray[np.float64]:
    """Decision variables ``<s, x>`` of images, ``(n,)``.

    Args:
        images: ``[image, y, x]``.
        signal: what the image of the signal alone looks like, ``[y, x]``; the mean difference of images with and
            without where it is not known otherwise.
    """
    return np.tensordot(np.asarray(images, np.float64), np.asarray(signal, np.float64), axes=((1, 2), (0, 1)))


def matched_detectability(signal: Images, covariance: NDArray[np.floating]) -> float:
    """``d' = s^T s / sqrt(s^T K s)``.

    Args:
        signal: ``[y, x]``.
        covariance: of the pixels, ``[pixel, pixel]``.
    """
    s = np.asarray(signal, np.float64).ravel()
    return float(s @ s / np.sqrt(s @ covariance @ s))
