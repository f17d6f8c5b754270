"""Rays from a point source to a row of detectors, flat or on an arc around the source."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctresample import choices
from ctresample.choices import DetectorShape
from ctresample.errors import GeometryError
from ctresample.geometry.beam import Beam, bins_over, spread
from ctresample.geometry.grid import Array, Grid, ImageGrid, check_finite, check_positive

CLINICAL_SOURCE_TO_AXIS_MM, CLINICAL_SOURCE_TO_DETECTOR_MM = 595.0, 1085.6
"""Distances of a common clinical scanner (Siemens SOMATOM Definition AS)."""


@dataclass(frozen=True, kw_only=True, repr=False)
class DivergingBeam(Beam):
    """What fan and cone share: a point source on a circle.

    Attributes:
        source_to_axis_mm: source to rotation axis, along the central ray.
        source_to_detector_mm: source to detector, along the central ray.
        axis_offset_mm: where the central ray passes the rotation axis, along the detector; 0 when it meets the axis.
            A rotation axis that is out of line shifts source and detector together, and so this, not
            ``detector_offset_mm``, is what a centre-of-rotation error of a fan or cone beam is.
    """

    source_to_axis_mm: float
    source_to_detector_mm: float
    axis_offset_mm: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        distances = {"source_to_axis_mm": self.source_to_axis_mm, "source_to_detector_mm": self.source_to_detector_mm}
        check_positive("fan beam", **distances)
        check_finite("fan beam", axis_offset_mm=self.axis_offset_mm)
        if self.source_to_detector_mm < self.source_to_axis_mm:
            raise GeometryError(
                f"fan beam: source_to_detector_mm is {self.source_to_detector_mm}; expected at least "
                f"source_to_axis_mm = {self.source_to_axis_mm}"
            )

    @property
    def magnification(self) -> float:
        return self.source_to_detector_mm / self.source_to_axis_mm

    @property
    def fan_angles_rad(self) -> Array:
        """Angle of each bin's ray from the central ray, in the plane of the source's circle."""
        return np.arctan(self.detector_mm / self.source_to_detector_mm)

    @property
    def axis_fan_angles_rad(self) -> Array:
        """Angle of each bin's ray from the one through the rotation axis: a fan out of line is a turned one."""
        return self.fan_angles_rad + math.atan2(self.axis_offset_mm, self.source_to_axis_mm)

    @property
    def line_coordinates(self) -> tuple[Array, float]:
        return self.axis_fan_angles_rad, self.detector_pitch_mm / self.source_to_detector_mm

    @property
    def from_axis_mm(self) -> Array:
        gamma = self.fan_angles_rad
        return self.source_to_axis_mm * np.sin(gamma) + self.axis_offset_mm * np.cos(gamma)

    @property
    def short_scan_rad(self) -> float:
        """180 degrees and the full fan angle."""
        return math.pi + 2 * float(np.abs(self.axis_fan_angles_rad).max())

    def source_mm(self, view: int) -> Array:
        """The source's place (x, y)."""
        cos, sin = math.cos(self.angles_rad[view]), math.sin(self.angles_rad[view])
        return self.source_to_axis_mm * np.array([sin, -cos]) + self.axis_offset_mm * np.array([cos, sin])

    def _check_distance(self, grid: Grid) -> None:
        distance = math.hypot(self.source_to_axis_mm, self.axis_offset_mm)
        if grid.radius_mm >= distance:
            raise GeometryError(
                f"fan beam: the source at {distance:g} mm lies inside the image, which reaches "
                f"{grid.radius_mm:.1f} mm from the axis"
            )


@dataclass(frozen=True, kw_only=True, repr=False)
class FanBeam(DivergingBeam):
    """A fan in the plane of one slice; see the package for axes and signs, and the bases for more attributes.

    Attributes:
        detector_shape: "flat", or "curved" on a circle around the source (equiangular: the pitch, offset and bin
            positions are arc lengths, and equal bins see equal angles).
    """

    detector_shape: DetectorShape = "flat"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.detector_shape not in ("flat", "curved"):
            raise GeometryError(f"fan beam: detector_shape is {self.detector_shape!r}; expected 'flat' or 'curved'")
        if np.abs(self.fan_angles_rad).max() >= math.pi / 2:
            raise GeometryError(
                "fan beam: the curved detector reaches 90 degrees or more from the central ray; are n_detectors, "
                "detector_pitch_mm and source_to_detector_mm in millimetres?"
            )

    @property
    def ray_lengths_mm(self) -> Array:
        to_detector = self.source_to_detector_mm
        return np.full(self.n_detectors, to_detector) if self.is_curved else np.hypot(to_detector, self.detector_mm)

    @property
    def name(self) -> choices.Beam:
        return "fan-curved" if self.is_curved else "fan"

    @property
    def words(self) -> str:
        return f"fan, {'curved' if self.is_curved else 'flat'} detector"

    @property
    def is_curved(self) -> bool:
        return self.detector_shape == "curved"

    @property
    def fan_angles_rad(self) -> Array:
        if self.is_curved:
            return self.detector_mm / self.source_to_detector_mm
        return super().fan_angles_rad

    @classmethod
    def for_grid(
        cls,
        grid: ImageGrid,
        n_views: int,
        source_to_axis_mm: float = CLINICAL_SOURCE_TO_AXIS_MM,
        source_to_detector_mm: float = CLINICAL_SOURCE_TO_DETECTOR_MM,
        *,
        detector_shape: DetectorShape = "flat",
        arc_rad: float = 2 * math.pi,
    ) -> FanBeam:
        """Views over [0, arc), end point excluded; bins that are one pixel wide at the axis and cover the corners.

        The distances default to those of a common clinical scanner (Siemens SOMATOM Definition AS).
        """
        half_fan = half_fan_rad(grid, source_to_axis_mm)
        pitch = grid.pixel_size_mm * source_to_detector_mm / source_to_axis_mm
        half_width = source_to_detector_mm * (math.tan(half_fan) if detector_shape == "flat" else half_fan)
        return cls(
            spread(n_views, arc_rad),
            bins_over(2 * half_width, pitch),
            pitch,
            source_to_axis_mm=source_to_axis_mm,
            source_to_detector_mm=source_to_detector_mm,
            detector_shape=detector_shape,
        )

    def rays(self, view: int) -> tuple[Array, Array]:
        cos, sin = math.cos(self.angles_rad[view]), math.sin(self.angles_rad[view])
        gamma = self.fan_angles_rad[:, None]
        directions = np.cos(gamma) * np.array([-sin, cos]) + np.sin(gamma) * np.array([cos, sin])
        return np.broadcast_to(self.source_mm(view), directions.shape), directions

    def check_outside(self, grid: Grid) -> None:
        if not isinstance(grid, ImageGrid):
            raise GeometryError("fan beam: the grid is a volume; expected an ImageGrid, a slice at a time")
        self._check_distance(grid)


def half_fan_rad(grid: Grid, source_to_axis_mm: float) -> float:
    """Angle of the ray that just passes the grid; `GeometryError` if the source would stand inside."""
    if grid.radius_mm >= source_to_axis_mm:
        raise GeometryError(
            f"fan beam: the image reaches {grid.radius_mm:.0f} mm from the axis, past the source at "
            f"{source_to_axis_mm:.0f} mm; use a smaller image or a larger source_to_axis_mm"
        )
    return math.asin(grid.radius_mm / source_to_axis_mm)
