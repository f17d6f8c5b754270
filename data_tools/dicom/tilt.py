"""Undo the tilt of a gantry: shear its slices to an upright stack."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.dicom.tolerance import within_plane_mm
from ctresample.units import AIR_HU


class Upright:
    """Moves slices within their planes until they lie above each other, by linear interpolation.

    The matrix grows by as much as the slices are shifted, so that no pixel is lost; what lies outside a slice's own
    field of view becomes air. Values are means of two neighbours (four, where slices shift along both axes), which
    takes a little sharpness.

    Args:
        affine: ``(4, 4)``, of a stack upright on its first slice.
        sideways_mm: ``(slices, 2)``, the shift of each along its rows and down its columns.
        shape: rows and columns of the slices.

    Attributes:
        affine: of the new stack.
        shape: of the new slices.
    """

    def __init__(self, affine: NDArray[np.float64], sideways_mm: NDArray[np.float64], shape: tuple[int, int]) -> None:
        self.affine = affine.copy()
        self._shifts = []  # in pixels: of rows, of columns
        for axis in (1, 0):
            shifts_mm = sideways_mm[:, axis]
            size_mm = float(np.linalg.norm(affine[:3, axis]))
            if np.ptp(shifts_mm) <= 2 * within_plane_mm(size_mm):  # rounding, not worth any sharpness
                shifts_mm = np.full_like(shifts_mm, (shifts_mm.max() + shifts_mm.min()) / 2)
            self._shifts.append((shifts_mm - shifts_mm.min()) / size_mm)
            self.affine[:3, 3] += affine[:3, axis] * shifts_mm.min() / size_mm
        rows, columns = (n + int(np.ceil(shifts.max())) for n, shifts in zip(shape, self._shifts, strict=True))
        self.shape = rows, columns

    def slice(self, hu: NDArray[np.float32], index: int) -> NDArray[np.float32]:
        """Slice ``index`` of the stack, ``[y, x]``, in its new place."""
        above_air = hu - np.float32(AIR_HU)
        rows = _moved(above_air, float(self._shifts[0][index]), self.shape[0])
        return _moved(rows.T, float(self._shifts[1][index]), self.shape[1]).T + np.float32(AIR_HU)


def _moved(image: NDArray[np.float32], shift: float, length: int) -> NDArray[np.float32]:
    """The image moved along its first axis, ``length`` long now, with zeros beside it."""
    whole, n = int(shift), len(image)
    part = np.float32(shift - whole)
    moved = np.zeros((length, image.shape[1]), np.float32)
    moved[whole : whole + n] = (1 - part) * image
    if part:
        moved[whole + 1 : whole + 1 + n] += part * image
    return moved
