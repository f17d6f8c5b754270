"""Measured line integrals with everything needed to reconstruct them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctresample.arrays import as_array, as_numbers, settle_numbers
from ctresample.bad_rays import BAD_RAY_SIGMA, filled
from ctresample.display import as_html, middle, scan_picture
from ctresample.errors import SinogramError, UsageError
from ctresample.geometry import Geometry, Grid
from ctresample.geometry.beam import MOST_TURNED_RAD
from ctresample.noise import line_integral_variance
from ctresample.units import MU_WATER_PER_MM
from ctresample.volume import affine_problem, offsets_problem, place_of_part, settle_place, slice_origins_mm

NOISE_FREE_SIGMA = 2e-3
"""Standard deviation assumed for data said to be free of noise, relative to the slice's root mean square:
about the error of the discrete projector, so that solvers have a level to stop at."""

if TYPE_CHECKING:
    from matplotlib.figure import Figure


EDGE_AIR_SHARE = 0.02
"""Of a scan's largest line integral: an edge of the detector that reads less sees air, and no object goes on there."""

SMOOTHING_BINS = 2.0
"""Standard deviation of the Gaussian over the values that the noise is told from."""


@dataclass(frozen=True, repr=False)
class Sinogram:
    """Line integrals of one or more slices, all measured with the same geometry.

    Example:
        >>> from ctresample import ImageGrid, ParallelBeam
        >>> scan = ParallelBeam(np.radians(range(0, 180, 20)), n_detectors=23, detector_pitch_mm=1.0)
        >>> Sinogram(np.zeros((1, 9, 23)), scan, ImageGrid((16, 16), pixel_size_mm=1.0), np.eye(4), photons=1e5)
        Sinogram(ParallelBeam of 9 views, 1 x 9 x 23, 1e+05 photons a ray, 1 x 16 x 16 pixels)

    Attributes:
        values: float32 ``[slice, view, detector]``, line integrals of attenuation (no unit); of a cone beam
            ``[detector row, view, detector]``, one scan of the whole volume.
        geometry: the scan.
        grid: the image grid to reconstruct on; of a cone beam a volume grid.
        affine: ``(4, 4)``, maps ``(column, row, slice, 1)`` of that grid to LPS mm.
        photons: photons sent along each ray: one number, or ``[view, detector]`` where a bow-tie filter or the tube
            current make them differ; None for data without noise.
        electronic_noise: standard deviation of the read-out, in photons.
        mu_water_per_mm: attenuation of water that HU refer to.
        origin: how the values came about, in words ("measured", or what was simulated on which model).
        headers: one DICOM JSON header a slice, or empty.
        slice_offsets_mm: where slices lie that are not evenly spaced, as in `ctresample.volume.Volume`; never of a
            cone beam.
        angle_shifts_rad: what is added to all view angles of the geometry in each slice, where slices are seen from
            different angles (staggered, as helical scans do anyway); None where all are seen from the same, as a cone
            beam's are.
        bad_rays: where ``values`` are not known, of the same shape; None if all are. They weigh nothing in a fit, and
            hold what `ctresample.bad_rays.filled` makes of their neighbours, for FBP. What they held may be NaN.
    """

    values: NDArray[np.float32]
    geometry: Geometry
    grid: Grid
    affine: NDArray[np.float64]
    photons: float | NDArray[np.float32] | None = None
    electronic_noise: float = 0.0
    mu_water_per_mm: float = MU_WATER_PER_MM
    origin: str = "measured"
    headers: tuple[Mapping[str, object], ...] = ()
    slice_offsets_mm: tuple[float, ...] | None = None
    bad_rays: NDArray[np.bool_] | None = None
    angle_shifts_rad: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        self._settle()
        is_volume = self.geometry.is_volume
        found = self.values.shape if is_volume else self.values.shape[1:]
        if self.values.ndim != 3 or found != self.geometry.shape or len(self.values) == 0:
            first = f"{self.geometry.shape[0]} detector rows" if is_volume else "slices"
            raise SinogramError(
                f"sinogram has shape {self.values.shape}; its geometry expects ({first}, "
                f"{self.geometry.n_views} views, {self.geometry.n_detectors} detectors)"
            )
        self._fill_bad_rays()
        bad = np.flatnonzero(~np.isfinite(self.values).all(axis=(1, 2)))
        if len(bad):
            what = "detector row" if is_volume else "slice"
            raise SinogramError(
                f"sinogram: {what} {bad[0]} holds NaN or infinite values ({len(bad)} of {len(self.values)} {what}s "
                "do); repair these rays, or mark them in bad_rays"
            )
        if self.headers and len(self.headers) != self.n_slices:
            raise SinogramError(f"sinogram has {self.n_slices} slices but {len(self.headers)} headers")
        if (problem := affine_problem(self.affine)) is not None:
            raise SinogramError(f"sinogram {problem}")
        if is_volume and self.slice_offsets_mm is not None:
            raise SinogramError("a cone beam's image has even steps between slices; leave slice_offsets_mm out")
        if (problem := offsets_problem(self.slice_offsets_mm, self.n_slices)) is not None:
            raise SinogramError(f"sinogram {problem}")
        self._check_shifts()
        if isinstance(self.photons, np.ndarray):
            wanted = (self.geometry.n_views, self.geometry.n_detectors)
            if self.photons.shape != wanted or not (self.photons > 0).all():
                raise SinogramError(
                    f"sinogram: photons have shape {self.photons.shape}; expected {wanted} numbers above 0"
                )

    def _settle(self) -> None:
        """Make what may come as any array, list or number what the attributes say."""
        settle_place(self)
        settle_numbers(self, "sinogram")
        if self.angle_shifts_rad is not None:
            shifts = as_numbers(self.angle_shifts_rad, "angle_shifts_rad")
            # slices that are all turned alike are not staggered
            same = len(set(shifts)) == 1 and len(shifts) == len(self.values) and not self.geometry.is_volume
            if same:
                object.__setattr__(self, "geometry", _turned(self.geometry, shifts[0]))
            object.__setattr__(self, "angle_shifts_rad", None if same else shifts)
        object.__setattr__(self, "values", as_array(self.values, "sinogram values"))
        if self.photons is not None:
            exact = as_array(self.photons, "sinogram photons", np.float64)
            photons = as_array(self.photons, "sinogram photons") if exact.ndim else float(exact)
            object.__setattr__(self, "photons", photons)

    def _check_shifts(self) -> None:
        shifts = self.angle_shifts_rad
        if shifts is None:
            return
        if self.geometry.is_volume:
            raise SinogramError("a cone beam sees all slices from the same angles; leave angle_shifts_rad out")
        fix = "or leave them out where all slices are seen from the same angles"
        if len(shifts) != self.n_slices:
            raise SinogramError(
                f"sinogram has {len(shifts)} angle_shifts_rad for {self.n_slices} slices; give one each, {fix}"
            )
        far = np.flatnonzero(~(np.abs(shifts) <= MOST_TURNED_RAD))
        if len(far):
            raise SinogramError(
                f"sinogram: angle_shifts_rad of slice {far[0]} is {shifts[far[0]]:g}; expected radians, up to "
                f"{MOST_TURNED_RAD:g}; correct it, {fix}"
            )

    def _fill_bad_rays(self) -> None:
        if self.bad_rays is None:
            return
        bad = np.ascontiguousarray(self.bad_rays, np.bool_)
        if bad.shape != self.values.shape:
            raise SinogramError(
                f"sinogram: bad_rays has shape {bad.shape}; expected that of values, {self.values.shape}"
            )
        if bad.all():
            raise SinogramError("sinogram: all rays are marked as bad; expected some that are known")
        object.__setattr__(self, "bad_rays", bad if bad.any() else None)
        object.__setattr__(self, "values", filled(self.values, bad) if bad.any() else self.values)

    @property
    def n_slices(self) -> int:
        """Slices of the image."""
        return self.grid.shape[0] if self.geometry.is_volume else len(self.values)

    def geometry_of(self, slice_number: int) -> Geometry:
        """The scan of one slice: the geometry, turned where slices are seen from different angles."""
        return self.geometry if self.angle_shifts_rad is None else self.turned(self.angle_shifts_rad[slice_number])

    def turned(self, shift_rad: float) -> Geometry:
        """The geometry with an angle added to all of its views."""
        return _turned(self.geometry, shift_rad)

    @property
    def slice_origins_mm(self) -> NDArray[np.float64]:
        """Centre of the first voxel of each slice of the image in LPS mm, ``(slices, 3)``."""
        return slice_origins_mm(self.affine, self.n_slices, self.slice_offsets_mm)

    def __repr__(self) -> str:
        headers = ", with DICOM headers" if self.headers else ""
        return f"Sinogram({', '.join(self._in_words.values())}{headers})"

    def plot(self, *, slice_number: int | None = None) -> Figure:
        """Draw the line integrals of a slice with matplotlib: view angles in degrees, the detector in mm.

        Args:
            slice_number: from 0 (of a cone beam the detector's row); by default the middle one.
        """
        from ctresample.plots import plot_scan  # with matplotlib, which is slow to load

        n = len(self.values)
        number = n // 2 if slice_number is None else slice_number
        if not 0 <= number < n:
            raise UsageError(f"slice_number is {number}; expected 0 to {n - 1}")
        geometry = self.geometry if self.geometry.is_volume else self.geometry_of(number)
        return plot_scan(self.values[number], np.asarray(geometry.angles_rad), geometry.detector_mm)

    def _repr_html_(self) -> str:
        return as_html("Sinogram", scan_picture(middle(self.values)), self._in_words)

    @property
    def _in_words(self) -> dict[str, str]:
        """What it is; nothing of the headers, nor of the origin, which may be anyone's words."""
        photons = self.photons
        if isinstance(photons, np.ndarray):
            sent = f"{photons.min():.3g} to {photons.max():.3g} photons a ray"
        else:
            sent = "no noise stated" if photons is None else f"{photons:.3g} photons a ray"
        pixels = " x ".join(map(str, self.grid.shape))
        return {
            "scan": f"{type(self.geometry).__name__} of {self.geometry.n_views} views{self._stagger_in_words}",
            "values": " x ".join(map(str, self.values.shape)),
            "noise": sent,
            "image": f"{self.n_slices} x {pixels} pixels" if len(self.grid.shape) == 2 else f"{pixels} voxels",
        }

    @property
    def _stagger_in_words(self) -> str:
        return "" if self.angle_shifts_rad is None else f" in {len(set(self.angle_shifts_rad))} sets of angles"

    def on_grid(self, size: int | None = None, pixel_size_mm: float | None = None) -> Sinogram:
        """The same scan on square slices of another size, around the same centre.

        Args:
            size: rows and columns; by default what covers the field of view, in a multiple of 32.
            pixel_size_mm: by default what keeps the field of view.
        """
        grid = self.grid
        rows, columns = grid.shape[-2:]
        height, width = (abs(step) * n for step, n in zip(grid.steps_mm[-2:], (rows, columns), strict=True))
        if size is None and pixel_size_mm is None:
            return self
        if size is None:
            size = 32 * math.ceil(max(height, width) / float(pixel_size_mm or 1) / 32 - 1e-9)
        pixel = max(height, width) / size if pixel_size_mm is None else pixel_size_mm
        changes: dict[str, Any] = {"shape": (*grid.shape[:-2], size, size), "pixel_size_mm": pixel}
        if not grid.is_volume:
            changes["aspect"] = 1.0
        new = replace(grid, **changes)
        affine = self.affine.copy()
        affine[:3, 0] *= pixel / (width / columns)
        affine[:3, 1] *= pixel / (height / rows)
        centre = self.affine @ [(columns - 1) / 2, (rows - 1) / 2, 0, 1]
        affine[:3, 3] += (centre - affine @ [(size - 1) / 2, (size - 1) / 2, 0, 1])[:3]
        self.geometry.check_outside(new)
        return replace(self, grid=new, affine=affine)

    def part(self, numbers: Sequence[int]) -> Sinogram:
        """Some of its slices, in rising order, where they are.

        Raises:
            SinogramError: a cone beam, whose slices are measured together.
        """
        if self.geometry.is_volume:
            raise SinogramError("a cone beam measures all slices together; none can be taken out")
        kept = list(numbers)
        affine, offsets_mm = place_of_part(self.affine, self.slice_origins_mm, self.slice_offsets_mm, kept)
        shifts = self.angle_shifts_rad
        return replace(
            self,
            values=self.values[kept],
            affine=affine,
            headers=tuple(self.headers[k] for k in kept) if self.headers else (),
            slice_offsets_mm=offsets_mm,
            bad_rays=None if self.bad_rays is None else self.bad_rays[kept],
            angle_shifts_rad=None if shifts is None else tuple(shifts[k] for k in kept),
        )

    def with_views(self, kept: slice | NDArray[np.intp]) -> Sinogram:
        """The same scan with some of its views only.

        Args:
            kept: which, in rising order.
        """
        return replace(
            self,
            values=self.values[:, kept],
            geometry=self.geometry.with_views(kept),
            photons=self.photons[kept] if isinstance(self.photons, np.ndarray) else self.photons,
            bad_rays=None if self.bad_rays is None else self.bad_rays[:, kept],
        )

    def every(self, step: int) -> Sinogram:
        """The same scan with every ``step``-th view only, from the first: sparse views of a full scan."""
        if step < 1:
            raise UsageError(f"step is {step}; expected 1 (all views) or more")
        return self.with_views(slice(None, None, step))

    def sigma(self) -> NDArray[np.float32]:
        """Standard deviation of each value, same shape as ``values``: from the photon count where there is one.

        That of rays that are not known is `BAD_RAY_SIGMA`. It is computed once: not to be written to.
        """
        return self._sigma

    @cached_property
    def _sigma(self) -> NDArray[np.float32]:
        sigma = self._sigma_of_known(self.values)
        return sigma if self.bad_rays is None else np.where(self.bad_rays, np.float32(BAD_RAY_SIGMA), sigma)

    def __getstate__(self) -> dict[str, Any]:
        """Without what can be computed again: sinograms travel between processes."""
        return {name: value for name, value in self.__dict__.items() if name != "_sigma"}

    def _sigma_of_known(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.photons is None:
            level = np.sqrt(np.mean(values.astype(np.float64) ** 2, axis=(1, 2), keepdims=True))
            return np.broadcast_to(np.maximum(NOISE_FREE_SIGMA * level, 1e-6), values.shape).astype(np.float32)
        known: dict[str, Any] = {"photons": self.photons, "electronic_noise": self.electronic_noise}
        sigma = np.sqrt(line_integral_variance(values, **known))
        from scipy.ndimage import gaussian_filter1d

        # a ray that happens to read low would count for more, and all attenuation come out too low at low doses:
        # neighbours tell what is behind a ray better than itself, unless an edge is between them
        smooth = gaussian_filter1d(values, SMOOTHING_BINS, axis=-1, mode="nearest")
        alike = np.abs(smooth - values) < 4 * sigma
        return np.sqrt(line_integral_variance(np.where(alike, smooth, values), **known))


def _turned(geometry: Geometry, shift_rad: float) -> Geometry:
    return geometry if shift_rad == 0 else geometry.with_angles(np.asarray(geometry.angles_rad) + shift_rad)
