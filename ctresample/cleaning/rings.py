"""A bin whose gain is off reads the same amount too much in every view, which draws a ring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctresample.bad_rays import filled

LEAST_VIEWS, LEAST_BINS = 10, 16
"""With fewer there is nothing to tell a bin's habits from."""

_WIDTH = 5
"""Bins of the median: up to two wrong ones side by side stand out. Wider ones take the object for rings."""

_SURE = 3.0
"""Standard errors that an offset must be from 0."""

_FAR = 5.0
"""Times the usual offset: bins that are wrong among sound ones."""


def across(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """How far each ray is from the median of the bins around it, ``[row, view, bin]``."""
    from scipy.ndimage import median_filter

    return values - median_filter(values, size=(1, 1, _WIDTH), mode="nearest")


def ring_offsets(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """What each bin adds to all of its line integrals: the median over the views of how far it is from its neighbours.

    After Rivers, "Tutorial introduction to X-ray computed microtomography data processing" (1998), who takes the bin's
    mean over the views and smooths that: there what is the same in all views is smoothed too, edges included. Here
    each view is compared with itself, by medians, which keep edges and do not mind what moves. Of an object that is
    rotationally symmetric about the axis, rings as thin as two bins cannot be told from a detector's, and go too.

    Args:
        values: line integrals ``[slice or row, view, detector]``, enough of them.

    Returns:
        ``[slice or row, detector]``, to be subtracted; 0 where it may be noise.
    """
    from scipy.ndimage import maximum_filter

    found = _offsets(values)
    usual = 1.4826 * np.median(np.abs(found), axis=1, keepdims=True)
    largest = maximum_filter(np.abs(found), size=(1, _WIDTH), mode="nearest")  # one wrong bin moves those beside it
    strong = np.abs(found) > np.maximum(_FAR * usual, largest / 2)
    # on a slope the median of bins around a wrong one is the next but one: such are told from the sound bins beside
    # them, and the others once these are right
    beside = filled(values, np.broadcast_to(strong[:, None], values.shape))
    offset = np.where(strong, np.median(values - beside, axis=1), 0)
    return offset + _offsets(values - offset[:, None]) * ~strong


def _offsets(values: NDArray[np.floating]) -> NDArray[np.floating]:
    distance = across(values)
    offset = np.median(distance, axis=1)
    spread = 1.4826 * np.median(np.abs(distance - offset[:, None]), axis=1)
    error = 1.2533 * spread / np.sqrt(values.shape[1])  # of a median of normal deviates
    return np.where(np.abs(offset) > _SURE * error, offset, 0)
