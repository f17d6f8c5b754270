"""Scan geometries and image grids: frozen, in millimetres and radians, checked when made.

Axes (as in ASTRA): the rotation axis is the centre of the image; x runs along the columns to the right, y runs
up, so row 0 has the largest y. At view angle theta a parallel ray with detector coordinate s is the line
``x cos(theta) + y sin(theta) = s``. In a fan beam the source is at
``source_to_axis (sin(theta), -cos(theta))`` and the detector runs along ``(cos(theta), sin(theta))``.
Detector bin k has its centre at ``(k - (n_detectors - 1) / 2) * detector_pitch_mm``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import GeometryError

Array = NDArray[np.floating]


def _positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise GeometryError(f"{owner}: {name} is {value}; expected a number above 0")


@dataclass(frozen=True)
class ImageGrid:
    """Square pixels centred on the rotation axis.

    Attributes:
        shape: ``(rows, columns)``.
        pixel_size_mm: edge of a pixel.
    """

    shape: tuple[int, int]
    pixel_size_mm: float

    def __post_init__(self) -> None:
        _positive("image grid", rows=self.shape[0], columns=self.shape[1], pixel_size_mm=self.pixel_size_mm)

    @property
    def x_mm(self) -> Array:
        """Column centres, left to right."""
        return (np.arange(self.shape[1]) - (self.shape[1] - 1) / 2) * self.pixel_size_mm

    @property
    def y_mm(self) -> Array:
        """Row centres, top (largest y) to bottom."""
        return ((self.shape[0] - 1) / 2 - np.arange(self.shape[0])) * self.pixel_size_mm

    @property
    def radius_mm(self) -> float:
        """Distance from the axis to the outermost corner."""
        return math.hypot(*self.shape) * self.pixel_size_mm / 2

    def refined(self, factor: int) -> ImageGrid:
        """The same field of view in pixels ``factor`` times smaller."""
        return ImageGrid((self.shape[0] * factor, self.shape[1] * factor), self.pixel_size_mm / factor)


@dataclass(frozen=True)
class _Beam:
    """What parallel and fan beam share.

    Attributes:
        angles_rad: view angles, any order.
        n_detectors: detector bins a view.
        detector_pitch_mm: distance between bin centres, at the detector.
    """

    angles_rad: tuple[float, ...]
    n_detectors: int
    detector_pitch_mm: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "angles_rad", tuple(map(float, self.angles_rad)))  # an array is not hashable
        if len(self.angles_rad) == 0:
            raise GeometryError("geometry: there are 0 views; expected at least 1 view angle")
        if not np.isfinite(self.angles_rad).all():
            raise GeometryError("geometry: a view angle is not finite; expected radians")
        _positive("geometry", n_detectors=self.n_detectors, detector_pitch_mm=self.detector_pitch_mm)

    @property
    def n_views(self) -> int:
        return len(self.angles_rad)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one slice's sinogram: ``(views, detectors)``."""
        return self.n_views, self.n_detectors

    @property
    def detector_mm(self) -> Array:
        """Bin centres along the detector."""
        return (np.arange(self.n_detectors) - (self.n_detectors - 1) / 2) * self.detector_pitch_mm


@dataclass(frozen=True)
class ParallelBeam(_Beam):
    """Parallel rays; see the module for axes and signs."""

    @classmethod
    def for_grid(cls, grid: ImageGrid, n_views: int) -> ParallelBeam:
        """Views equally spaced over [0, pi), end point excluded; bins as wide as a pixel, covering the corners."""
        return cls(_spread(n_views, math.pi), _bins(2 * grid.radius_mm, grid.pixel_size_mm), grid.pixel_size_mm)

    def rays(self, view: int) -> tuple[Array, Array]:
        """A point on each ray and the ray's unit direction, both ``(n_detectors, 2)`` as (x, y) in mm."""
        cos, sin = math.cos(self.angles_rad[view]), math.sin(self.angles_rad[view])
        points = self.detector_mm[:, None] * np.array([cos, sin])
        return points, np.broadcast_to(np.array([-sin, cos]), points.shape)

    def with_bins_split(self, factor: int) -> ParallelBeam:
        """Each detector bin cut into ``factor`` equal parts."""
        return ParallelBeam(self.angles_rad, self.n_detectors * factor, self.detector_pitch_mm / factor)


