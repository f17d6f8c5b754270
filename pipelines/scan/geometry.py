"""Scans by name: which grid a volume is reconstructed on, and which beam sees it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ctresample.choices import BEAMS, VOLUME_BEAMS, Beam
from ctresample.errors import UsageError
from ctresample.geometry import FOR_GRID, Geometry, Grid, ImageGrid, VolumeGrid
from ctresample.regrid import to_square_grid
from ctresample.volume import Volume

_GOLDEN_RATIO = (5**0.5 - 1) / 2

_NAMES = {"cone": "cone beam", "helical": "helix"}


def reconstruction_grid(volume: Volume, size: int, beam: Beam = "parallel") -> tuple[Grid, Volume]:
    """The grid of ``size`` x ``size`` pixels a slice that covers a volume, centred on the rotation axis.

    Args:
        volume: slices.
        size: rows and columns.
        beam: a cone or helix sees all slices at once and gets a volume grid; for the others each slice is its own.

    Returns:
        The grid, and the first slice on it for its affine.

    Raises:
        UsageError: a cone or helix of slices that are not evenly spaced.
    """
    if beam in VOLUME_BEAMS and volume.slice_offsets_mm is not None:
        raise UsageError(
            f"a {_NAMES[beam]} needs evenly spaced slices; choose another geometry, or add the missing slices"
        )
    first = to_square_grid(replace(volume, hu=volume.hu[:1], headers=(), slice_offsets_mm=None), size)
    pixel_size_mm, _, slice_step_mm = first.spacing_mm
    if beam in VOLUME_BEAMS:
        return VolumeGrid((len(volume.hu), size, size), pixel_size_mm, slice_step_mm), first
    return ImageGrid((size, size), pixel_size_mm), first


def scan_geometry(
    grid: Grid,
    *,
    beam: Beam,
    n_views: int,
    arc_rad: float | Literal["short"] | None = None,
    detector_offset_mm: float = 0.0,
    axis_offset_mm: float = 0.0,
    source_to_axis_mm: float | None = None,
    source_to_detector_mm: float | None = None,
    pitch: float | None = None,
    n_detector_rows: int | None = None,
) -> Geometry:
    """A scan whose detector covers a grid, as wide as without the offsets.

    Args:
        grid: what it sees.
        beam: "parallel", "fan" (flat detector), "fan-curved", "cone" or "helical".
        n_views: views, equally spaced; of a helix, of each turn.
        arc_rad: the arc they spread over, end point excluded; None for 180 degrees (parallel) or 360 degrees;
            "short" for the shortest that measures every line: 180 degrees, of a fan plus the full fan angle.
        detector_offset_mm: see `ctresample.geometry.Beam`.
        axis_offset_mm: see `ctresample.geometry.fan.DivergingBeam`; 0 for parallel rays.
        source_to_axis_mm: None for that of a clinical scanner; None for parallel rays.
        source_to_detector_mm: the same.
        pitch: of a helix, see `ctresample.geometry.turns`; None for 1, and for other beams.
        n_detector_rows: of a helix; None for as many as a clinical scanner's beam has, and for other beams.

    Raises:
        UsageError: an unknown beam, no views, or a value that the beam does not have.
        GeometryError: a scan that cannot be.
    """
    if beam not in BEAMS:
        raise UsageError(f"geometry is {beam!r}; expected one of {', '.join(BEAMS)}")
    if n_views < 1:
        raise UsageError(f"views is {n_views}; expected at least 1")
    distances = {"source_to_axis_mm": source_to_axis_mm, "source_to_detector_mm": source_to_detector_mm}
    options: dict[str, Any] = {name: mm for name, mm in distances.items() if mm is not None}
    of_helix: dict[str, Any] = {"pitch": pitch, "n_detector_rows": n_detector_rows}
    of_helix = {name: value for name, value in of_helix.items() if value is not None}
    if beam == "helical":
        if arc_rad is not None:
            raise UsageError("arc_rad is of a circle; the turns of a helix follow from the slices; leave it out")
        if axis_offset_mm:
            raise UsageError("axis_offset_mm is of a fan or cone on a circle, not of a helix; leave it out")
        options |= of_helix
    elif of_helix:
        raise UsageError(f"{next(iter(of_helix))} is of a helix, but the geometry is {beam!r}; leave it out")
    offsets: dict[str, Any] = {"detector_offset_mm": detector_offset_mm}
    if beam not in ("parallel", "helical"):
        offsets["axis_offset_mm"] = axis_offset_mm
    elif beam == "parallel" and (options or axis_offset_mm):
        name = next(iter(options), "axis_offset_mm")
        fix = "use detector_offset_mm" if name == "axis_offset_mm" else "leave it out or choose a fan"
        raise UsageError(f"{name} is of a fan or cone, but the geometry is 'parallel'; {fix}")
    if arc_rad is not None and arc_rad != "short":
        options["arc_rad"] = arc_rad
    make = FOR_GRID[beam]
    geometry: Geometry = replace(make(grid, n_views, **options), **offsets)
    if arc_rad == "short":
        geometry = replace(make(grid, n_views, **options, arc_rad=geometry.short_scan_rad), **offsets)
    return geometry


def stagger_shifts(geometry: Geometry, n_slices: int, period: int) -> tuple[float, ...]:
    """What to add to the view angles of each slice, in radians, so that slices in a row are seen from other angles.

    Each of ``period`` slices in a row is turned by another multiple of a ``period``-th of the step from view to view,
    so that together they have seen the angles of a scan with so many times the views. The multiples come in the order
    of a golden-ratio sequence, so that fewer slices in a row are spread over the step, too, as evenly as can be.

    Args:
        geometry: of the first slice.
        n_slices: slices.
        period: slices after which the angles repeat; 2 or more.

    Raises:
        UsageError: a cone or helix, which sees all slices from the same angles, or no such period.
    """
    if geometry.is_volume:
        raise UsageError(
            f"stagger is of slices scanned one by one, but the geometry is a {_NAMES[geometry.name]}; leave it out"
        )
    if period < 1 or period != int(period):
        raise UsageError(f"stagger is {period}; expected a number of slices, 1 for the same angles in all")
    angles = np.unwrap(np.sort(geometry.angles_rad))
    step = float(np.median(np.diff(angles))) if geometry.n_views > 1 else geometry.turn_rad
    # ranks: each multiple once, in the order of the sequence
    turns = np.argsort(np.argsort((np.arange(period) * _GOLDEN_RATIO) % 1))
    return tuple(step * int(turns[k % period]) / period for k in range(n_slices))
