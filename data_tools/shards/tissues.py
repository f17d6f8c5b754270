"""Tissues by their HU, to see at a glance what a training set holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TISSUES = {
    "below air": -np.inf,
    "air": -1024.0,
    "lung": -950.0,
    "fat": -150.0,
    "soft tissue": -30.0,
    "bone": 150.0,
    "metal": 3000.0,
}
"""The lowest HU of each tissue; the highest is the next one's lowest. Below air lies padding, outside the field of
view. Bone includes vessels and organs full of contrast medium, lung the edges of the body."""


def tissue_counts(hu: NDArray[np.float32], n_padding: int) -> NDArray[np.int64]:
    """Pixels of each of `TISSUES`.

    Args:
        hu: values of one image, padding set to -1000.
        n_padding: how many are padding; counted below air.
    """
    below = [np.count_nonzero(hu < lowest) for lowest in TISSUES.values()]
    counts = np.diff([*below, hu.size])
    counts[0] += n_padding
    counts[1] -= n_padding
    return counts.astype(np.int64)
