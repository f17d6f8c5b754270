"""How right a projector is: a disk's exact line integrals, and how far back projection is from the adjoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam

Array = NDArray[np.floating]
Map = Callable[[Array], Array]


@dataclass(frozen=True)
class Disk:
    """Attenuation 1 inside a circle; coordinates as in `ctresample.geometry`."""

    centre_mm: tuple[float, float]
    radius_mm: float

    @classmethod
    def inside(cls, grid: ImageGrid) -> Disk:
        """Off centre, in no symmetric place, within the circle that fits the image."""
        unit = grid.shape[1] * grid.pixel_size_mm
        return cls((0.081 * unit, -0.123 * unit), 0.234 * unit)

    def moved(self, by_mm: tuple[float, float]) -> Disk:
        return replace(self, centre_mm=(self.centre_mm[0] + by_mm[0], self.centre_mm[1] + by_mm[1]))


def disk_image(grid: ImageGrid, disk: Disk, oversampling: int = 8) -> NDArray[np.float32]:
    """The share of each pixel's area that the disk covers, ``[row, column]``."""
    fine = grid.refined(oversampling)
    x, y = fine.x_mm - disk.centre_mm[0], fine.y_mm[:, None] - disk.centre_mm[1]
    inside = (x**2 + y**2 <= disk.radius_mm**2).astype(np.float32)
    rows, columns = grid.shape
    return inside.reshape(rows, oversampling, columns, oversampling).mean(axis=(1, 3))


def line_integrals(geometry: ParallelBeam | FanBeam, disk: Disk) -> Array:
    """Chord lengths ``[view, detector]`` in mm, from the axes that `ctresample.geometry` documents, not its code."""
    theta = np.array(geometry.angles_rad)[:, None]
    bins = np.arange(geometry.n_detectors) - (geometry.n_detectors - 1) / 2
    s = bins * geometry.detector_pitch_mm + geometry.detector_offset_mm
    cx, cy = disk.centre_mm
    along_u = cx * np.cos(theta) + cy * np.sin(theta)
    if geometry.name == "fan":
        # seen from the source, the central ray points along v, and the ray to bin s along s u + source_to_detector v
        from_source = cy * np.cos(theta) - cx * np.sin(theta) + geometry.source_to_axis_mm
        length = np.hypot(s, geometry.source_to_detector_mm)
        distance = (along_u * geometry.source_to_detector_mm - from_source * s) / length
    else:
        distance = along_u - s
    return 2 * np.sqrt(np.maximum(disk.radius_mm**2 - distance**2, 0))


def relative_error(found: Array, expected: Array) -> float:
    """Euclidean distance, relative to what was expected."""
    gap = np.asarray(found, np.float64) - expected
    return float(np.linalg.norm(gap) / np.linalg.norm(expected))


def adjoint_error(forward: Map, back: Map, grid: ImageGrid, measured_shape: tuple[int, int]) -> float:
    """``|<A x, y> - <x, A' y>| / (|A x| |y|)``; 0 is an exact adjoint.

    x and y are uniform between 0 and 1: with mean 0, the errors of a wrong adjoint would average out. x is 0 outside
    the circle that fits the image, because some libraries look no further.

    Args:
        forward: an image ``(rows, columns)`` to its measurement.
        back: a measurement to an image.
        grid: of the image.
        measured_shape: ``(views, detectors)``.
    """
    generator = np.random.default_rng(0)
    x, y = (generator.random(shape, dtype=np.float32) for shape in (grid.shape, measured_shape))
    x[np.hypot(grid.x_mm, grid.y_mm[:, None]) > min(grid.shape) / 2 * grid.pixel_size_mm - grid.pixel_size_mm] = 0
    ax, aty = np.asarray(forward(x), np.float64), np.asarray(back(y), np.float64)
    return float(abs(np.vdot(ax, y) - np.vdot(x, aty)) / (np.linalg.norm(ax) * np.linalg.norm(y)))
