"""Tissues that intervals are calibrated by: ranges of HU of the reconstruction, since a scan has no truth to go by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TISSUES = ("air", "lung", "edges of air", "fat", "soft tissue", "bone")
"""Names, from the darkest on. Between lung and fat lies mostly what a pixel shares with air: skin, bowel walls."""

EDGES_HU = (-900.0, -500.0, -190.0, -30.0, 150.0)
"""Where one ends and the next begins. Fat and soft tissue as in body composition by CT (Mitsiopoulos et al.,
J. Appl. Physiol. 85, 1998, 115); bone has all that is brighter, contrast agent and metal too."""


def tissue_numbers(image_hu: NDArray[np.float32]) -> NDArray[np.intp]:
    """The number of each pixel's tissue in `TISSUES`; an edge belongs to the brighter one."""
    return np.digitize(image_hu, EDGES_HU)
