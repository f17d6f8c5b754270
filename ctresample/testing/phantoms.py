"""Ellipses and spheres with known images and known line integrals.

The line integrals are written out from the axes that `ctresample.geometry` documents, not from its code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ctresample.geometry import ConeBeam, FanBeam, Geometry, HelicalBeam, ImageGrid, VolumeGrid
from ctresample.operators import LinearOperator
from ctresample.units import MU_WATER_PER_MM

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Ellipse:
    """Adds ``value`` inside; the first half axis is ``tilt_rad`` from +x towards +y."""

    value: float
    centre_mm: tuple[float, float]
    half_axes_mm: tuple[float, float]
    tilt_rad: float = 0.0

    def in_units_of_axes(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Coordinates in which the ellipse is the unit circle around the origin, but for its centre."""
        cos, sin = np.cos(self.tilt_rad), np.sin(self.tilt_rad)
        return (x * cos + y * sin) / self.half_axes_mm[0], (y * cos - x * sin) / self.half_axes_mm[1]


def disk(value: float, centre_mm: tuple[float, float], radius_mm: float) -> Ellipse:
    """A circle of its own."""
    return Ellipse(value, centre_mm, (radius_mm, radius_mm))


def head(grid: ImageGrid, mu: float = MU_WATER_PER_MM) -> list[Ellipse]:
    """Piecewise constant, of a size that fits the grid, alike in no direction, nowhere negative."""
    unit = min(grid.shape) * grid.pixel_size_mm
    return [
        Ellipse(mu, (0.0, 0.0), (0.42 * unit, 0.34 * unit)),
        Ellipse(-0.7 * mu, (0.15 * unit, 0.05 * unit), (0.1 * unit, 0.14 * unit), 0.3),
        disk(0.5 * mu, (-0.1 * unit, -0.12 * unit), 0.07 * unit),
    ]


def image(grid: ImageGrid, ellipses: list[Ellipse], oversampling: int = 8) -> Array:
    """Mean over each pixel's area, ``[row, column]``."""
    n = oversampling
    rows, columns = grid.shape
    steps = (np.arange(n) - (n - 1) / 2) / n
    x = ((np.arange(columns) - (columns - 1) / 2)[:, None] + steps).ravel() * grid.pixel_size_mm
    y = (((rows - 1) / 2 - np.arange(rows))[:, None] - steps).ravel()[:, None] * grid.pixel_size_mm * grid.aspect
    x, y = x + grid.centre_mm[0], y + grid.centre_mm[1]
    total = np.zeros((rows * n, columns * n))
    for e in ellipses:
        u, v = e.in_units_of_axes(x - e.centre_mm[0], y - e.centre_mm[1])
        total += e.value * (u**2 + v**2 <= 1)
    return total.reshape(rows, n, columns, n).mean(axis=(1, 3))


@dataclass(frozen=True)
class Sphere:
    """Adds ``value`` inside."""

    value: float
    centre_mm: tuple[float, float, float]
    radius_mm: float


def rays(geometry: Geometry) -> tuple[Array, ...]:
    """A point (x, y) and the unit direction (x, y) of each ray, four arrays ``[view, detector]``; no cone beams."""
    theta = np.array(geometry.angles_rad)[:, None]
    bins = np.arange(geometry.n_detectors)[None] - (geometry.n_detectors - 1) / 2
    s = bins * geometry.detector_pitch_mm + geometry.detector_offset_mm
    if isinstance(geometry, FanBeam):
        to_axis, to_detector = geometry.source_to_axis_mm, geometry.source_to_detector_mm
        x = to_axis * np.sin(theta) + geometry.axis_offset_mm * np.cos(theta)
        y = -to_axis * np.cos(theta) + geometry.axis_offset_mm * np.sin(theta)
        # where the ray meets the detector, seen from the source: along u, and ahead
        across, ahead = s, np.full_like(s, to_detector)
        if geometry.detector_shape == "curved":
            across, ahead = to_detector * np.sin(s / to_detector), to_detector * np.cos(s / to_detector)
        dx, dy = across * np.cos(theta) - ahead * np.sin(theta), across * np.sin(theta) + ahead * np.cos(theta)
    else:
        x, y = s * np.cos(theta), s * np.sin(theta)
        dx, dy = -np.sin(theta), np.cos(theta)
    length = np.hypot(dx, dy)
    return tuple(np.broadcast_to(part, geometry.shape) for part in (x, y, dx / length, dy / length))


def line_integrals(geometry: Geometry, ellipses: list[Ellipse]) -> Array:
    """Chord lengths times values, ``[view, detector]``."""
    x, y, dx, dy = rays(geometry)
    total = np.zeros(geometry.shape)
    for e in ellipses:
        # |p + t d| = 1 is a quadratic equation in t, and the chord is the distance between its roots
        p, q = e.in_units_of_axes(x - e.centre_mm[0], y - e.centre_mm[1])
        u, v = e.in_units_of_axes(dx, dy)
        a, half_b, c = u**2 + v**2, p * u + q * v, p**2 + q**2 - 1
        total += e.value * 2 * np.sqrt(np.maximum(half_b**2 - a * c, 0)) / a
    return total


