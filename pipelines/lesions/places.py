"""Where in a slice lesions are put."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid
from ctresample.metrics import body_mask
from ctresample.pipelines.scan.lesion import SHAPES, Shape

APART_MM = 30.0
"""From lesion to lesion at least: beyond what they can do to each other."""

MARGIN_MM = 3.0
"""Soft tissue around a lesion at least."""

SOFT_HU = (-60.0, 140.0)
"""What counts as soft tissue, of a slice smoothed."""

_SMOOTHED_MM = 4.0

Image = NDArray[np.floating]


def check_lesions(diameters_mm: Sequence[float], contrasts_hu: Sequence[float], shape: str) -> Shape:
    """The shape, if lesions of it, and of these sizes and contrasts, can be; `UsageError` otherwise."""
    if not diameters_mm or not contrasts_hu:
        raise UsageError("no lesions: expected at least one diameter and one contrast")
    for mm in diameters_mm:
        if not 1 <= mm <= APART_MM - 2 * MARGIN_MM:
            raise UsageError(f"a lesion's diameter is {mm:g} mm; expected 1 to {APART_MM - 2 * MARGIN_MM:g}")
    for hu in contrasts_hu:
        if hu == 0 or not -1000 <= hu <= 3000:
            raise UsageError(f"a lesion's contrast is {hu:g} HU; expected -1000 to 3000, and not 0")
    for known in SHAPES:
        if shape == known:
            return known
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
