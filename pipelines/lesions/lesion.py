"""Lesions of known size and contrast, and where in a slice they are put."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid
from ctresample.metrics import body_mask

Shape = Literal["disc", "sphere"]
SHAPES: tuple[Shape, ...] = get_args(Shape)

SUBPIXELS = 8
"""Along each side of a pixel, for the share of it that a lesion covers."""

APART_MM = 30.0
"""From lesion to lesion at least: beyond what they can do to each other."""

MARGIN_MM = 3.0
"""Soft tissue around a lesion at least."""

SOFT_HU = (-60.0, 140.0)
"""What counts as soft tissue, of a slice smoothed."""

_SMOOTHED_MM = 4.0

Image = NDArray[np.floating]


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


def check_lesions(diameters_mm: Sequence[float], contrasts_hu: Sequence[float], shape: str) -> None:
    """`UsageError` unless there are some, of sizes and contrasts that can be."""
    if not diameters_mm or not contrasts_hu:
        raise UsageError("no lesions: expected at least one diameter and one contrast")
    for mm in diameters_mm:
        if not 1 <= mm <= APART_MM - 2 * MARGIN_MM:
            raise UsageError(f"a lesion's diameter is {mm:g} mm; expected 1 to {APART_MM - 2 * MARGIN_MM:g}")
    for hu in contrasts_hu:
        if hu == 0 or not -1000 <= hu <= 3000:
            raise UsageError(f"a lesion's contrast is {hu:g} HU; expected -1000 to 3000, and not 0")
    if shape not in SHAPES:
        raise UsageError(f"shape is {shape!r}; expected one of {', '.join(SHAPES)}")


def soft_tissue(truth_hu: Image, pixel_size_mm: float) -> NDArray[np.bool_]:
    """The soft tissue of the body, without what is smaller than a few millimetres."""
    from scipy.ndimage import gaussian_filter  # here, for it takes long to import

    smooth = gaussian_filter(np.asarray(truth_hu, np.float64), _SMOOTHED_MM / 2.355 / pixel_size_mm)
    return body_mask(truth_hu) & (smooth >= SOFT_HU[0]) & (smooth <= SOFT_HU[1])


def places_mm(
    truth_hu: Image, grid: ImageGrid, *, diameter_mm: float, at_most: int, generator: np.random.Generator
) -> list[tuple[float, float]]:
    """Random places in soft tissue that lesions of a diameter fit in, `APART_MM` from each other.

    Args:
        truth_hu: ``[y, x]`` on the grid.
        grid: square pixels.
        diameter_mm: of the largest lesion.
        at_most: places wanted.
        generator: source of the choice.

    Returns:
        ``(x, y)`` each, as `Lesion.at_mm`; fewer where there is no room, none where nothing fits.
    """
    from scipy.ndimage import distance_transform_edt  # here, for it takes long to import

    inside_mm = distance_transform_edt(soft_tissue(truth_hu, grid.pixel_size_mm)) * grid.pixel_size_mm
    rows, columns = np.nonzero(inside_mm >= diameter_mm / 2 + MARGIN_MM)
    found: list[tuple[float, float]] = []
    for k in generator.permutation(len(rows)):
        x, y = float(grid.x_mm[columns[k]]), float(grid.y_mm[rows[k]])
        if all(math.hypot(x - one[0], y - one[1]) >= APART_MM for one in found):
            found.append((x, y))
        if len(found) == at_most:
            break
    return found
