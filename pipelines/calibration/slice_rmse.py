"""How far off a whole slice is, from figures of it that need no truth.

The map of `ctresample.pipelines.calibration.expected_error` ranks the pixels of a slice well and slices badly: the
distance to total variation hardly tells that the texture of a sharp kernel is missing. What the data hold and the
images do not explain does tell it. Three figures, chosen on calibration slices (each patient left out in turn) and on
validation slices, and a linear fit of the logarithm of the root mean square error to theirs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.operators import make_projector
from ctresample.sinogram import Sinogram
from ctresample.units import hu_to_mu

FIGURES = ("structure", "missed by the rough image", "fine texture missed by the image")
"""Of a slice, all logarithms: mean gradient in HU a pixel, and twice the part of the residual that noise does not
explain, in HU pixels, with the weight of the ramp filter, as an image has it."""

FINE = 0.4
"""Cycles a detector bin from which on a residual is fine texture: above it a pixel is too coarse to follow."""

LEAST_SHARE = 0.02
"""Of the noise: less than so much above it cannot be told from none."""

LEAST_HU, MOST_HU = 0.1, 1e4
"""Errors of slices that are believed: what is expected outside tells of a damaged fit, or of no CT image."""

_RIDGE = 1.0
_TINY = 1e-6


@dataclass(frozen=True)
class SliceRMSE:
    """The root mean square error of a slice is ``exp(intercept + slopes . figures)`` HU.

    Attributes:
        intercept: of the logarithm.
        slopes: a number for each of `FIGURES`.
    """

    intercept: float
    slopes: tuple[float, ...]

    def of(self, figures: NDArray[np.float64]) -> NDArray[np.float64]:
        """HU of slices, from their figures ``[slice, figure]``."""
        return np.exp(self.intercept + figures @ np.asarray(self.slopes))

    @classmethod
    def fit(cls, figures: NDArray[np.float64], rmse_hu: Sequence[float]) -> SliceRMSE:
        """By ridge regression on standardised figures (Hoerl and Kennard, Technometrics 12, 1970).

        Args:
            figures: ``[slice, figure]``.
            rmse_hu: the true one of each slice.
        """
        middle, spread = figures.mean(0), figures.std(0) + _TINY
        z, log = (figures - middle) / spread, np.log(rmse_hu)
        slopes = np.linalg.solve(z.T @ z + _RIDGE * np.eye(len(middle)), z.T @ (log - log.mean())) / spread
        return cls(float(log.mean() - middle @ slopes), tuple(slopes.tolist()))

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> SliceRMSE:
        """From its record; ValueError, TypeError or KeyError for anything else."""
        found = cls(float(raw["intercept"]), tuple(map(float, raw["slopes"])))
        if len(found.slopes) != len(FIGURES) or not all(map(math.isfinite, (found.intercept, *found.slopes))):
            raise ValueError(f"slice_rmse has {len(found.slopes)} slopes; expected {len(FIGURES)} numbers")
        return found


def left_out(figures: NDArray[np.float64], rmse_hu: Sequence[float], patients: Sequence[str]) -> NDArray[np.float64]:
    """What is expected of each slice, in HU, by a fit to the slices of the other patients."""
    whose, true, expected = np.asarray(patients), np.asarray(rmse_hu), np.zeros(len(rmse_hu))
    for one in set(patients):
        own = whose == one
        expected[own] = SliceRMSE.fit(figures[~own], true[~own].tolist()).of(figures[own])
    return expected


@torch.no_grad()
def slice_figures(
    sinogram: Sinogram,
    image_hu: NDArray[np.float32],
    rough_hu: NDArray[np.float32],
    *,
    device: torch.device | str = "cpu",
) -> NDArray[np.float64]:
    """`FIGURES` of slices that are all seen from the same angles, as ``[slice, figure]``.

    Args:
        sinogram: that was reconstructed.
        image_hu: the reconstruction ``[slice, y, x]``.
        rough_hu: of the same scan, from `ctresample.pipelines.calibration.expected_error.rough_image_hu`.
        device: where to project.
    """
    down, across = (np.diff(image_hu.astype(np.float64), axis=axis) for axis in (1, 2))
    structure = np.hypot(down[:, :, :-1], across[:, :-1]).mean((1, 2))
    missed, fine = (_missed(sinogram, image, device) for image in (rough_hu, image_hu))
    return np.log(np.maximum([structure, missed[:, 0], fine[:, 1]], _TINY)).T


def _missed(sinogram: Sinogram, image_hu: NDArray[np.float32], device: torch.device | str) -> NDArray[np.float64]:
    """Mean power of what an image leaves of the data, less that of the noise, by the ramp: in all, and of `FINE`."""
    A, scan = make_projector(sinogram.geometry, sinogram.grid, device=device), sinogram.geometry
    mu = hu_to_mu(torch.from_numpy(image_hu), sinogram.mu_water_per_mm).to(device)
    seen = scan.as_slices(A(scan.as_batch(mu))).cpu().numpy()
    hu_pixels = 1000 / sinogram.mu_water_per_mm / sinogram.grid.pixel_size_mm
    residual, sigma = ((one * hu_pixels).astype(np.float64) for one in (seen - sinogram.values, sinogram.sigma()))
    n = residual.shape[-1]
    frequency, power = np.fft.rfftfreq(n), np.mean(np.abs(np.fft.rfft(residual)) ** 2 / n, axis=1)
    noise = np.mean(sigma**2, axis=(1, 2))
    parts = []
    for ramp in (frequency, np.where(frequency >= FINE, frequency, 0)):
        of_noise = noise * ramp.sum()
        parts.append(np.maximum(power @ ramp - of_noise, LEAST_SHARE * of_noise))
    return np.stack(parts, 1)
