"""Parts of a slice that errors are averaged over, defined by the truth alone: every method gets the same pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.arrays import as_array
from ctresample.units import WINDOWS

BODY_HU = -500.0
"""Half-way between air and water: where a body's outline is cut."""

REGIONS = ("soft_tissue", "lung", "body")
"""Names of the regions, as in the columns of a results table."""

Mask = NDArray[np.bool_]


def body_mask(truth_hu: NDArray[np.floating[Any]]) -> Mask:
    """The body: the largest connected object above -500 HU, with what it encloses (lungs, bowel gas).

    Table, blankets and arms that do not touch the trunk are left out. Pixels that touch at an edge are connected.

    Args:
        truth_hu: ``[y, x]`` in HU.

    Returns:
        ``[y, x]``; empty where nothing is above the threshold.
    """
    from scipy.ndimage import binary_fill_holes, label  # here, for it takes long to import

    parts, count = label(as_array(truth_hu, "truth_hu") > BODY_HU)
    if count == 0:
        return np.zeros(np.shape(truth_hu), dtype=bool)
    largest = np.bincount(parts.ravel())[1:].argmax() + 1
    return binary_fill_holes(parts == largest)


def region_masks(truth_hu: NDArray[np.floating[Any]]) -> dict[str, Mask]:
    """Masks by name.

    ``soft_tissue`` and ``lung`` are the pixels within the body whose true value lies in the display window of that
    name, ends included: -160 to 240 HU, and -1350 to 150 HU. The windows overlap: most soft tissue shows in a lung
    window too. ``body`` is all of `body_mask`.

    Args:
        truth_hu: ``[y, x]`` in HU.
    """
    truth = as_array(truth_hu, "truth_hu")
    body = body_mask(truth)
    masks = {"body": body}
    for region in ("soft_tissue", "lung"):
        level, width = WINDOWS[region.replace("_", " ")]
        masks[region] = body & (np.abs(truth - level) <= width / 2)
    return {region: masks[region] for region in REGIONS}
