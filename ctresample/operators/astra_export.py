"""Geometries and grids as the dictionaries of the ASTRA Toolbox.

ASTRA has no unit of length, so millimetres go out as they are. Slices agree with ASTRA's pixel by pixel. ASTRA's
volumes have their first row at the smallest y, ours at the largest: exchange them as ``volume[:, ::-1]``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.geometry import ConeBeam, FanBeam, Geometry, Grid, HelicalBeam, ImageGrid, ParallelBeam, VolumeGrid

Array = NDArray[np.float64]
Dictionary = dict[str, Any]


def to_astra(geometry: Geometry, grid: Grid) -> tuple[Dictionary, Dictionary]:
    """Projection and volume geometry for ``astra.create_projector``, made without ASTRA.

    Scans are given by vectors, which can say every offset: ``parallel_vec``, ``fanflat_vec``, ``cone_vec``. A curved
    fan becomes a one-row ``cyl_cone_vec``, which ASTRA projects on CUDA only, and its grid a volume of one slice; a
    helix becomes one of all its rows, with the focal spot of each view as its source.
    """
    geometry.check_outside(grid)
    return scan_geometry(geometry, grid.pixel_size_mm), volume_geometry(grid, 1 if geometry.is_curved else None)


def scan_geometry(geometry: Geometry, row_pitch_mm: float) -> Dictionary:
    """Projection geometry of a scan; a curved fan gets one detector row of this height."""
    source, middle, step = scan_vectors(geometry)
    if not geometry.is_curved and not isinstance(geometry, ConeBeam):
        kind = "parallel_vec" if isinstance(geometry, ParallelBeam) else "fanflat_vec"
        vectors = np.concatenate([source, middle, step], axis=1)
        return {"type": kind, "DetectorCount": geometry.n_detectors, "Vectors": vectors}
    n_rows, height_mm, from_mm = 1, np.zeros(1), lifted(source)
    if isinstance(geometry, (ConeBeam, HelicalBeam)):
        n_rows, height_mm = geometry.n_detector_rows, np.array([geometry.detector_row_offset_mm])
        row_pitch_mm = geometry.detector_row_pitch_mm
    if isinstance(geometry, HelicalBeam):
        height_mm = height_mm + geometry.centre_z_mm
        from_mm = np.stack([geometry.spot_mm(view) for view in range(geometry.n_views)])
    parts = [from_mm, lifted(middle, height_mm), lifted(step), lifted(np.zeros_like(step), np.array([row_pitch_mm]))]
    if isinstance(geometry, (FanBeam, HelicalBeam)):
        parts.append(np.full((geometry.n_views, 1), geometry.source_to_detector_mm))  # radius of the cylinder
    return {
        "type": "cyl_cone_vec" if geometry.is_curved else "cone_vec",
        "DetectorRowCount": n_rows,
        "DetectorColCount": geometry.n_detectors,
        "Vectors": np.concatenate(parts, axis=1),
    }


def scan_vectors(geometry: Geometry) -> tuple[Array, Array, Array]:
    """Source (of a parallel beam the direction to it), middle of the detector and step from bin to bin.

    Each is ``(views, 2)`` as (x, y) in mm; the step is that in the middle of a curved detector.
    """
    theta = np.array(geometry.angles_rad)
    along = np.stack([-np.sin(theta), np.cos(theta)], axis=1)  # from the source on
    across = np.stack([np.cos(theta), np.sin(theta)], axis=1)
    pitch, offset = geometry.detector_pitch_mm, geometry.detector_offset_mm
    if isinstance(geometry, ParallelBeam):
        return -along, offset * across, pitch * across
    source = -geometry.source_to_axis_mm * along + geometry.axis_offset_mm * across
    if geometry.is_curved:
        cos, sin = (f(offset / geometry.source_to_detector_mm) for f in (math.cos, math.sin))
        along, across, offset = cos * along + sin * across, cos * across - sin * along, 0.0
    return source, source + geometry.source_to_detector_mm * along + offset * across, pitch * across


def volume_geometry(grid: Grid, n_slices: int | None = None) -> Dictionary:
    """Volume geometry of a grid.

    Args:
        grid: of a slice or a volume.
        n_slices: make a slice's grid a volume of this many slices, as thick as its pixels are wide.
    """
    height_mm = grid.pixel_height_mm if isinstance(grid, ImageGrid) else grid.pixel_size_mm
    counts = {"GridRowCount": grid.shape[-2], "GridColCount": grid.shape[-1]}
    sides_mm = {"X": grid.shape[-1] * grid.pixel_size_mm, "Y": grid.shape[-2] * height_mm}
    centre_mm = dict(zip("XYZ", (*grid.centre_mm, 0.0), strict=False))
    if isinstance(grid, VolumeGrid):
        counts["GridSliceCount"], sides_mm["Z"] = grid.shape[0], grid.shape[0] * grid.slice_step_mm
    elif n_slices is not None:
        counts["GridSliceCount"], sides_mm["Z"] = n_slices, n_slices * grid.pixel_size_mm
    window = {}
    for axis, side in sides_mm.items():
        window[f"WindowMin{axis}"], window[f"WindowMax{axis}"] = centre_mm[axis] - side / 2, centre_mm[axis] + side / 2
    return {**counts, "option": window}


def lifted(vectors: Array, z: Array | None = None) -> Array:
    """``(views, 2)`` to ``(views, 3)``, at heights of each view or one for all; by default 0."""
    heights = np.zeros(len(vectors)) if z is None else np.broadcast_to(z, len(vectors))
    return np.concatenate([vectors, heights[:, None]], axis=1)
