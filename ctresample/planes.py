"""The three planes of a volume of axial slices, in the proportions of the patient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

VoxelSize = tuple[float, float, float]
"""In mm along slices, rows and columns."""


FARTHEST_MM = 20.0
"""From slice to slice: further apart they are blocks side by side and no plane that anybody can read."""


def has_planes(n_slices: int, voxel_mm: VoxelSize | None) -> bool:
    """Whether so many slices are a volume that can be looked at from other sides."""
    return voxel_mm is not None and n_slices > 1 and voxel_mm[0] <= FARTHEST_MM


def voxel_size_mm(affine: NDArray[np.float64], slice_offsets_mm: tuple[float, ...] | None) -> VoxelSize | None:
    """The size of the voxels of a `Volume` or sinogram; None of slices that are not evenly spaced."""
    if slice_offsets_mm is not None:
        return None
    across, down, along = (float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))
    return along, down, across


def last_is_up(affine: NDArray[np.float64]) -> bool:
    """Whether the last slice lies nearest to the head: in LPS z points there."""
    return bool(affine[2, 2] >= 0)


def planes(
    hu: NDArray[np.floating[Any]], voxel_mm: VoxelSize | None, *, last_up: bool = True
) -> dict[str, NDArray[np.floating[Any]]]:
    """The middle axial, coronal and sagittal plane, head up, on square pixels.

    Values are those of the nearest voxel: none is interpolated, so that thick slices show as such.

    Args:
        hu: ``[slice, y, x]``.
        voxel_mm: of it; None where slices are no neighbours.
        last_up: whether the last slice lies nearest to the head.

    Returns:
        "axial", "coronal" and "sagittal" -> ``[down, across]``, with pixels as large as the smaller side of a voxel in
        its slice; the middle slice alone, as it is, of what `has_planes` says has no others.
    """
    slices, rows, columns = hu.shape
    if voxel_mm is None or not has_planes(slices, voxel_mm):
        return {"axial": hu[slices // 2]}
    pixel = min(voxel_mm[1:])
    z, y, x = (_nearest(n, mm / pixel) for n, mm in zip(hu.shape, voxel_mm, strict=True))
    up = z[::-1] if last_up else z
    return {
        "axial": hu[slices // 2][np.ix_(y, x)],
        "coronal": hu[:, rows // 2][np.ix_(up, x)],
        "sagittal": hu[:, :, columns // 2][np.ix_(up, y)],
    }


def _nearest(n: int, pixels_each: float) -> NDArray[np.intp]:
    """For each pixel the voxel that it lies in."""
    count = max(1, round(n * pixels_each))
    return np.minimum((np.arange(count) + 0.5) * n / count, n - 1).astype(np.intp)
