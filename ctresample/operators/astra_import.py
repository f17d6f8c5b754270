"""Geometries and grids from the dictionaries of the ASTRA Toolbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import GeometryError
from ctresample.geometry import ConeBeam, FanBeam, Geometry, Grid, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.operators.astra_export import scan_geometry

Array = NDArray[np.float64]

_COLUMNS = {"parallel_vec": 6, "fanflat_vec": 6, "cone_vec": 12, "cyl_cone_vec": 13}
_TOLERANCE = 1e-4  # of the size of the scan: vectors may be in single precision


def from_astra(
    scan: Mapping[str, object], volume: Mapping[str, object], *, unit_mm: float = 1.0
) -> tuple[Geometry, Grid]:
    """The geometry and grid of ASTRA's dictionaries, the inverse of `to_astra`.

    Args:
        scan: projection geometry: parallel, fanflat, parallel3d (a stack of slices), cone, or by vectors, which must
            then describe a circular scan; of cyl_cone_vec one row, a curved fan.
        volume: volume geometry; for all but a cone beam one slice of it counts.
        unit_mm: length of one ASTRA unit.

    Raises:
        GeometryError: another type, a key that is missing, or vectors that are no circular scan.
    """
    if not (np.isfinite(unit_mm) and unit_mm > 0):
        raise GeometryError(f"ASTRA geometry: unit_mm is {unit_mm}; expected the length of one ASTRA unit")
    try:
        geometry = _from_vectors(scan, unit_mm) if "Vectors" in scan else _from_angles(scan, unit_mm)
        return geometry, _grid(volume, unit_mm, isinstance(geometry, ConeBeam))
    except KeyError as error:
        raise GeometryError(f"ASTRA geometry: {error} is missing; expected a dictionary as ASTRA makes it") from None


def _from_angles(scan: Mapping[str, Any], unit_mm: float) -> Geometry:
    kind, angles = scan["type"], tuple(np.asarray(scan["ProjectionAngles"], np.float64).ravel())
    if kind not in ("parallel", "parallel3d", "fanflat", "cone"):
        raise GeometryError(
            f"ASTRA geometry: type is {kind!r}; expected parallel, parallel3d, fanflat, cone or vectors"
        )
    in_3d = kind in ("parallel3d", "cone")
    n_detectors = int(scan["DetectorColCount" if in_3d else "DetectorCount"])
    pitch_mm = float(scan["DetectorSpacingX" if in_3d else "DetectorWidth"]) * unit_mm
    if kind in ("parallel", "parallel3d"):
        return ParallelBeam(angles, n_detectors, pitch_mm)
    to_axis_mm = float(scan["DistanceOriginSource"]) * unit_mm
    to_detector_mm = to_axis_mm + float(scan["DistanceOriginDetector"]) * unit_mm
    distances: dict[str, Any] = {"source_to_axis_mm": to_axis_mm, "source_to_detector_mm": to_detector_mm}
    if kind == "fanflat":
        return FanBeam(angles, n_detectors, pitch_mm, **distances)
    n_rows, row_pitch_mm = int(scan["DetectorRowCount"]), float(scan["DetectorSpacingY"]) * unit_mm
    return ConeBeam(
        angles, n_detectors, pitch_mm, **distances, n_detector_rows=n_rows, detector_row_pitch_mm=row_pitch_mm
    )


def _from_vectors(scan: Mapping[str, Any], unit_mm: float) -> Geometry:
    """The circular scan that fits the vectors, if exporting it gives them back."""
    kind, vectors = scan["type"], np.array(scan["Vectors"], np.float64)
    if kind not in _COLUMNS or vectors.ndim != 2 or vectors.shape[1] != _COLUMNS[kind] or not len(vectors):
        known = ", ".join(f"{name} ({n} columns)" for name, n in _COLUMNS.items())
        raise GeometryError(f"ASTRA geometry: type {kind!r} with vectors of shape {vectors.shape}; expected {known}")
    vectors *= unit_mm
    in_3d = kind in ("cone_vec", "cyl_cone_vec")
    source, middle, step = (vectors[:, k : k + 2] for k in ((0, 3, 6) if in_3d else (0, 2, 4)))
    theta = np.arctan2(step[:, 1], step[:, 0])
    if kind == "cyl_cone_vec":  # any ray may be called the central one: take that through the axis
        theta = np.arctan2(source[:, 0], -source[:, 1])
    across = np.stack([np.cos(theta), np.sin(theta)], axis=1)
    along = np.stack([-np.sin(theta), np.cos(theta)], axis=1)
    beam: dict[str, Any] = {
        "angles_rad": tuple(theta),
        "n_detectors": int(scan["DetectorColCount" if in_3d else "DetectorCount"]),
        "detector_pitch_mm": _typical(np.hypot(*step.T)),
    }
    geometry: Geometry
    if kind == "parallel_vec":
        geometry = ParallelBeam(**beam, detector_offset_mm=_typical(_dot(middle, across)))
        # a ray's line counts, not where on it source and detector lie
        middle -= _dot(middle, along)[:, None] * along
        source /= -_dot(source, along)[:, None]
    else:
        to_axis_mm = -_typical(_dot(source, along))
        arc_rad = np.arctan2(_dot(middle - source, across), _dot(middle - source, along))
        curved = kind == "cyl_cone_vec"
        to_detector_mm = _typical(vectors[:, 12] if curved else _dot(middle - source, along))
        if abs(to_detector_mm - to_axis_mm) < _TOLERANCE * to_axis_mm:
            to_detector_mm = max(to_detector_mm, to_axis_mm)  # a detector at the axis, but for rounding
        beam |= {
            "source_to_axis_mm": to_axis_mm,
            "source_to_detector_mm": to_detector_mm,
            "axis_offset_mm": _typical(_dot(source, across)),
            "detector_offset_mm": _typical(arc_rad if curved else np.tan(arc_rad)) * to_detector_mm,
        }
        if in_3d and not curved:
            geometry = ConeBeam(
                **beam,
                n_detector_rows=int(scan["DetectorRowCount"]),
                detector_row_pitch_mm=_typical(vectors[:, 11]),
                detector_row_offset_mm=_typical(vectors[:, 5]),
            )
        else:
            geometry = FanBeam(**beam, detector_shape="curved" if curved else "flat")
    made = scan_geometry(geometry, _typical(vectors[:, 11]) if in_3d else 1.0)["Vectors"]
    wrong = np.flatnonzero(~(np.abs(made - vectors).max(axis=1) <= _TOLERANCE * np.abs(made).max()))
    if len(wrong):
        raise GeometryError(
            f"ASTRA geometry: view {wrong[0]} ({len(wrong)} of {len(vectors)}) is not on one circle around the z axis "
            "with the others, or its detector is tilted; only circular scans can be imported"
        )
    return geometry


def _grid(volume: Mapping[str, Any], unit_mm: float, in_3d: bool) -> Grid:
    counts = {"X": int(volume["GridColCount"]), "Y": int(volume["GridRowCount"])}
    if in_3d:
        counts["Z"] = int(volume["GridSliceCount"])
    window = volume.get("option", {})
    ends = {
        axis: (
            float(window.get(f"WindowMin{axis}", -n / 2)) * unit_mm,
            float(window.get(f"WindowMax{axis}", n / 2)) * unit_mm,
        )
        for axis, n in counts.items()
    }
    step = {axis: (ends[axis][1] - ends[axis][0]) / n for axis, n in counts.items()}
    centre = {axis: (low + high) / 2 for axis, (low, high) in ends.items()}
    shape = counts["Y"], counts["X"]
    if not in_3d:
        return ImageGrid(shape, step["X"], step["Y"] / step["X"], (centre["X"], centre["Y"]))
    if abs(step["X"] - step["Y"]) > 1e-6 * step["X"]:
        raise GeometryError(f"ASTRA geometry: voxels are {step['X']:g} x {step['Y']:g} mm in a slice; expected squares")
    return VolumeGrid((counts["Z"], *shape), step["X"], step["Z"], (centre["X"], centre["Y"], centre["Z"]))


def _dot(a: Array, b: Array) -> Array:
    return (a * b).sum(axis=1)


def _typical(values: Array) -> float:
    return float(np.median(values))
