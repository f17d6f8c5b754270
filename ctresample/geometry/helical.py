"""Rays of a clinical scanner on a helix: a curved detector of several rows, and a focal spot that may fly."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ctresample import choices
from ctresample.errors import GeometryError
from ctresample.geometry.fan import DivergingBeam, FanBeam
from ctresample.geometry.grid import Array, Grid, VolumeGrid, check_finite, check_positive

_PER_VIEW = ("angles_rad", "centre_z_mm", "spot_angle_rad", "spot_radial_mm", "spot_z_mm")


@dataclass(frozen=True, kw_only=True, repr=False)
class HelicalBeam(DivergingBeam):
    """A cone beam whose source climbs along the axis; see the package for axes and signs, and the bases for more.

    The detector's focal centre F stands at ``source_to_axis_mm (sin(theta), -cos(theta))`` and at height
    ``centre_z_mm``. The detector is a piece of the cylinder of radius ``source_to_detector_mm`` around the line
    through F along z: column k is at ``F + source_to_detector_mm (-sin(theta - gamma), cos(theta - gamma))`` with
    ``gamma = detector_mm[k] / source_to_detector_mm``, row r at ``detector_rows_mm[r]`` above F. Rays begin at the
    focal spot, which is at F but for the three shifts of each view (a flying focal spot). The notation is that of
    Chen et al., "Development and validation of an open data format for CT projection data", Med. Phys. 42(12), 2015.

    Attributes:
        centre_z_mm: height of F, of each view.
        n_detector_rows: rows of the detector; ``n_detectors`` counts its columns.
        detector_row_pitch_mm: from one row to the next, towards larger z.
        detector_row_offset_mm: height of the middle of the detector above F.
        spot_angle_rad: from F to the focal spot: around the axis, of each view; empty where the spot does not fly.
        spot_radial_mm: likewise, away from the axis.
        spot_z_mm: likewise, along the axis.
    """

    centre_z_mm: tuple[float, ...]
    n_detector_rows: int
    detector_row_pitch_mm: float
    detector_row_offset_mm: float = 0.0
    spot_angle_rad: tuple[float, ...] = ()
    spot_radial_mm: tuple[float, ...] = ()
    spot_z_mm: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        rows = {"n_detector_rows": self.n_detector_rows, "detector_row_pitch_mm": self.detector_row_pitch_mm}
        check_positive("helical beam", **rows)
        check_finite("helical beam", detector_row_offset_mm=self.detector_row_offset_mm)
        if self.axis_offset_mm:
            raise GeometryError("helical beam: axis_offset_mm is not 0; expected the axis on the central ray")
        if np.abs(self.fan_angles_rad).max() >= math.pi / 2:
            raise GeometryError("helical beam: the detector reaches 90 degrees or more from the central ray")
        for name in _PER_VIEW[1:]:
            values = getattr(self, name)
            if len(values) != self.n_views and (values or name == "centre_z_mm"):
                raise GeometryError(f"helical beam: {name} has {len(values)} values for {self.n_views} views")
            if not np.isfinite(values).all() or np.abs(values).max(initial=0) > 1e5:
                raise GeometryError(f"helical beam: {name} holds {max(values, key=abs)}; expected mm or radians")
        if min(self.spot_radial_mm, default=0.0) <= -self.source_to_axis_mm:
            raise GeometryError("helical beam: spot_radial_mm moves the focal spot past the axis")

    @property
    def name(self) -> choices.Beam:
        return "helical"

    @property
    def words(self) -> str:
        return "helix, curved detector"

    @property
    def is_volume(self) -> bool:
        return True

    @property
    def is_curved(self) -> bool:
        return True

    @property
    def fan_angles_rad(self) -> Array:
        return self.detector_mm / self.source_to_detector_mm

    def one_row(self) -> FanBeam:
        shared = {one.name: getattr(self, one.name) for one in fields(DivergingBeam)}
        return FanBeam(**shared, detector_shape="curved")

    @property
    def view_shape(self) -> tuple[int, ...]:
        return self.n_detector_rows, self.n_detectors

    @property
    def ray_lengths_mm(self) -> Array:
        along = np.hypot(self.source_to_detector_mm, self.detector_rows_mm[:, None])
        return np.broadcast_to(along, self.view_shape)

    @property
    def detector_rows_mm(self) -> Array:
        """Heights of the rows above F."""
        centred = np.arange(self.n_detector_rows) - (self.n_detector_rows - 1) / 2
        return centred * self.detector_row_pitch_mm + self.detector_row_offset_mm

    @property
    def feed_mm(self) -> float:
        """How far the source climbs in a turn against the patient, with its sign; from a line through all views."""
        angles = np.unwrap(self.angles_rad)
        turned = np.ptp(angles)
        return float(np.polyfit(angles, self.centre_z_mm, 1)[0] * 2 * math.pi) if turned > 1e-6 else 0.0

    @property
    def pitch(self) -> float:
        """Feed over the height of the beam at the axis, without its sign."""
        height_mm = self.n_detector_rows * self.detector_row_pitch_mm / self.magnification
        return abs(self.feed_mm) / height_mm

    @property
    def spots(self) -> Array:
        """``(views, 3)``: shifts of the focal spot in angle (rad), radius and z (mm)."""
        parts = (self.spot_angle_rad, self.spot_radial_mm, self.spot_z_mm)
        return np.stack([np.array(part) if part else np.zeros(self.n_views) for part in parts], axis=1)

    @property
    def seen_mm(self) -> float:
        """How far from the axis the outermost ray passes."""
        return float(np.abs(self.from_axis_mm[[0, -1]]).max())

    def heights_mm(self, radius_mm: float) -> tuple[Array, Array]:
        """Between what heights each row's rays lie within a radius of the axis: ``[row, view]``, lowest and highest."""
        spots = self.spots
        source_z = np.array(self.centre_z_mm) + spots[:, 2]
        to_axis = self.source_to_axis_mm + spots[:, 1]
        # outer columns' rays are as long, and lean as much, as the inner ones': the detector is a cylinder around F
        slope = (self.detector_rows_mm[:, None] - spots[:, 2]) / (self.source_to_detector_mm + spots[:, 1])
        ends = source_z + slope * np.stack([to_axis - radius_mm, to_axis + radius_mm])[:, None]
        return ends.min(axis=0), ends.max(axis=0)

    def views_near(self, low_mm: float, high_mm: float, radius_mm: float) -> slice:
        """Views whose rays reach the slices within a radius, and a turn beside.

        The turn is for what rebins views to parallel beams, and asks whether a slice is seen from everywhere.
        """
        low, high = self.heights_mm(min(radius_mm, self.seen_mm))
        near = np.flatnonzero(((low <= high_mm) & (high >= low_mm)).any(axis=0))
        if not len(near):
            return slice(0, self.n_views)
        angles = np.abs(np.unwrap(self.angles_rad) - self.angles_rad[0])
        begin, end = angles[near[0]] - 2 * math.pi, angles[near[-1]] + 2 * math.pi
        first, last = np.searchsorted(angles, [begin, end])
        return slice(int(first), int(last) + 1)

    def spot_mm(self, view: int) -> Array:
        """Where the rays of a view begin, (x, y, z)."""
        turn, out, up = (
            part[view] if part else 0.0 for part in (self.spot_angle_rad, self.spot_radial_mm, self.spot_z_mm)
        )
        angle, radius = self.angles_rad[view] + turn, self.source_to_axis_mm + out
        return np.array([radius * math.sin(angle), -radius * math.cos(angle), self.centre_z_mm[view] + up])

    def rays(self, view: int) -> tuple[Array, Array]:
        to_bin = self.angles_rad[view] - self.fan_angles_rad
        bins = np.empty((*self.view_shape, 3))
        bins[..., 0] = self.source_mm(view)[0] - self.source_to_detector_mm * np.sin(to_bin)
        bins[..., 1] = self.source_mm(view)[1] + self.source_to_detector_mm * np.cos(to_bin)
        bins[..., 2] = (self.centre_z_mm[view] + self.detector_rows_mm)[:, None]
        spot = self.spot_mm(view)
        directions = bins - spot
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        return np.broadcast_to(spot, directions.shape), directions

    def check_outside(self, grid: Grid) -> None:
        if not isinstance(grid, VolumeGrid):
            raise GeometryError("helical beam: the grid is a slice; expected a VolumeGrid")
        self._check_distance(grid)

    def with_angles(self, angles_rad: tuple[float, ...] | Array) -> Self:
        if len(angles_rad) != self.n_views:
            raise GeometryError("helical beam: views also have heights; choose among them by with_views")
        return super().with_angles(angles_rad)

    def with_views(self, chosen: slice | NDArray[np.integer]) -> Self:
        kept: dict[str, Any] = {
            name: tuple(np.array(getattr(self, name))[chosen].tolist()) for name in _PER_VIEW if getattr(self, name)
        }
        return replace(self, **kept)

    def with_bins_split(self, factor: int) -> Self:
        return replace(
            super().with_bins_split(factor),
            n_detector_rows=self.n_detector_rows * factor,
            detector_row_pitch_mm=self.detector_row_pitch_mm / factor,
        )
