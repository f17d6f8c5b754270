"""Line integrals of slices along a helix, a few views at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.geometry import HelicalBeam, VolumeGrid
from ctresample.operators import ConeProjector

_VIEWS_TOGETHER = 16


def helical_views(
    mu: NDArray[np.float32], geometry: HelicalBeam, grid: VolumeGrid
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Project through the slices that a few views see; beyond the ends the first and the last slice go on.

    So a patient does, more or less, and a helix looks beyond the slices that are reconstructed. Air there would make
    cone-beam artefacts at both ends, which no scan of a patient has.

    Args:
        mu: ``[slice, y, x]``, of which the grid cuts each slice into equal parts.
        geometry: the scan.
        grid: of the parts.

    Yields:
        How many views are done with these, and their integrals ``[detector row, view, detector]``.
    """
    parts = grid.shape[0] // len(mu)
    step_mm, lowest_mm = grid.slice_step_mm, float(grid.z_mm[0])
    half_fan = float(np.abs(geometry.fan_angles_rad).max())
    for first in range(0, geometry.n_views, _VIEWS_TOGETHER):
        some = geometry.with_views(np.arange(first, min(first + _VIEWS_TOGETHER, geometry.n_views)))
        # rays leave the field of view no further from the source than twice the axis
        lean_mm = np.abs(some.detector_rows_mm).max() * 2 * math.cos(half_fan) / some.magnification + step_mm
        low = math.floor((min(some.centre_z_mm) - lean_mm - lowest_mm) / step_mm)
        high = math.ceil((max(some.centre_z_mm) + lean_mm - lowest_mm) / step_mm)
        numbers = np.arange(low, high + 1)
        seen = torch.from_numpy(mu[np.clip(numbers, 0, grid.shape[0] - 1) // parts])
        x, y, _ = grid.centre_mm
        centre = (x, y, lowest_mm + (low + high) / 2 * step_mm)
        around = VolumeGrid((len(numbers), *grid.shape[1:]), grid.pixel_size_mm, step_mm, centre)
        yield first + some.n_views, ConeProjector(some, around)(seen[None, None])[0, 0].numpy()
