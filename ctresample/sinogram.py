"""Measured line integrals with everything needed to reconstruct them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import SinogramError
from ctresample.geometry import Geometry, ImageGrid
from ctresample.noise import line_integral_variance
from ctresample.units import MU_WATER_PER_MM

NOISE_FREE_SIGMA = 2e-3
"""Standard deviation assumed for data said to be free of noise, relative to the slice's root mean square:
about the error of the discrete projector, so that solvers have a level to stop at."""


@dataclass(frozen=True)
class Sinogram:
    """Line integrals of one or more slices, all measured with the same geometry.

    Attributes:
        values: float32 ``[slice, view, detector]``, line integrals of attenuation (no unit).
        geometry: the scan.
        grid: the image grid to reconstruct on.
        affine: ``(4, 4)``, maps ``(column, row, slice, 1)`` of that grid to LPS mm.
        photons: photons sent along each ray; None for data without noise.
        electronic_noise: standard deviation of the read-out, in photons.
        mu_water_per_mm: attenuation of water that HU refer to.
        origin: how the values came about, in words ("measured", or what was simulated on which model).
        headers: one DICOM JSON header a slice, or empty.
    """

    values: NDArray[np.float32]
    geometry: Geometry
    grid: ImageGrid
    affine: NDArray[np.float64]
    photons: float | None = None
    electronic_noise: float = 0.0
    mu_water_per_mm: float = MU_WATER_PER_MM
    origin: str = "measured"
    headers: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.shape[1:] != self.geometry.shape or len(self.values) == 0:
            raise SinogramError(
                f"sinogram has shape {self.values.shape}; its geometry expects (slices, "
                f"{self.geometry.n_views} views, {self.geometry.n_detectors} detectors)"
            )
        bad = np.flatnonzero(~np.isfinite(self.values).all(axis=(1, 2)))
        if len(bad):
            raise SinogramError(
                f"sinogram: slice {bad[0]} holds NaN or infinite values ({len(bad)} of {len(self.values)} slices do); "
                "repair or leave out these rays before reconstructing"
            )
        if self.headers and len(self.headers) != len(self.values):
            raise SinogramError(f"sinogram has {len(self.values)} slices but {len(self.headers)} headers")

    def sigma(self) -> NDArray[np.float32]:
        """Standard deviation of each value, same shape as ``values``: from the photon count where there is one."""
        if self.photons is None:
            level = np.sqrt(np.mean(self.values.astype(np.float64) ** 2, axis=(1, 2), keepdims=True))
            return np.broadcast_to(np.maximum(NOISE_FREE_SIGMA * level, 1e-6), self.values.shape).astype(np.float32)
        variance = line_integral_variance(self.values, photons=self.photons, electronic_noise=self.electronic_noise)
        return np.sqrt(variance)
