"""What a scanner measures of a CT volume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.data_tools.dicom.values import LOWEST_PLAUSIBLE_HU
from ctresample.errors import UsageError
from ctresample.geometry import Geometry, Grid, HelicalBeam, VolumeGrid
from ctresample.noise import Scanner, add_noise, blurred, check_noise, with_crosstalk
from ctresample.operators import ConeProjector, StreamedProjector
from ctresample.pipelines.scan.geometry import reconstruction_grid, stagger_shifts
from ctresample.pipelines.scan.helical_views import helical_views
from ctresample.pipelines.scan.room import AT_ONCE, REFINEMENT
from ctresample.regrid import to_square_grid
from ctresample.sinogram import Sinogram
from ctresample.units import AIR_HU, MU_WATER_PER_MM, hu_to_mu
from ctresample.volume import Volume

_DETECTOR = (0, 1)
"""Follows the seed for what belongs to the detector; a slice's noise has its number alone, so the two differ."""


def measure(
    volume: Volume,
    geometry: Geometry,
    *,
    size: int,
    stagger: int,
    photons: float | None,
    electronic_noise: float,
    scanner: Scanner,
    seed: int,
    progress: Callable[[float], None] | None,
) -> Sinogram:
    """Scan each slice of a volume on its own, or with a cone or helix all of it at once.

    What happens to the photons, in this order: the tube current and the bow-tie filter say how many are sent, the
    object lets some through, each bin takes their mean over its width (and height), the point spread blurs them, they
    are counted, crosstalk passes some of the signal on, the read-out adds its noise, and faulty bins report a wrong
    gain, which the noise model of the sinogram does not know.

    Args: as those of `ctresample.simulate`.

    Raises:
        UsageError: an option is out of range, or two contradict each other.
        GeometryError: the scanner would stand in the image.
    """
    if photons is not None:
        check_noise(photons, electronic_noise)
    elif scanner.shapes_photons:
        raise UsageError(f"the scanner has a {scanner}, but there are no photons to shape; state photons too")
    grid, first = reconstruction_grid(volume, size, geometry.name)
    geometry.check_outside(grid)
    shifts = None if stagger == 1 else stagger_shifts(geometry, len(volume.hu), stagger)
    transmission = _of_all(volume, size, geometry, grid, shifts, progress)
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
    beyond = ", beyond which the first and last slice go on" if geometry.name == "helical" else ""
    facts = f"simulated from {fine} pixels{beyond} with each detector bin the mean intensity of {n_rays} rays (Joseph)"
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
        angle_shifts_rad=shifts,
    )


def scanned(volume: Volume, size: int) -> Volume:
    """What the simulation sees of a volume, on ``size`` x ``size`` pixels: the truth of a reconstruction.

    Values below -1000 HU are made air before pixels are averaged: padding of -2000 HU beside tissue must not count
    for more than air.
    """
    return to_square_grid(volume.with_hu(np.maximum(volume.hu, np.float32(AIR_HU))), size)


def _of_all(
    volume: Volume,
    size: int,
    geometry: Geometry,
    grid: Grid,
    shifts: tuple[float, ...] | None,
    progress: Callable[[float], None] | None,
) -> NDArray[np.float64]:
    """`_transmission` of all slices: of one of equal angles some at a time, and of a cone's of all at once."""
    n = len(volume.hu)
    if grid.is_volume:
        return _transmission(_finer(volume, np.arange(n), size), geometry, grid, progress)
    turns = np.zeros(n) if shifts is None else np.array(shifts)
    made, done = np.empty((n, *geometry.shape)), 0
    for turn in np.unique(turns):
        turned = geometry if shifts is None else geometry.with_angles(np.asarray(geometry.angles_rad) + turn)
        alike = np.flatnonzero(turns == turn)
        for chosen in np.split(alike, range(AT_ONCE, len(alike), AT_ONCE)):

            def told(share: float, done: int = done, so_many: int = len(chosen)) -> None:
                if progress:
                    progress((done + share * so_many) / n)

            made[chosen] = _transmission(_finer(volume, chosen, size), turned, grid, told)
            done += len(chosen)
    return made


def _finer(volume: Volume, chosen: NDArray[np.intp], size: int) -> NDArray[np.float64]:
    """Attenuation of some slices on the refined grid."""
    some = replace(volume, hu=volume.hu[chosen], headers=(), slice_offsets_mm=None)
    return hu_to_mu(scanned(some, size * REFINEMENT).hu.astype(np.float64))


def _transmission(
    mu: NDArray[np.float64], geometry: Geometry, grid: Grid, progress: Callable[[float], None] | None
) -> NDArray[np.float64]:
    """Mean intensity over each bin, ``[slice, view, detector]``, of images ``[slice, y, x]`` on the refined grid."""
    fine_grid, fine_geometry = grid.refined(REFINEMENT), geometry.with_bins_split(REFINEMENT)
    views = []
    if isinstance(fine_geometry, HelicalBeam) and isinstance(fine_grid, VolumeGrid):
        for done, seen in helical_views(mu.astype(np.float32), fine_geometry, fine_grid):
            views.append(_bin_means(np.exp(-seen.astype(np.float64)), geometry))
            if progress:
                progress(done / geometry.n_views)
        return np.concatenate(views, axis=1)
    if grid.is_volume:
        mu = np.repeat(mu.astype(np.float32), REFINEMENT, axis=0)
    images = torch.from_numpy(mu)
    # a view at a time: the whole fine matrix would take gigabytes
    for number in range(geometry.n_views):
        one = fine_geometry.with_views(np.array([number]))
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
    """Views, ``[slice or detector row, view, detector]``, of intensities on parts of bins."""
    if geometry.is_volume:
        parts = intensity.reshape(geometry.view_shape[0], REFINEMENT, -1, geometry.n_detectors, REFINEMENT)
        return parts.mean(axis=(1, 4))
    return intensity.reshape(len(intensity), 1, geometry.n_detectors, REFINEMENT).mean(axis=3)
