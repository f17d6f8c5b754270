"""Parallel rays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctresample import choices
from ctresample.errors import GeometryError
from ctresample.geometry.beam import Beam, bins_over, spread
from ctresample.geometry.grid import Array, Grid, ImageGrid


@dataclass(frozen=True, repr=False)
class ParallelBeam(Beam):
    """Parallel rays; see the package for axes and signs, and `Beam` for the attributes.

    A rotation axis that the detector's middle misses is a ``detector_offset_mm``: where a scan has its axis at bin
    c (counted from 0), the offset is ``((n_detectors - 1) / 2 - c) * detector_pitch_mm``.
    """

    @classmethod
    def for_grid(cls, grid: ImageGrid, n_views: int, arc_rad: float = math.pi) -> ParallelBeam:
        """Views equally spaced over [0, arc), end point excluded; bins as wide as a pixel, covering the corners."""
        return cls(spread(n_views, arc_rad), bins_over(2 * grid.radius_mm, grid.pixel_size_mm), grid.pixel_size_mm)

    @property
    def name(self) -> choices.Beam:
        return "parallel"

    @property
    def words(self) -> str:
        return "parallel"

    @property
    def turn_rad(self) -> float:
        return math.pi  # rays from behind see the same lines

    @property
    def short_scan_rad(self) -> float:
        return math.pi

    @property
    def line_coordinates(self) -> tuple[Array, float]:
        return self.detector_mm, self.detector_pitch_mm

    @property
    def from_axis_mm(self) -> Array:
        return self.detector_mm

    def rays(self, view: int) -> tuple[Array, Array]:
        cos, sin = math.cos(self.angles_rad[view]), math.sin(self.angles_rad[view])
        points = self.detector_mm[:, None] * np.array([cos, sin])
        return points, np.broadcast_to(np.array([-sin, cos]), points.shape)

    def check_outside(self, grid: Grid) -> None:
        if not isinstance(grid, ImageGrid):
            raise GeometryError("parallel beam: the grid is a volume; expected an ImageGrid, a slice at a time")
