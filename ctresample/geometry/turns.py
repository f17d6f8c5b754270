"""The helix that sees a volume: how many turns, from where to where."""

from __future__ import annotations

import math

import numpy as np

from ctresample.errors import GeometryError
from ctresample.geometry.beam import bins_over, spread
from ctresample.geometry.coverage import unseen_share
from ctresample.geometry.fan import CLINICAL_SOURCE_TO_AXIS_MM, CLINICAL_SOURCE_TO_DETECTOR_MM, half_fan_rad
from ctresample.geometry.grid import VolumeGrid, check_positive
from ctresample.geometry.helical import HelicalBeam

BEAM_HEIGHT_MM, MOST_ROWS, FEWEST_ROWS = 38.4, 64, 4
"""At the axis, and rows of the detector: those of a common clinical scanner (Siemens SOMATOM Definition AS)."""

_LEAST_PITCH = 0.1
_TRIED_TURNS = np.arange(0, 1.51, 0.125)


def helix_over(
    grid: VolumeGrid,
    n_views: int,
    source_to_axis_mm: float = CLINICAL_SOURCE_TO_AXIS_MM,
    source_to_detector_mm: float = CLINICAL_SOURCE_TO_DETECTOR_MM,
    *,
    pitch: float = 1.0,
    n_detector_rows: int | None = None,
) -> HelicalBeam:
    """Turns from below the lowest slice to above the highest one, until all directions through both are seen.

    Bins are one voxel wide and rows one slice high at the axis; the bins cover the corners.

    Args:
        grid: what it sees.
        n_views: of a turn.
        source_to_axis_mm: by default that of a clinical scanner.
        source_to_detector_mm: the same.
        pitch: feed of a turn over the height of the beam at the axis.
        n_detector_rows: by default as many as a beam of 38.4 mm has, from 4 to 64.

    Raises:
        GeometryError: a helix too fast to see all directions, or another scan that cannot be.
    """
    angle_step = 2 * math.pi / len(spread(n_views, 2 * math.pi))
    if not pitch >= _LEAST_PITCH:
        raise GeometryError(f"pitch is {pitch:g}; expected at least {_LEAST_PITCH:g}")
    rows = n_detector_rows or min(MOST_ROWS, max(FEWEST_ROWS, round(BEAM_HEIGHT_MM / grid.slice_step_mm)))
    check_positive("helical beam", n_detector_rows=rows)
    magnification = source_to_detector_mm / source_to_axis_mm
    feed_mm = pitch * rows * grid.slice_step_mm
    bin_mm = grid.pixel_size_mm * magnification
    n_bins = bins_over(2 * source_to_detector_mm * half_fan_rad(grid, source_to_axis_mm), bin_mm)
    ends_mm = grid.z_mm[[0, -1]]
    for margin in _TRIED_TURNS:
        turns = (ends_mm[1] - ends_mm[0]) / feed_mm + 2 * margin
        view = np.arange(max(1, math.ceil(turns * n_views - 1e-9)) + 1)
        scan = HelicalBeam(
            tuple((view * angle_step).tolist()),
            n_bins,
            bin_mm,
            source_to_axis_mm=source_to_axis_mm,
            source_to_detector_mm=source_to_detector_mm,
            centre_z_mm=tuple((grid.centre_mm[2] + (view - view.mean()) * feed_mm / n_views).tolist()),
            n_detector_rows=rows,
            detector_row_pitch_mm=grid.slice_step_mm * magnification,
        )
        if not max(unseen_share(scan, ends_mm, radius).max() for radius in (0.0, grid.radius_mm)):
            return scan
    raise GeometryError(
        f"pitch is {pitch:g}: no number of turns sees all directions {grid.radius_mm:.0f} mm from the axis, the "
        "image's corners; choose a smaller pitch or image"
    )
