"""Rays that a scan does not tell: of dead bins, covered by something, or lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BAD_RAY_SIGMA = 1e8
"""Standard deviation of a ray that is not known: its square weighs 1e-16 of a usual ray's. Finite, so that no solver
meets 0 times infinity."""


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
