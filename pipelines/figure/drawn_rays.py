"""The rays of one view as lines with two ends, and where source, detector and axis stand to each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ctresample.geometry import Beam

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Lines:
    """Rays from where they start to where they meet the detector, both ``(*view_shape, 2 or 3)``."""

    starts: Array
    ends: Array


def lines_of(geometry: Beam, view: int, reach_mm: float) -> Lines:
    """Rays of one view as long as they are; parallel ones, which have no ends, as far as ``reach_mm`` to both sides."""
    points, directions = geometry.rays(view)
    lengths = geometry.ray_lengths_mm
    if lengths is None:
        return Lines(points - reach_mm * directions, points + reach_mm * directions)
    return Lines(points, points + directions * lengths[..., None])


@dataclass(frozen=True)
class Frame:
    """One view seen along the rotation axis, (x, y) in mm.

    Attributes:
        lines: all rays.
        source: where the central ray starts.
        foot: where the central ray meets the detector.
        middle: of the detector.
        along: unit vector of the central ray.
        across: unit vector of the detector, u.
    """

    lines: Lines
    source: Array
    foot: Array
    middle: Array
    along: Array
    across: Array


def frame_of(geometry: Beam, view: int, reach_mm: float) -> Frame:
    """One view; parallel rays reach as far as ``reach_mm`` to both sides of the axis."""
    geometry = geometry.one_row()
    central = lines_of(central_rays(geometry), view, reach_mm)
    return Frame(
        lines_of(geometry, view, reach_mm),
        central.starts[1],
        central.ends[1],
        lines_of(replace(geometry, n_detectors=1), view, reach_mm).ends[0],
        unit(central.ends[1] - central.starts[1]),
        unit(central.ends[2] - central.ends[0]),
    )


def central_rays(geometry: Beam) -> Beam:
    """The same scan with three bins, the middle one of which sees the central ray."""
    return replace(geometry, n_detectors=3, detector_pitch_mm=geometry.detector_pitch_mm / 2, detector_offset_mm=0.0)


def unit(vector: Array) -> Array:
    """A vector's direction."""
    return vector / np.linalg.norm(vector)
