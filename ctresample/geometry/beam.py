"""What all beams share: views, detector bins, and the rays between them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ctresample import choices
from ctresample.arrays import settle_numbers
from ctresample.errors import GeometryError
from ctresample.geometry.grid import Array, Grid, check_finite, check_positive

if TYPE_CHECKING:  # geometry alone must cost no torch
    import torch


MOST_TURNED_RAD = 1e6
"""Of an angle: where a number is larger, angles next to each other soon become one."""


@dataclass(frozen=True, repr=False)
class Beam(ABC):
    """A circular scan; see the package for axes and signs.

    Attributes:
        angles_rad: view angles, any order.
        n_detectors: detector bins a view (columns of a flat panel).
        detector_pitch_mm: distance between bin centres, at the detector.
        detector_offset_mm: position of the middle of the detector; 0 when it is centred on the central ray.
    """

    angles_rad: tuple[float, ...]
    n_detectors: int
    detector_pitch_mm: float
    detector_offset_mm: float = 0.0

    def __post_init__(self) -> None:
        settle_numbers(self, "geometry")  # an array of angles is not hashable
        if len(self.angles_rad) == 0:
            raise GeometryError("geometry: there are 0 views; expected at least 1 view angle")
        if not np.isfinite(self.angles_rad).all():
            raise GeometryError("geometry: a view angle is not finite; expected radians")
        if abs(far := max(self.angles_rad, key=abs)) > MOST_TURNED_RAD:
            raise GeometryError(f"geometry: a view angle is {far:g}; expected radians, up to {MOST_TURNED_RAD:g}")
        check_positive("geometry", n_detectors=self.n_detectors, detector_pitch_mm=self.detector_pitch_mm)
        check_finite("geometry", detector_offset_mm=self.detector_offset_mm)

    def __repr__(self) -> str:
        """As of a dataclass, with so many values in place of each of those that every view has."""
        parts = {}
        for one in fields(self):
            value = getattr(self, one.name)
            many = isinstance(value, tuple) and value
            parts[one.name] = f"<{len(value)} from {min(value):.4g} to {max(value):.4g}>" if many else repr(value)
        return f"{type(self).__name__}({', '.join(f'{name}={part}' for name, part in parts.items())})"

    @property
    def n_views(self) -> int:
        return len(self.angles_rad)

    @property
    @abstractmethod
    def name(self) -> choices.Beam:
        """What users call it."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What it is, for a list of facts."""

    @property
    def is_volume(self) -> bool:
        """Whether it sees all slices of a volume at once, on a grid of voxels."""
        return False

    @property
    def seen_at_axis_mm(self) -> tuple[float, float] | None:
        """Between what heights a panel sees the axis of rotation, lowest and highest; None without such bounds."""
        return None

    @property
    def turn_rad(self) -> float:
        """The angle after which views see the same lines again."""
        return 2 * math.pi

    @property
    @abstractmethod
    def short_scan_rad(self) -> float:
        """Shortest arc that measures every line."""

    @property
    @abstractmethod
    def line_coordinates(self) -> tuple[Array, float]:
        """What tells the lines of a view apart, and its step from bin to bin.

        Of parallel rays their distance from the rotation axis in mm, of a fan their angle from the ray through it.
        """

    @property
    @abstractmethod
    def from_axis_mm(self) -> Array:
        """How far each bin's ray passes from the rotation axis, with its side; in the plane of the source's circle."""

    @property
    def magnification(self) -> float:
        """Size of a bin over what of the object at the rotation axis falls on it."""
        return 1.0

    @property
    def ray_lengths_mm(self) -> Array | None:
        """From the source to each bin, ``view_shape``; None of parallel rays, which have no ends."""
        return None

    @property
    def lengths_mm(self) -> dict[str, float]:
        """All its lengths that are one number, by name."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name.endswith("_mm")}

    def as_batch(self, values: torch.Tensor) -> torch.Tensor:
        """Measurements, or images, of all slices as the operators take them.

        Args:
            values: ``[slice, ...]``: of a sinogram's values of a cone beam, the rows of its detector.

        Returns:
            ``(B, 1, ...)``: slices are scans of their own, so as many; of a volume one.
        """
        return values[None, None] if self.is_volume else values[:, None]

    def as_slices(self, x: torch.Tensor) -> torch.Tensor:
        """Images ``(B, 1, ...)`` of such a batch as ``[slice, y, x]``."""
        return x.reshape(-1, *x.shape[-2:])

    def one_row(self) -> Beam:
        """The scan seen along the axis: there all rows of a flat panel look alike, like a flat fan's only one."""
        return self

    @property
    def is_curved(self) -> bool:
        """Whether the detector lies on an arc around the source; so that equal bins see equal angles."""
        return False

    @property
    def view_shape(self) -> tuple[int, ...]:
        """Shape of one view: ``(detectors,)``, of a flat panel ``(detector rows, detectors)``."""
        return (self.n_detectors,)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one measurement: ``(views, detectors)``, of a flat panel ``(detector rows, views, detectors)``."""
        return (*self.view_shape[:-1], self.n_views, self.n_detectors)

    @property
    def detector_mm(self) -> Array:
        """Bin centres along the detector."""
        centred = np.arange(self.n_detectors) - (self.n_detectors - 1) / 2
        return centred * self.detector_pitch_mm + self.detector_offset_mm

    @abstractmethod
    def rays(self, view: int) -> tuple[Array, Array]:
        """A point on each ray and the ray's unit direction, both ``(*view_shape, 2)`` as (x, y) in mm, or 3 with z."""

    @abstractmethod
    def check_outside(self, grid: Grid) -> None:
        """`GeometryError` if the source would stand inside the image, or the grid is of another dimension."""

    def with_angles(self, angles_rad: tuple[float, ...] | Array) -> Self:
        """The same scan from other view angles."""
        return replace(self, angles_rad=tuple(angles_rad))

    def with_views(self, chosen: slice | NDArray[np.integer]) -> Self:
        """The same scan with some of its views, chosen as NumPy indexes."""
        return self.with_angles(np.array(self.angles_rad)[chosen])

    def views_near(self, low_mm: float, high_mm: float, radius_mm: float) -> slice:
        """Those views that slices between two heights need, within a radius of the axis: all, but of a helix."""
        return slice(0, self.n_views)

    def with_bins_split(self, factor: int) -> Self:
        """Each detector bin cut into ``factor`` equal parts along each side."""
        return replace(self, n_detectors=self.n_detectors * factor, detector_pitch_mm=self.detector_pitch_mm / factor)


def spread(n_views: int, arc_rad: float) -> tuple[float, ...]:
    """Equally spaced angles over [0, arc), end point excluded."""
    if n_views < 1:
        raise GeometryError(f"views is {n_views}; expected at least 1")
    check_positive("geometry", arc_rad=arc_rad)
    return tuple(arc_rad * i / n_views for i in range(n_views))


def bins_over(width_mm: float, pitch_mm: float) -> int:
    """Bins whose centres span a width."""
    return math.ceil(width_mm / pitch_mm - 1e-9) + 1
