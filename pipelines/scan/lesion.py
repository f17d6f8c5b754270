"""A lesion of known size and contrast, as pixels have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ctresample.geometry import ImageGrid

Shape = Literal["disc", "sphere"]
SHAPES: tuple[Shape, ...] = get_args(Shape)

SUBPIXELS = 8
"""Along each side of a pixel, for the share of it that a lesion covers."""


@dataclass(frozen=True)
class Lesion:
    """One lesion.

    Attributes:
        diameter_mm: of the disc or sphere.
        contrast_hu: added to the tissue.
        at_mm: ``(x, y)`` of its middle, from that of the slice; y points up.
        shape: a disc reaches through the slice; a sphere in its middle fills it in part, as its chord does.
    """

    diameter_mm: float
    contrast_hu: float
    at_mm: tuple[float, float]
    shape: Shape = "disc"

    def on(self, grid: ImageGrid, slice_thickness_mm: float) -> NDArray[np.float32]:
        """What it adds to a slice, in HU.

        Args:
            grid: pixels of the slice.
            slice_thickness_mm: for spheres.
        """
        added, radius = np.zeros(grid.shape, np.float32), self.diameter_mm / 2
        y_mm, x_mm = grid.y_mm - self.at_mm[1], grid.x_mm - self.at_mm[0]
        rows, columns = (np.flatnonzero(np.abs(mm) <= radius + grid.pixel_size_mm) for mm in (y_mm, x_mm))
        if not (rows.size and columns.size):
            return added
        parts = ((np.arange(SUBPIXELS) + 0.5) / SUBPIXELS - 0.5) * grid.pixel_size_mm
        fine_y, fine_x = ((mm[kept][:, None] + parts).ravel() for mm, kept in ((y_mm, rows), (x_mm, columns)))
        inside = radius**2 - fine_y[:, None] ** 2 - fine_x**2
        share = (inside >= 0).astype(np.float64)
        if self.shape == "sphere":
            share *= np.minimum(2 * np.sqrt(np.maximum(inside, 0)) / slice_thickness_mm, 1)
        share = share.reshape(len(rows), SUBPIXELS, len(columns), SUBPIXELS).mean(axis=(1, 3))
        added[np.ix_(rows, columns)] = self.contrast_hu * share
        return added
