"""Put slices on a square grid of another size, by exact area averages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import UsageError
from ctresample.units import AIR_HU
from ctresample.volume import Volume


def to_square_grid(volume: Volume, size: int) -> Volume:
    """The volume on ``size`` x ``size`` square pixels over the same (squared) field of view.

    Each new pixel is the mean of the old image over its area, so noise and aliasing fall as a larger detector's
    would; non-square images and pixels are centred on a square of the longer side, with air around.

    Args:
        volume: any in-plane shape and pixel spacing.
        size: rows and columns wanted.
    """
    if size < 1:
        raise UsageError(f"size is {size}; expected at least 1 pixel")
    rows, columns = volume.hu.shape[1:]
    dx, dy, _ = volume.spacing_mm
    pixel_mm = max(rows * dy, columns * dx) / size
    over_rows, over_columns = _overlap(rows, dy, size, pixel_mm), _overlap(columns, dx, size, pixel_mm)
    hu = np.empty((len(volume.hu), size, size), np.float32)
    for old, new in zip(volume.hu, hu, strict=True):  # one at a time, for products of all in double take gigabytes
        new[:] = over_rows @ (old - AIR_HU) @ over_columns.T + AIR_HU
    affine = volume.affine.copy()
    affine[:3, 0] *= pixel_mm / dx
    affine[:3, 1] *= pixel_mm / dy
    old_centre = volume.affine @ [(columns - 1) / 2, (rows - 1) / 2, 0, 1]
    new_centre = affine @ [(size - 1) / 2, (size - 1) / 2, 0, 1]
    affine[:3, 3] += (old_centre - new_centre)[:3]
    return replace(volume, hu=hu, affine=affine)


def _overlap(n_old: int, old_mm: float, n_new: int, new_mm: float) -> NDArray[np.float64]:
    """``(n_new, n_old)``: the share of each new interval that each old one covers, both rows of intervals centred."""
    old_edges = (np.arange(n_old + 1) - n_old / 2) * old_mm
    new_edges = (np.arange(n_new + 1) - n_new / 2) * new_mm
    low = np.maximum(old_edges[None, :-1], new_edges[:-1, None])
    high = np.minimum(old_edges[None, 1:], new_edges[1:, None])
    return np.clip(high - low, 0, None) / new_mm
