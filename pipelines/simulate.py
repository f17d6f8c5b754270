"""A sinogram of a CT volume, as a low-dose scanner would have measured it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import UsageError
from ctresample.geometry import FanBeam, Geometry, ImageGrid, ParallelBeam
from ctresample.noise import add_noise
from ctresample.operators.sparse import joseph_matrix
from ctresample.regrid import to_square_grid
from ctresample.sinogram import Sinogram
from ctresample.units import AIR_HU, MU_WATER_PER_MM, hu_to_mu
from ctresample.volume import Volume

Beam = Literal["parallel", "fan"]
BEAMS: dict[str, type[ParallelBeam] | type[FanBeam]] = {"parallel": ParallelBeam, "fan": FanBeam}

REFINEMENT = 2
"""The simulated object has pixels, and the detector parts of bins, this many times finer than the reconstruction:
data made with the very matrix that reconstructs them would flatter every method (the "inverse crime")."""


def simulate(
    volume: Volume,
    *,
    n_views: int,
    beam: Beam = "parallel",
    size: int = 256,
    photons: float | None = None,
    electronic_noise: float = 0.0,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Sinogram:
    """Scan each slice of a volume on its own.

    Args:
        volume: slices in HU; values below -1000 HU count as air.
        n_views: views, equally spaced over 180 degrees (parallel) or 360 degrees (fan).
        beam: "parallel" or "fan" (flat detector).
        size: rows and columns of the image grid to reconstruct on.
        photons: photons sent along each ray; None for no noise.
        electronic_noise: read-out noise in photons.
        seed: of the noise; slice k of a volume draws from ``(seed, k)``.
        progress: told the fraction done, from 0 to 1.
    """
    if beam not in BEAMS:
        raise UsageError(f"geometry is {beam!r}; expected one of {', '.join(BEAMS)}")
    if n_views < 1:
        raise UsageError(f"views is {n_views}; expected at least 1")
    fine_volume = scanned(volume, size * REFINEMENT)
    coarse = to_square_grid(replace(volume, hu=volume.hu[:1], headers=()), size)
    grid = ImageGrid((size, size), coarse.spacing_mm[0])
    geometry = BEAMS[beam].for_grid(grid, n_views)
    mu = hu_to_mu(fine_volume.hu.astype(np.float64))
    transmission = _transmission(mu, geometry, grid, progress)
    if photons is None:
        values = -np.log(transmission).astype(np.float32)
    else:
        values = np.stack(
            [
                add_noise(
                    one,
                    photons=photons,
                    electronic_noise=electronic_noise,
                    generator=np.random.default_rng([seed, index]),
                )
                for index, one in enumerate(transmission)
            ]
        )
    return Sinogram(
        values=values,
        geometry=geometry,
        grid=grid,
        affine=coarse.affine,
        photons=photons,
        electronic_noise=electronic_noise,
        mu_water_per_mm=MU_WATER_PER_MM,
        origin=f"simulated from {size * REFINEMENT} x {size * REFINEMENT} pixels with each detector bin the mean "
        f"intensity of {REFINEMENT} rays (Joseph), noise seed {seed}",
        headers=volume.headers,
    )


def scanned(volume: Volume, size: int) -> Volume:
    """What the simulation sees of a volume, on ``size`` x ``size`` pixels: the truth of a reconstruction.

    Values below -1000 HU are made air before pixels are averaged: padding of -2000 HU beside tissue must not count
    for more than air.
    """
    return to_square_grid(volume.with_hu(np.maximum(volume.hu, np.float32(AIR_HU))), size)


def _transmission(
    mu: NDArray[np.float64], geometry: Geometry, grid: ImageGrid, progress: Callable[[float], None] | None
) -> NDArray[np.float64]:
    """Mean intensity over each bin, ``[slice, view, detector]``, of images ``[slice, y, x]`` on the refined grid."""
    fine_grid, fine_geometry = grid.refined(REFINEMENT), geometry.with_bins_split(REFINEMENT)
    images = mu.reshape(len(mu), -1).T
    views = []
    # a view at a time: the whole fine matrix can take gigabytes
    for number, angle in enumerate(fine_geometry.angles_rad, 1):
        matrix = joseph_matrix(fine_geometry.with_angles((angle,)), fine_grid)
        intensity = np.exp(-(matrix @ images))
        views.append(intensity.reshape(geometry.n_detectors, REFINEMENT, -1).mean(axis=1))
        if progress:
            progress(number / geometry.n_views)
    return np.stack(views).transpose(2, 0, 1)
