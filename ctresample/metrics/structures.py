"""Errors that have a place, which averages over a slice do not see: the worst region, and structures made up or lost.

A vessel that melts into a bone, or a dense spot where there is nothing, hardly moves the RMSE of a slice. Here the
squared error is averaged over a few square centimetres only, and what differs in one piece is counted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.arrays import as_array
from ctresample.metrics.regions import body_mask

REGION_MM = 20.0
"""Side of the square that the worst region is searched with: four square centimetres."""

SPOT_HU, SPOT_MM2 = 80.0, 20.0
"""What counts as a spot: a piece of this area, over all of which the image, smoothed, is off by this much."""

_SMOOTHED_MM = 3.0  # so that noise and edges a fraction of a pixel off make no spots

Image = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class StructureErrors:
    """What is wrong in one place of a slice.

    Attributes:
        worst_region_rmse_hu: largest root mean square error over a square of `REGION_MM` within the body.
        dense_spots: pieces of `SPOT_MM2` and more within the body that are `SPOT_HU` and more too dense: made up.
        lost_spots: the same, too little dense: lost.
        worst_region: first row, first column and side of that square, in pixels.
    """

    worst_region_rmse_hu: float
    dense_spots: int
    lost_spots: int
    worst_region: tuple[int, int, int]

    @property
    def figures(self) -> dict[str, float]:
        """The numbers by name."""
        return {name: float(value) for name, value in asdict(self).items() if name != "worst_region"}


def structure_errors(image_hu: Image, truth_hu: Image, pixel_size_mm: float) -> StructureErrors:
    """Find the worst region, and what was made up or lost.

    Example:
        >>> truth = np.zeros((64, 64))
        >>> image = truth.copy()
        >>> image[20:26, 30:36] = 200
        >>> found = structure_errors(image, truth, pixel_size_mm=2.0)
        >>> found.dense_spots, found.lost_spots, found.worst_region
        (1, 0, (16, 26, 10))

    Args:
        image_hu: ``[y, x]`` in HU.
        truth_hu: the same shape.
        pixel_size_mm: of both.

    Returns:
        Without a body (`body_mask`), no error in any place.
    """
    from scipy.ndimage import gaussian_filter, label  # here, for it takes long to import

    truth = as_array(truth_hu, "truth_hu")
    body = body_mask(truth)
    error = np.where(body, np.subtract(as_array(image_hu, "image_hu"), truth, dtype=np.float64), 0.0)
    side = max(1, min(round(REGION_MM / pixel_size_mm), *truth.shape))
    row, column, mean = worst_square(error**2, side)
    smooth = gaussian_filter(error, _SMOOTHED_MM / 2.355 / pixel_size_mm)

    def spots(off: NDArray[np.bool_]) -> int:
        areas_mm2 = np.bincount(label(off)[0].ravel())[1:] * pixel_size_mm**2
        return int((areas_mm2 >= SPOT_MM2).sum())

    return StructureErrors(
        worst_region_rmse_hu=float(np.sqrt(max(mean, 0.0))),
        dense_spots=spots(body & (smooth >= SPOT_HU)),
        lost_spots=spots(body & (smooth <= -SPOT_HU)),
        worst_region=(row, column, side),
    )


def worst_square(errors: Image, side: int) -> tuple[int, int, float]:
    """First row and column of the square of ``side`` pixels with the largest mean of ``errors``, and that mean.

    Args:
        errors: ``[y, x]``, none below 0, such as squared differences.
        side: at most the shorter side of ``errors``; only whole squares count.
    """
    from scipy.ndimage import uniform_filter  # here, for it takes long to import

    before = side // 2  # the filter's window of an even size has its middle right of the centre
    means = uniform_filter(errors, side, mode="constant")
    means = means[before : means.shape[0] - (side - 1 - before), before : means.shape[1] - (side - 1 - before)]
    row, column = np.unravel_index(means.argmax(), means.shape)
    return int(row), int(column), float(means[row, column])
