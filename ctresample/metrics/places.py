"""Places where one image is worse than another: what a square centimetre shows and a whole slice does not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.arrays import as_array
from ctresample.metrics.regions import body_mask
from ctresample.units import MATTERS_HU

SQUARE_MM = 10.0
"""Side of the square that an error is averaged over: one square centimetre."""

Image = NDArray[np.floating[Any]]


def local_rms(values: Image, pixel_size_mm: float | tuple[float, float]) -> NDArray[np.float64]:
    """Root mean square over a square centimetre around each pixel, which ends where the image does.

    Args:
        values: ``[y, x]``.
        pixel_size_mm: of it, one number for square pixels, or height and width.
    """
    from scipy.ndimage import uniform_filter  # here, for it takes long to import

    lengths = np.broadcast_to(pixel_size_mm, 2)
    side = tuple(max(1, round(SQUARE_MM / mm)) for mm in lengths)
    squares = as_array(values, "values", np.float64) ** 2
    sums, areas = (uniform_filter(one, side, mode="constant") for one in (squares, np.ones_like(squares)))
    return np.sqrt(np.maximum(sums / areas, 0))


def worse_places(
    image_hu: Image, other_hu: Image, truth_hu: Image, pixel_size_mm: float, *, by_hu: float = MATTERS_HU
) -> list[tuple[int, int]]:
    """Where within the body an image's `local_rms` error is larger than another's by so much.

    Where it is, the two images differ by at least as much over the same square: the triangle inequality. So a map of
    their `local_rms` difference, which needs no truth, marks all of these places.

    Example:
        >>> truth = np.zeros((64, 64))
        >>> image = truth.copy()
        >>> image[20:30, 40:50] = 90
        >>> worse_places(image, truth, truth, pixel_size_mm=1.0)
        [(25, 45)]

    Args:
        image_hu: ``[y, x]`` in HU.
        other_hu: the same shape, such as of total variation.
        truth_hu: the same shape.
        pixel_size_mm: of all.
        by_hu: how much worse.

    Returns:
        Row and column of the middle of the worst square of each connected piece, worst first.
    """
    from scipy.ndimage import label, maximum_position  # here, for it takes long to import

    truth = as_array(truth_hu, "truth_hu", np.float64)
    mine, others = (local_rms(np.asarray(one) - truth, pixel_size_mm) for one in (image_hu, other_hu))
    excess = np.where(body_mask(truth), mine - others, 0.0)
    pieces, count = label(excess > by_hu)
    found = maximum_position(excess, pieces, range(1, count + 1))
    return sorted(((int(row), int(column)) for row, column in found), key=lambda place: -excess[place])
