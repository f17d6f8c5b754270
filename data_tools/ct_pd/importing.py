"""A DICOM-CT-PD series to a sinogram file, a view at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.ct_pd.series import ProjectionSeries, find_projections
from ctresample.data_tools.ct_pd.view import read_rest, read_values
from ctresample.data_tools.sinogram.schema import SinogramHead
from ctresample.data_tools.sinogram.writing import stream_sinogram
from ctresample.errors import DicomError, SinogramError
from ctresample.geometry import HelicalBeam, VolumeGrid
from ctresample.geometry.coverage import seen_range_mm
from ctresample.paths import StrPath
from ctresample.units import MU_WATER_PER_MM

DEFAULT_SIZE = 512
_LARGEST_VIEW_SUM = 40.0
"""Line integrals reach it in no patient."""


def import_projections(
    place: StrPath,
    out: StrPath,
    *,
    mu_water_per_mm: float | None = None,
    on_note: Callable[[str], None] = lambda message: None,
    progress: Callable[[float, str], None] = lambda share, step: None,
) -> SinogramHead:
    """Read a series of projections and stream it into a sinogram file; memory holds a few views at a time.

    The image grid covers the scanner's field of view, in 512 x 512 pixels, at all heights where every direction was
    seen, in steps of two detector rows as seen at the axis.

    Args:
        place: the folder, or a zip file.
        out: the new sinogram file.
        mu_water_per_mm: attenuation of water that HU refer to, in place of the series' own.
        on_note: told what was chosen, left out or is doubtful.
        progress: told the share done, and what is being done.

    Raises:
        DicomError: see `find_projections`, or a view that cannot be read.
        SinogramError: values that are no line integrals; a helix with gaps.
        OutputError: the file cannot be written.
    """
    progress(0, "reading headers")
    series = find_projections(place, lambda n: progress(0, f"reading headers, {n}"))
    first = series.views[0]
    header, facts = read_rest(first.file)
    for reason, n in series.left_out.items():
        on_note(f"{n} files left out: {reason}")
    if series.assumed_position:
        on_note(
            f"doubtful: PatientPosition is {series.scanner.patient_position or 'missing'}; only FFS was compared with "
            "a scanner's own images: check left and right, head and feet against them"
        )
    mu = mu_water_per_mm or series.scanner.mu_water_per_mm
    if mu is None:
        mu = MU_WATER_PER_MM
        on_note(
            f"WaterAttenuationCoefficient is missing: {mu:g} per mm is taken, and HU are as wrong as that; "
            "import --mu-water"
        )
    diameter = _field_of_view_mm(series.geometry, facts["field of view"])
    geometry = _at_origin(series.geometry)
    grid = default_grid(geometry, diameter)
    on_note(
        f"image grid: {grid.shape[0]} slices {grid.slice_step_mm:.3g} mm apart, {DEFAULT_SIZE} x {DEFAULT_SIZE} pixels "
        f"of {grid.pixel_size_mm:.3g} mm; other slices: reconstruct --z-range, --slice-step"
    )
    views = _Views(series, progress)
    photons = views.photons()
    if photons is None:
        on_note("PhotonStatistics is missing: the values count as free of noise")
    head = SinogramHead(
        geometry=geometry,
        grid=grid,
        affine=grid_affine(grid),
        photons=photons,
        mu_water_per_mm=mu,
        origin=f"measured; imported from DICOM-CT-PD ({series.scanner.maker})",
        headers=(header,) * grid.shape[0],
    )
    stream_sinogram(head, views, out)
    if views.highest > _LARGEST_VIEW_SUM:
        on_note(f"doubtful: line integrals reach {views.highest:.3g}; are they of this rescale?")
    return head


class _Views:
    """The views in order, each read when it is wanted."""

    def __init__(self, series: ProjectionSeries, progress: Callable[[float, str], None]) -> None:
        self._series, self._progress = series, progress
        self.highest = -math.inf

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        n = len(self._series.views)
        for number, view in enumerate(self._series.views):
            values, _ = read_values(view)
            self.highest = max(self.highest, float(values.max()))
            if float(values.min()) < -1 or self.highest > 1e3:
                raise DicomError(
                    f"{view.file}: values from {values.min():.3g} to {values.max():.3g} are no line integrals; is the "
                    "rescale that of this view?"
                )
            yield self._series.ordered(values)
            self._progress((number + 1) / n, "reading projections")

    def photons(self) -> NDArray[np.float32] | None:
        """Of each ray, ``[view, column]``; of each view where every hundredth differs, else all as the first."""
        views = self._series.views
        some = [read_values(view)[1] for view in views[:: max(1, len(views) // 8)]]
        known = [one for one in some if one is not None]
        if len(known) < len(some):
            return None
        if all(np.allclose(one, known[0], rtol=0.02) for one in known):
            return np.tile(self._along(known[0]), (len(views), 1))
        found = [read_values(view)[1] for view in views]
        if any(one is None for one in found):
            return None
        return np.stack([self._along(one) for one in found if one is not None])

    def _along(self, photons: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._series.ordered(photons[None])[0]


def default_grid(geometry: HelicalBeam, diameter_mm: float, size: int = DEFAULT_SIZE) -> VolumeGrid:
    """Slices of a field of view at all heights where nothing is missing of the scan.

    Raises:
        SinogramError: there is no such height.
    """
    whole = seen_range_mm(geometry, 0.98 * diameter_mm / 2)
    if whole is None:
        raise SinogramError(
            f"at no height all directions were seen within {diameter_mm / 2:.0f} mm of the axis (pitch "
            f"{geometry.pitch:.3g}, {geometry.n_views} views): the helix is too fast for its detector, or too short"
        )
    step_mm = 2 * geometry.detector_row_pitch_mm / geometry.magnification
    n_slices = max(1, math.floor((whole[1] - whole[0]) / step_mm))
    return VolumeGrid((n_slices, size, size), diameter_mm / size, step_mm, (0.0, 0.0, (whole[0] + whole[1]) / 2))


def grid_affine(grid: VolumeGrid) -> NDArray[np.float64]:
    """To LPS: columns to the left (x), rows to the back, slices to the head."""
    affine = np.diag([grid.pixel_size_mm, grid.pixel_size_mm, grid.slice_step_mm, 1.0])
    affine[:3, 3] = grid.axes_mm[2][0], -grid.axes_mm[1][0], grid.axes_mm[0][0]
    return affine


def _at_origin(geometry: HelicalBeam) -> HelicalBeam:
    """Angles of the first turn begin near 0: they keep their last digits."""
    turns = 2 * math.pi * round(geometry.angles_rad[0] / (2 * math.pi))
    return replace(geometry, angles_rad=tuple(angle - turns for angle in geometry.angles_rad))


def _field_of_view_mm(geometry: HelicalBeam, stated: str) -> float:
    """What the detector sees to both sides, no more than the scanner states."""
    seen = 2 * float(np.abs(geometry.from_axis_mm[[0, -1]]).min())
    try:
        return min(seen, float(stated)) if float(stated) > 0 else seen
    except ValueError:
        return seen
