"""Zingers: X-rays that hit the sensor itself, and read as far too many photons in one or two bins of one view."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST = 0.1
"""Line integral that a zinger takes away at least; less does no harm."""

_SURE = 6.0
"""Standard deviations of the noise that it must be."""


def zingers_in(values: NDArray[np.floating], sigma: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Rays far below nearly all around them, in their own view and in those before and after.

    Below all but one: a gap in the object that is seen through for one view only is as rare as a zinger, but an edge
    has neighbours as low as itself on one side. Only what reads too low is taken: a thin wire reads too high.

    Args:
        values: line integrals ``[slice or row, view, detector]``.
        sigma: standard deviation of the noise, of the same shape.
    """
    from scipy.ndimage import rank_filter

    around = np.ones((1, 3, 7), bool)
    around[0, 1, 2:5] = False  # the ray itself, and those on which it may have spilt
    floor = rank_filter(values, 1, footprint=around, mode="nearest")
    return floor - values > np.maximum(_LEAST, _SURE * np.maximum(sigma, _noise(values)))


def _noise(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Of each slice, from how rough its views are, where a sinogram states none or too little."""
    rough = np.abs(np.diff(values, n=2, axis=2))
    return 1.4826 / np.sqrt(6) * np.median(rough, axis=(1, 2), keepdims=True)