@dataclass(frozen=True)
class FanBeam(_Beam):
    """Rays from a point source to a flat detector; see the module for axes and signs.

    Attributes:
        source_to_axis_mm: source to rotation axis.
        source_to_detector_mm: source to detector.
    """

    source_to_axis_mm: float
    source_to_detector_mm: float

    def __post_init__(self) -> None:
        super().__post_init__()
        distances = {"source_to_axis_mm": self.source_to_axis_mm, "source_to_detector_mm": self.source_to_detector_mm}
        _positive("fan beam", **distances)
        if self.source_to_detector_mm < self.source_to_axis_mm:
            raise GeometryError(
                f"fan beam: source_to_detector_mm is {self.source_to_detector_mm}; expected at least "
                f"source_to_axis_mm = {self.source_to_axis_mm}"
            )

    @property
    def magnification(self) -> float:
        return self.source_to_detector_mm / self.source_to_axis_mm

    @classmethod
    def for_grid(
        cls, grid: ImageGrid, n_views: int, source_to_axis_mm: float = 595.0, source_to_detector_mm: float = 1085.6
    ) -> FanBeam:
        """Views over the full circle; bins that are one pixel wide at the axis and cover the corners.

        The distances default to those of a common clinical scanner (Siemens SOMATOM Definition AS).
        """
        if grid.radius_mm >= source_to_axis_mm:
            raise GeometryError(
                f"fan beam: the image reaches {grid.radius_mm:.0f} mm from the axis, past the source at "
                f"{source_to_axis_mm:.0f} mm; use a smaller image or a larger source_to_axis_mm"
            )
        pitch = grid.pixel_size_mm * source_to_detector_mm / source_to_axis_mm
        half_fan = math.asin(grid.radius_mm / source_to_axis_mm)
        width = 2 * source_to_detector_mm * math.tan(half_fan)
        angles = _spread(n_views, 2 * math.pi)
        return cls(angles, _bins(width, pitch), pitch, source_to_axis_mm, source_to_detector_mm)

    def rays(self, view: int) -> tuple[Array, Array]:
        """A point on each ray and the ray's unit direction, both ``(n_detectors, 2)`` as (x, y) in mm."""
        cos, sin = math.cos(self.angles_rad[view]), math.sin(self.angles_rad[view])
        source = self.source_to_axis_mm * np.array([sin, -cos])
        centre = source - self.source_to_detector_mm * np.array([sin, -cos])
        directions = centre + self.detector_mm[:, None] * np.array([cos, sin]) - source
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return np.broadcast_to(source, directions.shape), directions

    def with_bins_split(self, factor: int) -> FanBeam:
        """Each detector bin cut into ``factor`` equal parts."""
        return FanBeam(
            self.angles_rad,
            self.n_detectors * factor,
            self.detector_pitch_mm / factor,
            self.source_to_axis_mm,
            self.source_to_detector_mm,
        )


Geometry = ParallelBeam | FanBeam


def _spread(n_views: int, arc_rad: float) -> tuple[float, ...]:
    if n_views < 1:
        raise GeometryError(f"views is {n_views}; expected at least 1")
    return tuple(arc_rad * i / n_views for i in range(n_views))


def _bins(width_mm: float, pitch_mm: float) -> int:
    return math.ceil(width_mm / pitch_mm - 1e-9) + 1


def check_rays_outside(geometry: Geometry, grid: ImageGrid) -> None:
    """`GeometryError` if a fan beam's source would stand inside the image."""
    if isinstance(geometry, FanBeam) and grid.radius_mm >= geometry.source_to_axis_mm:
        raise GeometryError(
            f"fan beam: the source at {geometry.source_to_axis_mm} mm lies inside the image, which reaches "
            f"{grid.radius_mm:.1f} mm from the axis"
        )
