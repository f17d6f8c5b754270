"""Where the pixels of an image, or the voxels of a volume, lie in the scanner."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ctresample.arrays import settle_numbers
from ctresample.errors import GeometryError

Array = NDArray[np.floating]


_LONGEST, _SHORTEST = 1e9, 1e-9
"""Of a length in millimetres, or a number of things: beyond that their products overflow."""


def check_positive(owner: str, **values: float) -> None:
    """`GeometryError` naming the first value that is not a finite number above 0, or of no possible size."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise GeometryError(f"{owner}: {name} is {value}; expected a number above 0")
        if not _SHORTEST <= value <= _LONGEST:
            raise GeometryError(f"{owner}: {name} is {value}; expected {_SHORTEST:g} to {_LONGEST:g}; check its unit")


def check_finite(owner: str, **values: float) -> None:
    """`GeometryError` naming the first value that is not a finite number."""
    for name, value in values.items():
        if not abs(value) <= _LONGEST:
            raise GeometryError(f"{owner}: {name} is {value}; expected a finite number up to {_LONGEST:g}")


@dataclass(frozen=True)
class ImageGrid:
    """Pixels of one axial slice.

    Attributes:
        shape: ``(rows, columns)``.
        pixel_size_mm: width of a pixel, along a row.
        aspect: height of a pixel over its width; 1 for square pixels.
        centre_mm: ``(x, y)`` of the centre of the image; the rotation axis is at (0, 0).
    """

    shape: tuple[int, int]
    pixel_size_mm: float
    aspect: float = 1.0
    centre_mm: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        settle_numbers(self, "image grid")
        rows, columns = self.shape
        check_positive("image grid", rows=rows, columns=columns, pixel_size_mm=self.pixel_size_mm, aspect=self.aspect)
        check_finite("image grid", centre_x_mm=self.centre_mm[0], centre_y_mm=self.centre_mm[1])

    @property
    def is_volume(self) -> bool:
        """Whether it has slices of its own."""
        return False

    @property
    def slice_grid(self) -> ImageGrid:
        """The grid of each slice: itself."""
        return self

    @property
    def pixel_height_mm(self) -> float:
        return self.pixel_size_mm * self.aspect

    @property
    def steps_mm(self) -> tuple[float, ...]:
        """From one pixel to the next along each axis of the array, in the direction of y and of x."""
        return -self.pixel_height_mm, self.pixel_size_mm

    @property
    def x_mm(self) -> Array:
        """Column centres, left to right."""
        return self.centre_mm[0] + (np.arange(self.shape[1]) - (self.shape[1] - 1) / 2) * self.pixel_size_mm

    @property
    def y_mm(self) -> Array:
        """Row centres, top (largest y) to bottom."""
        return self.centre_mm[1] + ((self.shape[0] - 1) / 2 - np.arange(self.shape[0])) * self.pixel_height_mm

    @property
    def axes_mm(self) -> tuple[Array, ...]:
        """Pixel centres along each axis of the array: y of the rows, x of the columns."""
        return self.y_mm, self.x_mm

    @property
    def radius_mm(self) -> float:
        """Distance from the rotation axis to the outermost corner."""
        half_x, half_y = self.shape[1] * self.pixel_size_mm / 2, self.shape[0] * self.pixel_height_mm / 2
        return math.hypot(abs(self.centre_mm[0]) + half_x, abs(self.centre_mm[1]) + half_y)

    def refined(self, factor: int) -> ImageGrid:
        """The same field of view in pixels ``factor`` times smaller."""
        shape = (self.shape[0] * factor, self.shape[1] * factor)
        return replace(self, shape=shape, pixel_size_mm=self.pixel_size_mm / factor)


@dataclass(frozen=True)
class VolumeGrid:
    """Voxels of a volume scanned by a cone beam: a stack of equal axial slices, square pixels.

    Attributes:
        shape: ``(slices, rows, columns)``.
        pixel_size_mm: edge of a pixel in a slice.
        slice_step_mm: from one slice to the next, towards larger z.
        centre_mm: ``(x, y, z)`` of the centre of the volume; the source circles the z axis at z = 0.
    """

    shape: tuple[int, int, int]
    pixel_size_mm: float
    slice_step_mm: float
    centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        settle_numbers(self, "volume grid")
        sizes = dict(zip(("slices", "rows", "columns"), self.shape, strict=True))
        check_positive("volume grid", **sizes, pixel_size_mm=self.pixel_size_mm, slice_step_mm=self.slice_step_mm)
        x, y, z = self.centre_mm
        check_finite("volume grid", centre_x_mm=x, centre_y_mm=y, centre_z_mm=z)

    @property
    def is_volume(self) -> bool:
        """Whether it has slices of its own."""
        return True

    @property
    def slice_grid(self) -> ImageGrid:
        """The grid of each slice."""
        return ImageGrid(self.shape[1:], self.pixel_size_mm, centre_mm=self.centre_mm[:2])

    @property
    def steps_mm(self) -> tuple[float, ...]:
        """From one voxel to the next along each axis of the array, in the direction of z, y and x."""
        return self.slice_step_mm, -self.pixel_size_mm, self.pixel_size_mm

    @property
    def z_mm(self) -> Array:
        """Slice centres, lowest first."""
        return self.centre_mm[2] + (np.arange(self.shape[0]) - (self.shape[0] - 1) / 2) * self.slice_step_mm

    @property
    def axes_mm(self) -> tuple[Array, ...]:
        """Voxel centres along each axis of the array: z of the slices, y of the rows, x of the columns."""
        return self.z_mm, *self.slice_grid.axes_mm

    @property
    def radius_mm(self) -> float:
        """Distance from the rotation axis to the outermost edge."""
        return self.slice_grid.radius_mm

    def refined(self, factor: int) -> VolumeGrid:
        """The same volume in voxels ``factor`` times smaller in each direction."""
        slices, rows, columns = (n * factor for n in self.shape)
        return replace(
            self,
            shape=(slices, rows, columns),
            pixel_size_mm=self.pixel_size_mm / factor,
            slice_step_mm=self.slice_step_mm / factor,
        )


Grid = ImageGrid | VolumeGrid
