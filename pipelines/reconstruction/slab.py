"""A slab of slices out of a long helical scan: which of its rays tell something about it, and nothing else.

A ray leans by its cone angle, so it may pass the slab and leave it inside the patient. What it meets there is not in
the image; such a ray would put all of it into the slab. So the slab that is solved for has further slices on both
sides, as many as the rays of the slices wanted pass; and rays that leave it inside the field of view are not known.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import UsageError
from ctresample.geometry import HelicalBeam, VolumeGrid
from ctresample.geometry.grid import Array
from ctresample.sinogram import Sinogram

JUDGED_VIEWS = 48
"""Of a scan, for the residual of an image: projecting through all of them would take longer than the image."""


def with_guard_slices(sinogram: Sinogram) -> tuple[Sinogram, slice]:
    """The scan of a slab wide enough that all rays of the slices wanted stay inside.

    Returns:
        The scan with the views and rays that see the slab, on the wider grid; and where the slices wanted lie in it.
    """
    geometry, grid = _of_helix(sinogram)
    low, high = _heights_mm(geometry, grid)
    z_mm, step = grid.z_mm, grid.slice_step_mm
    wanted = (low <= z_mm[-1] + step) & (high >= z_mm[0] - step)
    if not wanted.any():
        raise UsageError(f"no ray passes the slices at z {z_mm[0]:.5g} to {z_mm[-1]:.5g} mm; choose others")
    below = math.ceil(max(0.0, z_mm[0] - float(low[wanted].min())) / step)
    above = math.ceil(max(0.0, float(high[wanted].max()) - z_mm[-1]) / step)
    wider = _grid(grid, below, above)
    views = np.flatnonzero(wanted.any(axis=0))
    part = _part(sinogram, views, ~wanted[:, views], wider)
    return part, slice(below, below + len(z_mm))


def inside(sinogram: Sinogram) -> Sinogram:
    """A few views of the scan, with those rays that stay inside the grid: what an image of it can be judged by."""
    geometry, grid = _of_helix(sinogram)
    low, high = _heights_mm(geometry, grid)
    z_mm = grid.z_mm
    for margin in (0.0, grid.slice_step_mm / 4, grid.slice_step_mm):
        stays = (low >= z_mm[0] - margin) & (high <= z_mm[-1] + margin)
        if stays.any():
            break
    else:
        raise UsageError(f"no ray stays within the slices at z {z_mm[0]:.5g} to {z_mm[-1]:.5g} mm; choose others")
    views = np.flatnonzero(stays.any(axis=0))
    views = views[:: math.ceil(len(views) / JUDGED_VIEWS)]
    return _part(sinogram, views, ~stays[:, views], grid)


def _heights_mm(geometry: HelicalBeam, grid: VolumeGrid) -> tuple[Array, Array]:
    """Between what heights each row's rays lie inside the field of view, ``[row, view]``, lowest and highest."""
    return geometry.heights_mm(min(grid.radius_mm, geometry.seen_mm))


def _grid(grid: VolumeGrid, below: int, above: int) -> VolumeGrid:
    slices, rows, columns = grid.shape
    x, y, z = grid.centre_mm
    centre = (x, y, z + (above - below) / 2 * grid.slice_step_mm)
    return replace(grid, shape=(slices + below + above, rows, columns), centre_mm=centre)


def _part(sinogram: Sinogram, views: NDArray[np.intp], unknown: NDArray[np.bool_], grid: VolumeGrid) -> Sinogram:
    part = sinogram.with_views(views)
    bad = np.broadcast_to(unknown[..., None], part.values.shape)
    if part.bad_rays is not None:
        bad = bad | part.bad_rays
    return replace(part, grid=grid, bad_rays=bad if bad.any() else None, headers=())


def _of_helix(sinogram: Sinogram) -> tuple[HelicalBeam, VolumeGrid]:
    assert isinstance(sinogram.geometry, HelicalBeam)  # noqa: S101 - for mypy
    return sinogram.geometry, cast(VolumeGrid, sinogram.grid)
