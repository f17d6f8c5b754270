"""Rays that a scan does not tell: of dead bins, covered by something, or lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BAD_RAY_SIGMA = 1e8
"""Standard deviation of a ray that is not known: its square weighs 1e-16 of a usual ray's. Finite, so that no solver
meets 0 times infinity."""

_FAR = 8.0
"""Of a bin's mean or unrest from that of its neighbours, in standard deviations of such distances."""


def filled(values: NDArray[np.float32], bad: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The values with bad rays interpolated from the nearest good bins of their view; FBP needs a value everywhere.

    A view without any good bin gets that of the good views before and after it, in the order of the file.

    Args:
        values: ``[slice or row, view, detector]``; what stands at bad rays does not matter.
        bad: the same shape.
    """
    made = values.copy()
    bins, views = np.arange(values.shape[2]), np.arange(values.shape[1])
    for row in np.flatnonzero(bad.any(axis=(1, 2))):
        lost = bad[row].all(axis=1)
        for view in np.flatnonzero(bad[row].any(axis=1) & ~lost):
            gone = bad[row, view]
            made[row, view, gone] = np.interp(bins[gone], bins[~gone], values[row, view, ~gone])
        if lost.all():
            made[row] = 0
        elif lost.any():
            for k in bins:
                made[row, lost, k] = np.interp(views[lost], views[~lost], made[row, ~lost, k])
    return made


def suspicious_bins(values: NDArray[np.float32], *, bad: NDArray[np.bool_] | None = None) -> dict[int, str]:
    """Bins that read far off their neighbours in the mean over all views, or much less steadily: dead, or flickering.

    Not certain: a thin rod on the rotation axis looks the same, so they are for a person to judge.

    Args:
        values: line integrals ``[slice or row, view, detector]``.
        bad: rays that are known to be bad already.

    Returns:
        Bins, counted from 0, and what is odd about each.
    """
    if values.shape[1] < 10 or values.shape[2] < 16:
        return {}
    values = values if bad is None else filled(values, bad)
    from scipy.ndimage import median_filter

    across = values - median_filter(values, size=(1, 1, 7), mode="nearest")
    offset, unrest = across.mean(axis=1), across.std(axis=1)  # [row, bin]
    levels = np.abs(values).mean()
    found: dict[int, str] = {}
    far = _outliers(np.abs(offset), 0.02 * levels).mean(axis=0) > 0.5
    steady = unrest - median_filter(unrest, size=(1, 9), mode="nearest")
    flickers = _outliers(steady, 0.05 * levels).mean(axis=0) > 0.5
    for k in np.flatnonzero(far | flickers):
        found[int(k)] = "reads off its neighbours" if far[k] else "flickers"
    return found


def _outliers(distance: NDArray[np.floating], least: float) -> NDArray[np.bool_]:
    spread = 1.4826 * np.median(np.abs(distance), axis=1, keepdims=True)
    return distance > np.maximum(_FAR * spread, least)
