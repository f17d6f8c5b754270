"""Rays from a point source on a circle to a flat panel."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from ctresample import choices
from ctresample.errors import GeometryError
from ctresample.geometry.beam import bins_over, spread
from ctresample.geometry.fan import (
    CLINICAL_SOURCE_TO_AXIS_MM,
    CLINICAL_SOURCE_TO_DETECTOR_MM,
    DivergingBeam,
    FanBeam,
    half_fan_rad,
)
from ctresample.geometry.grid import Array, Grid, VolumeGrid, check_finite, check_positive


@dataclass(frozen=True, kw_only=True, repr=False)
class ConeBeam(DivergingBeam):
    """A circular cone beam on a flat panel; see the package for axes and signs, and the bases for more attributes.

    Detector row r is at height ``(r - (n_detector_rows - 1) / 2) * detector_row_pitch_mm + detector_row_offset_mm``
    above the plane of the source's circle.

    Attributes:
        n_detector_rows: rows of the panel; ``n_detectors`` counts its columns.
        detector_row_pitch_mm: from one row to the next, towards larger z.
        detector_row_offset_mm: height of the middle of the panel.
    """

    n_detector_rows: int
    detector_row_pitch_mm: float
    detector_row_offset_mm: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        rows = {"n_detector_rows": self.n_detector_rows, "detector_row_pitch_mm": self.detector_row_pitch_mm}
        check_positive("cone beam", **rows)
        check_finite("cone beam", detector_row_offset_mm=self.detector_row_offset_mm)

    @classmethod
    def for_grid(
        cls,
        grid: VolumeGrid,
        n_views: int,
        source_to_axis_mm: float = CLINICAL_SOURCE_TO_AXIS_MM,
        source_to_detector_mm: float = CLINICAL_SOURCE_TO_DETECTOR_MM,
        *,
        arc_rad: float = 2 * math.pi,
    ) -> ConeBeam:
        """Views over [0, arc), end point excluded; bins one voxel wide at the axis, a panel that covers the volume."""
        half_fan = half_fan_rad(grid, source_to_axis_mm)
        magnification = source_to_detector_mm / source_to_axis_mm
        pitch, row_pitch = grid.pixel_size_mm * magnification, grid.slice_step_mm * magnification
        half_height = grid.shape[0] * grid.slice_step_mm / 2 + abs(grid.centre_mm[2])
        nearest = source_to_axis_mm - grid.radius_mm  # where the cone sees the volume largest
        return cls(
            spread(n_views, arc_rad),
            bins_over(2 * source_to_detector_mm * math.tan(half_fan), pitch),
            pitch,
            source_to_axis_mm=source_to_axis_mm,
            source_to_detector_mm=source_to_detector_mm,
            n_detector_rows=bins_over(2 * half_height * source_to_detector_mm / nearest, row_pitch),
            detector_row_pitch_mm=row_pitch,
        )

    @property
    def name(self) -> choices.Beam:
        return "cone"

    @property
    def words(self) -> str:
        return "cone, flat panel"

    @property
    def is_volume(self) -> bool:
        return True

    @property
    def ray_lengths_mm(self) -> Array:
        return np.sqrt(self.source_to_detector_mm**2 + self.detector_mm**2 + self.detector_rows_mm[:, None] ** 2)

    def one_row(self) -> FanBeam:
        return FanBeam(**{one.name: getattr(self, one.name) for one in fields(DivergingBeam)})

    @property
    def view_shape(self) -> tuple[int, ...]:
        return self.n_detector_rows, self.n_detectors

    @property
    def detector_rows_mm(self) -> Array:
        """Heights of the rows of the panel."""
        centred = np.arange(self.n_detector_rows) - (self.n_detector_rows - 1) / 2
        return centred * self.detector_row_pitch_mm + self.detector_row_offset_mm

    @property
    def seen_at_axis_mm(self) -> tuple[float, float]:
        rows, half = self.detector_rows_mm, self.detector_row_pitch_mm / 2
        return float(rows[0] - half) / self.magnification, float(rows[-1] + half) / self.magnification

    def rays(self, view: int) -> tuple[Array, Array]:
        cos, sin = math.cos(self.angles_rad[view]), math.sin(self.angles_rad[view])
        directions = np.empty((*self.view_shape, 3))
        u = self.detector_mm[None, :]
        directions[..., 0] = u * cos - self.source_to_detector_mm * sin
        directions[..., 1] = u * sin + self.source_to_detector_mm * cos
        directions[..., 2] = self.detector_rows_mm[:, None]
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        return np.broadcast_to(np.append(self.source_mm(view), 0.0), directions.shape), directions

    def check_outside(self, grid: Grid) -> None:
        if not isinstance(grid, VolumeGrid):
            raise GeometryError("cone beam: the grid is a slice; expected a VolumeGrid")
        self._check_distance(grid)

    def with_bins_split(self, factor: int) -> Self:
        return replace(
            super().with_bins_split(factor),
            n_detector_rows=self.n_detector_rows * factor,
            detector_row_pitch_mm=self.detector_row_pitch_mm / factor,
        )
