"""A square part of a slice that is shown enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import UsageError
from ctresample.metrics import body_mask, worst_square

SHARE = 1 / 5
"""Of the slice's side, for a region chosen here."""

Image = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Zoom:
    """A square region.

    Attributes:
        row: of its first pixel.
        column: of its first pixel.
        size: pixels along a side.
    """

    row: int
    column: int
    size: int

    def cut(self, image: Image) -> Image:
        """The region of ``[y, x]``."""
        return image[self.row : self.row + self.size, self.column : self.column + self.size]

    def check(self, shape: tuple[int, ...]) -> None:
        """`UsageError` unless the region lies within a slice of this shape."""
        rows, columns = shape
        inside = self.row >= 0 and self.column >= 0 and self.size >= 1
        if not (inside and self.row + self.size <= rows and self.column + self.size <= columns):
            raise UsageError(
                f"the zoomed region starts at row {self.row}, column {self.column} and has {self.size} pixels a side; "
                f"expected one within {rows} x {columns} pixels"
            )


def zoom_on_error(truth_hu: Image, images_hu: Sequence[Image]) -> Zoom:
    """Where the squared error, mean over the images, is largest: the square with most of it inside the body.

    Args:
        truth_hu: ``[y, x]`` in HU.
        images_hu: reconstructions of it, by the methods that others are judged against.
    """
    size = max(1, round(SHARE * min(truth_hu.shape)))
    errors = np.mean([np.subtract(image, truth_hu, dtype=np.float64) ** 2 for image in images_hu], axis=0)
    row, column, _ = worst_square(np.where(body_mask(truth_hu), errors, 0.0), size)
    return Zoom(row, column, size)