def cone_integrals(geometry: ConeBeam, spheres: list[Sphere]) -> Array:
    """Chord lengths times values, ``[detector row, view, detector]``."""
    theta = np.array(geometry.angles_rad)[None, :, None]
    u = (np.arange(geometry.n_detectors) - (geometry.n_detectors - 1) / 2) * geometry.detector_pitch_mm
    v = (np.arange(geometry.n_detector_rows) - (geometry.n_detector_rows - 1) / 2) * geometry.detector_row_pitch_mm
    u, v = (u + geometry.detector_offset_mm)[None, None], (v + geometry.detector_row_offset_mm)[:, None, None]
    to_axis, to_detector, offset = geometry.source_to_axis_mm, geometry.source_to_detector_mm, geometry.axis_offset_mm
    source = (to_axis * np.sin(theta) + offset * np.cos(theta), -to_axis * np.cos(theta) + offset * np.sin(theta), 0.0)
    ray = (u * np.cos(theta) - to_detector * np.sin(theta), u * np.sin(theta) + to_detector * np.cos(theta), v)
    length2 = sum(part**2 for part in ray)
    total = np.zeros(geometry.shape)
    for sphere in spheres:
        to_centre = [c - s for c, s in zip(sphere.centre_mm, source, strict=True)]
        along2 = sum(a * b for a, b in zip(to_centre, ray, strict=True)) ** 2 / length2
        distance2 = sum(part**2 for part in to_centre) - along2
        total += sphere.value * 2 * np.sqrt(np.maximum(sphere.radius_mm**2 - distance2, 0))
    return total


def helical_integrals(geometry: HelicalBeam, spheres: list[Sphere]) -> Array:
    """Chord lengths times values, ``[detector row, view, detector]``."""
    k = np.arange(geometry.n_detectors) - (geometry.n_detectors - 1) / 2
    r = np.arange(geometry.n_detector_rows) - (geometry.n_detector_rows - 1) / 2
    gamma = (k * geometry.detector_pitch_mm + geometry.detector_offset_mm) / geometry.source_to_detector_mm
    row_mm = (r * geometry.detector_row_pitch_mm + geometry.detector_row_offset_mm)[:, None]
    none = (0.0,) * geometry.n_views
    turns, outs, ups = (part or none for part in (geometry.spot_angle_rad, geometry.spot_radial_mm, geometry.spot_z_mm))
    total = np.zeros(geometry.shape)
    for view, (theta, z) in enumerate(zip(geometry.angles_rad, geometry.centre_z_mm, strict=True)):
        spot_angle, radius = theta + turns[view], geometry.source_to_axis_mm + outs[view]
        spot = radius * np.sin(spot_angle), -radius * np.cos(spot_angle), z + ups[view]
        ray = (
            geometry.source_to_axis_mm * np.sin(theta)
            - geometry.source_to_detector_mm * np.sin(theta - gamma)
            - spot[0],
            geometry.source_to_detector_mm * np.cos(theta - gamma)
            - geometry.source_to_axis_mm * np.cos(theta)
            - spot[1],
            z + row_mm - spot[2],
        )
        length2 = sum(part**2 for part in ray)
        for sphere in spheres:
            to_centre = [c - s for c, s in zip(sphere.centre_mm, spot, strict=True)]
            along2 = sum(a * b for a, b in zip(to_centre, ray, strict=True)) ** 2 / length2
            distance2 = sum(part**2 for part in to_centre) - along2
            total[:, view] += sphere.value * 2 * np.sqrt(np.maximum(sphere.radius_mm**2 - distance2, 0))
    return total


def volume_image(grid: VolumeGrid, spheres: list[Sphere], oversampling: int = 4) -> Array:
    """Mean over each voxel, ``[slice, row, column]``."""
    n = oversampling
    steps = (np.arange(n) - (n - 1) / 2) / n

    def fine(count: int, centre: float, step_mm: float) -> Array:
        return centre + ((np.arange(count) - (count - 1) / 2)[:, None] + steps) * step_mm

    slices, rows, columns = grid.shape
    x = fine(columns, grid.centre_mm[0], grid.pixel_size_mm).ravel()
    y = fine(rows, grid.centre_mm[1], grid.pixel_size_mm).ravel()[::-1, None]
    volume = np.zeros(grid.shape)
    for index, heights in enumerate(fine(slices, grid.centre_mm[2], grid.slice_step_mm)):
        for s, z in ((s, z) for s in spheres for z in heights if abs(z - s.centre_mm[2]) < s.radius_mm):
            disk2 = s.radius_mm**2 - (z - s.centre_mm[2]) ** 2
            inside = (x - s.centre_mm[0]) ** 2 + (y - s.centre_mm[1]) ** 2 <= disk2
            volume[index] += s.value / n * inside.reshape(rows, n, columns, n).mean(axis=(1, 3))
    return volume


def as_batch(*arrays: Array, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """``(B, 1, ...)`` of 2D arrays."""
    return torch.tensor(np.stack(arrays), dtype=dtype)[:, None]


def relative(found: ArrayLike, expected: ArrayLike) -> float:
    """Euclidean distance, relative to what was expected."""
    found, expected = (np.asarray(array, dtype=np.float64) for array in (found, expected))
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def matrix_of(operator: LinearOperator) -> Array:
    """The dense matrix of a small linear operator."""
    n = int(np.prod(operator.domain_shape))
    unit = torch.eye(n, dtype=operator.dtype).reshape(n, 1, *operator.domain_shape)
    return operator(unit).reshape(n, -1).T.numpy()
