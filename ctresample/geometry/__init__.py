"""Scan geometries and image grids: frozen, in millimetres and radians, checked when made.

Axes (as in ASTRA): the rotation axis is the origin and points along z; x runs along the columns of an image to the
right, y runs up, so row 0 has the largest y. At view angle theta the detector runs along
``u = (cos(theta), sin(theta))`` and rays run along ``(-sin(theta), cos(theta))``.

- A parallel ray with detector coordinate s is the line ``x cos(theta) + y sin(theta) = s``.
- A fan's source is at ``source_to_axis (sin(theta), -cos(theta)) + axis_offset u``; its central ray leaves along
  ``(-sin(theta), cos(theta))`` and meets the detector at 0.
- A cone adds detector rows, the last of which has the largest z.
- On a helix each view has a height of its own, and the detector's rows lie on a cylinder; see `HelicalBeam`.

Detector bin k has its centre at ``(k - (n_detectors - 1) / 2) * detector_pitch_mm + detector_offset_mm``.
``docs/geometry.md`` beside this package draws each of them.
"""

from collections.abc import Callable
from functools import partial

from ctresample import choices
from ctresample.geometry.beam import Beam
from ctresample.geometry.cone import ConeBeam
from ctresample.geometry.fan import FanBeam
from ctresample.geometry.grid import Grid, ImageGrid, VolumeGrid
from ctresample.geometry.helical import HelicalBeam
from ctresample.geometry.parallel import ParallelBeam
from ctresample.geometry.turns import helix_over

Geometry = ParallelBeam | FanBeam | ConeBeam | HelicalBeam

__all__ = ["Beam", "ConeBeam", "FanBeam", "Geometry", "Grid", "HelicalBeam", "ImageGrid", "ParallelBeam", "VolumeGrid"]

FOR_GRID: dict[choices.Beam, Callable[..., Geometry]] = {
    "parallel": ParallelBeam.for_grid,
    "fan": FanBeam.for_grid,
    "fan-curved": partial(FanBeam.for_grid, detector_shape="curved"),
    "cone": ConeBeam.for_grid,
    "helical": helix_over,
}
"""How each beam is made to see a grid: of the grid, a number of views and what else it needs."""
