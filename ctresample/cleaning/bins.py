"""Bins that are dead or flicker: they do not follow what their neighbours see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctresample.bad_rays import filled
from ctresample.cleaning.rings import LEAST_BINS, LEAST_VIEWS, across, ring_offsets

_FAR = 8.0
"""Of a bin's offset from its neighbours, in standard deviations of such offsets."""

_LEAST_OFFSET, _LEAST_UNREST = 0.02, 0.05
"""Of the mean line integral."""

_TIMES_AS_UNSTEADY = 4.0
"""As the bins around it: flickering."""

_ROWS = 32
"""Of a stack or a panel that are looked at: enough to say which bins are odd in most."""

OFF, FLICKERS = "reads off its neighbours", "does not follow its neighbours"


def odd_bins(values: NDArray[np.floating]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which bins read off their neighbours by a constant, and which do not follow them from view to view.

    A dead bin is one of the two. A thin rod on the rotation axis looks like a bin that is off.

    Args:
        values: line integrals ``[slice or row, view, detector]``; what is known to be bad, filled.

    Returns:
        Two masks ``[slice or row, detector]``.
    """
    nothing = np.zeros((values.shape[0], values.shape[2]), bool)
    if values.shape[1] < LEAST_VIEWS or values.shape[2] < LEAST_BINS:
        return nothing, nothing
    from scipy.ndimage import median_filter

    distance = across(values - ring_offsets(values)[:, None])  # what is off by a constant disturbs its neighbours, too
    level = np.abs(values).mean(axis=(1, 2))[:, None]
    low, high = np.quantile(distance, (0.1, 0.9), axis=1)  # zingers, and edges seen in a few views, do not count
    unrest = (high - low) / 2.563  # the standard deviation of normal deviates
    usual = median_filter(unrest, size=(1, 15), mode="nearest")
    flickers = unrest > np.maximum(_TIMES_AS_UNSTEADY * usual, usual + _LEAST_UNREST * level)
    steady = filled(values, np.broadcast_to(flickers[:, None], values.shape))
    offset = np.abs(ring_offsets(steady))
    return offset > np.maximum(
        _FAR * 1.4826 * np.median(offset, axis=1, keepdims=True), _LEAST_OFFSET * level
    ), flickers


def suspicious_bins(values: NDArray[np.float32], *, bad: NDArray[np.bool_] | None = None) -> dict[int, str]:
    """Bins that are odd in most rows, counted from 0, and what is odd about each: for a person to judge.

    Args:
        values: line integrals ``[slice or row, view, detector]``.
        bad: rays that are known to be bad already.
    """
    some = slice(None, None, max(1, len(values) // _ROWS))
    values = values[some] if bad is None else filled(values[some], bad[some])
    off, flickers = (one.mean(axis=0) > 0.5 for one in odd_bins(values))
    return {int(k): FLICKERS if flickers[k] else OFF for k in np.flatnonzero(off | flickers)}
