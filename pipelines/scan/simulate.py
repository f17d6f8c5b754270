"""A sinogram of a CT volume, as a low-dose scanner would have measured it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.choices import Beam
from ctresample.data_tools.dicom.values import LOWEST_PLAUSIBLE_HU
from ctresample.errors import UsageError
from ctresample.geometry import Geometry, Grid
from ctresample.noise import PLAIN, Scanner, add_noise, blurred, check_noise, with_crosstalk
from ctresample.operators import ConeProjector, StreamedProjector
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.scan.geometry import reconstruction_grid, scan_geometry
from ctresample.regrid import to_square_grid
from ctresample.sinogram import Sinogram
from ctresample.units import AIR_HU, MU_WATER_PER_MM, hu_to_mu
from ctresample.volume import Volume

REFINEMENT = 2
"""The simulated object has pixels, and the detector parts of bins, this many times finer than the reconstruction:
data made with the very matrix that reconstructs them would flatter every method (the "inverse crime")."""

_DETECTOR = (0, 1)
"""Follows the seed for what belongs to the detector; a slice's noise has its number alone, so the two differ."""


def simulate(
    volume: Volume | StrPath,
    *,
    n_views: int | None = None,
    beam: Beam = "parallel",
    arc_rad: float | Literal["short"] | None = None,
    geometry: Geometry | None = None,
    size: int = 256,
    photons: float | None = None,
    electronic_noise: float = 0.0,
    scanner: Scanner = PLAIN,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Sinogram:
    """Scan each slice of a volume on its own, or with a cone beam all of it at once.

    What happens to the photons, in this order: the tube current and the bow-tie filter say how many are sent, the
    object lets some through, each bin takes their mean over its width (and height), the point spread blurs them, they
    are counted, crosstalk passes some of the signal on, the read-out adds its noise, and faulty bins report a wrong
    gain, which the noise model of the sinogram does not know.

    Example:
        >>> import numpy as np
        >>> from ctresample import Volume, simulate
        >>> hu = np.full((1, 32, 32), -1000.0)
        >>> hu[:, 8:24, 8:24] = 40
        >>> simulate(Volume(hu, np.diag([10, 10, 2, 1])), n_views=20, size=32, photons=1e5)
        Sinogram(ParallelBeam of 20 views, 1 x 20 x 47, 1e+05 photons a ray, 1 x 32 x 32 pixels)

    Args:
        volume: slices in HU, or where a DICOM series is; values below -1000 HU count as air.
        n_views: views, equally spaced.
        beam: "parallel", "fan" (flat detector), "fan-curved" or "cone".
        arc_rad: the arc of the views; see `scan_geometry`.
        geometry: the scan itself, instead of the three above; a `ConeBeam` scans the whole volume.
        size: rows and columns of the image grid to reconstruct on.
        photons: photons sent along each ray, with a bow-tie filter along the ray through the rotation axis, and with
            modulation on average; None for no noise.
        electronic_noise: read-out noise in photons.
        scanner: its bow-tie filter, tube-current modulation, blur and crosstalk; by default it has none.
        seed: of the noise; slice k of a volume, or row k of a flat panel, draws from ``(seed, k)``.
        progress: told the fraction done, from 0 to 1.

    Raises:
        UsageError: an option is out of range, or two contradict each other.
        GeometryError: a scan that cannot be.
        DicomError: the place of a series holds none, several, or one that cannot be read.
    """
    volume = _read(volume)
    if photons is not None:
        check_noise(photons, electronic_noise)
    elif scanner.shapes_photons:
        raise UsageError(f"the scanner has a {scanner}, but there are no photons to shape; state photons too")
    if geometry is not None and (n_views is not None or arc_rad is not None):
        raise UsageError("geometry has its own views; leave n_views and arc_rad out")
    cone = beam == "cone" if geometry is None else geometry.is_volume
    grid, first = reconstruction_grid(volume, size, "cone" if cone else "parallel")
    if geometry is None:
        if n_views is None:
            raise UsageError("views is not stated; expected n_views, or a geometry")
        geometry = scan_geometry(grid, beam=beam, n_views=n_views, arc_rad=arc_rad)
    geometry.check_outside(grid)
    mu = hu_to_mu(scanned(volume, size * REFINEMENT).hu.astype(np.float64))
    transmission = _transmission(mu, geometry, grid, progress)
    transmission = blurred(transmission, scanner.blur_mm, geometry.detector_pitch_mm)
    if photons is None:
        sent = None
        values = -np.log(with_crosstalk(transmission, scanner.crosstalk)).astype(np.float32)
    else:
        sent = scanner.photons_sent(photons, geometry, transmission)
        values = np.stack(
            [
                add_noise(
                    one,
                    photons=sent,
                    electronic_noise=electronic_noise,
                    crosstalk=scanner.crosstalk,
                    generator=np.random.default_rng([seed, index]),
                )
                for index, one in enumerate(transmission)
            ]
        )
    if scanner.faulty_bins:
        values += scanner.ring_pattern(values, geometry.n_detectors, np.random.default_rng([seed, *_DETECTOR]))
    fine = " x ".join(str(n * REFINEMENT) for n in grid.shape)
    n_rays = REFINEMENT ** len(geometry.view_shape)
    facts = f"simulated from {fine} pixels with each detector bin the mean intensity of {n_rays} rays (Joseph)"
    n_low = int(np.count_nonzero(volume.hu < LOWEST_PLAUSIBLE_HU))
    raised = f"{n_low} values below {LOWEST_PLAUSIBLE_HU:g} HU raised to air" if n_low else ""
    return Sinogram(
        values=values,
        geometry=geometry,
        grid=grid,
        affine=first.affine,
        photons=sent,
        electronic_noise=electronic_noise,
        mu_water_per_mm=MU_WATER_PER_MM,
        origin=", ".join(filter(None, (facts, raised, str(scanner), f"noise seed {seed}"))),
        headers=volume.headers,
        slice_offsets_mm=volume.slice_offsets_mm,
    )


def _read(given: Volume | StrPath) -> Volume:
    if isinstance(given, Volume):
        return given
    from ctresample.data_tools.dicom.read import read_ct_series  # here, for pydicom is not needed where none is read

    return read_ct_series(as_path(given, "volume"))


def scanned(volume: Volume, size: int) -> Volume:
    """What the simulation sees of a volume, on ``size`` x ``size`` pixels: the truth of a reconstruction.

    Values below -1000 HU are made air before pixels are averaged: padding of -2000 HU beside tissue must not count
    for more than air.
    """
    return to_square_grid(volume.with_hu(np.maximum(volume.hu, np.float32(AIR_HU))), size)


def _transmission(
    mu: NDArray[np.float64], geometry: Geometry, grid: Grid, progress: Callable[[float], None] | None
) -> NDArray[np.float64]:
    """Mean intensity over each bin, ``[slice, view, detector]``, of images ``[slice, y, x]`` on the refined grid."""
    fine_grid, fine_geometry = grid.refined(REFINEMENT), geometry.with_bins_split(REFINEMENT)
    if grid.is_volume:
        mu = np.repeat(mu.astype(np.float32), REFINEMENT, axis=0)
    images = torch.from_numpy(mu)
    views = []
    # a view at a time: the whole fine matrix would take gigabytes
    for number in range(geometry.n_views):
        one = fine_geometry.with_angles((fine_geometry.angles_rad[number],))
        if grid.is_volume:
            integrals = ConeProjector(one, fine_grid)(images[None, None])[0, 0, :, 0]
        else:
            integrals = StreamedProjector(one, fine_grid, dtype=images.dtype)(images[:, None])[:, 0, 0]
        intensity = np.exp(-integrals.numpy().astype(np.float64))
        views.append(_bin_means(intensity, geometry))
        if progress:
            progress((number + 1) / geometry.n_views)
    return np.concatenate(views, axis=1)


def _bin_means(intensity: NDArray[np.float64], geometry: Geometry) -> NDArray[np.float64]:
    """One view, ``[slice or detector row, 1, detector]``, of intensities on parts of bins."""
    if geometry.is_volume:
        parts = intensity.reshape(geometry.view_shape[0], REFINEMENT, 1, geometry.n_detectors, REFINEMENT)
        return parts.mean(axis=(1, 4))
    return intensity.reshape(len(intensity), 1, geometry.n_detectors, REFINEMENT).mean(axis=3)
