"""A helical scan judged by its own rays: every line is seen again from its other end, half a turn later or earlier.

The two readings agree only if the channels run the right way and the detector's centre is where the scan says. Lines
that lie in a slice are compared; with the cone's lean they agree where rows cross the axis at the same height.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from ctresample.errors import SinogramError
from ctresample.geometry import HelicalBeam
from ctresample.sinogram import Sinogram

_VIEWS, _LEAST_RAYS = 48, 500


def disagreement(
    sinogram: Sinogram, offset_mm: float | None = None, *, mirrored: bool = False, upside_down: bool = False
) -> float:
    """Root mean square difference of the two readings of a line.

    Args:
        sinogram: of a helix.
        offset_mm: the detector's, in place of the scan's own.
        mirrored: as if the channels ran the other way.
        upside_down: as if the rows did.

    Raises:
        SinogramError: too few lines are seen twice, as of a pitch above 1.
    """
    geometry = sinogram.geometry
    assert isinstance(geometry, HelicalBeam)  # noqa: S101 - for mypy
    offset = geometry.detector_offset_mm if offset_mm is None else offset_mm
    geometry = replace(
        geometry,
        detector_offset_mm=-offset if mirrored else offset,
        detector_row_offset_mm=geometry.detector_row_offset_mm * (-1 if upside_down else 1),
    )
    # a spot that flies is at several places: one of them, by itself
    spots = np.round(geometry.spots, 5)
    views = np.flatnonzero((spots == spots[0]).all(axis=1))
    angles = np.unwrap(geometry.angles_rad)[views]
    views, angles = views[np.argsort(angles)], np.sort(angles)
    heights = np.array(geometry.centre_z_mm)[views] + spots[0, 2]
    turned, t = _in_plane(geometry, int(views[0]))
    columns, numbers = np.arange(len(t)), np.arange(len(views))
    opposite = np.interp(-t, t, columns, left=np.nan, right=np.nan)
    rows_mm = geometry.detector_rows_mm - spots[0, 2]
    scale = geometry.source_to_axis_mm / geometry.source_to_detector_mm  # heights at the axis
    differences = []
    for view in np.unique(np.linspace(0, len(views) - 1, _VIEWS).astype(int)):
        there_angle = angles[view] + turned - np.interp(opposite, columns, turned)
        for half in (math.pi, -math.pi):
            there = np.interp(there_angle + half, angles, numbers, left=np.nan, right=np.nan)
            rise = heights[view] - np.interp(there_angle + half, angles, heights)
            row_there = (rows_mm[:, None] + rise / scale - rows_mm[0]) / geometry.detector_row_pitch_mm
            seen = np.isfinite(there + opposite) & (row_there >= 0) & (row_there <= len(rows_mm) - 1)
            if not seen.any():
                continue
            r, c = np.nonzero(seen)
            here = _read(sinogram, views, r, np.full(len(r), float(view)), c, mirrored, upside_down)
            other = _read(sinogram, views, row_there[r, c], there[c], opposite[c], mirrored, upside_down)
            differences.append(here - other)
    found = np.concatenate(differences) if differences else np.zeros(0)
    if len(found) < _LEAST_RAYS:
        raise SinogramError(f"{len(found)} lines of the helix are seen from both ends; too few to tell its geometry by")
    return float(np.sqrt(np.mean(found**2)))


def _in_plane(geometry: HelicalBeam, view: int) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Of each column: from the view's angle to that of the parallel ray, and the ray's distance from the axis."""
    points, directions = geometry.rays(view)
    spot, ray = points[0, 0], directions[geometry.n_detector_rows // 2]
    heading = np.arctan2(-ray[:, 0], ray[:, 1])
    turned = np.unwrap(heading) - geometry.angles_rad[view]
    turned -= 2 * math.pi * round(float(np.median(turned)) / (2 * math.pi))
    return turned, spot[0] * np.cos(heading) + spot[1] * np.sin(heading)


def _read(
    sinogram: Sinogram,
    views: NDArray[np.intp],
    row: NDArray[Any],
    view: NDArray[np.floating],
    column: NDArray[Any],
    mirrored: bool,
    upside_down: bool,
) -> NDArray[np.floating]:
    """Values between rows, views of one spot and columns; the array itself is as large as the scan, and stays."""
    n_rows, _, n_columns = sinogram.values.shape
    row = n_rows - 1 - row if upside_down else row
    column = n_columns - 1 - column if mirrored else column
    low = np.clip(np.floor(view).astype(int), 0, len(views) - 2)
    share = view - low
    first, stop = int(low.min()), int(low.max()) + 2
    block = sinogram.values[:, views[first:stop]]
    found = [
        map_coordinates(block, [row, low - first + step, column], order=1, mode="nearest", output=np.float64)
        for step in (0, 1)
    ]
    return (1 - share) * found[0] + share * found[1]
