"""Scans whose truth is known; `ctresample.pipelines.results.known_scans` reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.errors import CalibrationError
from ctresample.operators import make_projector
from ctresample.sinogram import Sinogram
from ctresample.units import hu_to_mu

MISFIT, TIMES_NOISE = 0.05, 3.0
"""A truth whose own scan is this share of the values away from the one at hand, and so many times the noise, is the
truth of another."""


@dataclass(frozen=True, eq=False)
class Known:
    """A scan and its truth.

    Attributes:
        sinogram: the scan.
        truth_hu: ``[slice, y, x]`` on its grid.
        patient: the same text for scans of one patient; for no eyes.
    """

    sinogram: Sinogram
    truth_hu: NDArray[np.float32]
    patient: str


@dataclass(frozen=True, eq=False)
class KnownScans:
    """Several, made one at a time."""

    count: int
    make: Callable[[], Iterator[Known]]


def check_truth(known: Known) -> None:
    """`CalibrationError` if a slice of the truth is not what was scanned, as far as the scan can tell."""
    sinogram = known.sinogram
    A = make_projector(sinogram.geometry, sinogram.grid)
    x = hu_to_mu(torch.from_numpy(known.truth_hu), sinogram.mu_water_per_mm)
    scan = sinogram.geometry.as_slices(A(sinogram.geometry.as_batch(x))).numpy()
    misfit = np.sqrt(np.mean((scan - sinogram.values) ** 2, axis=(1, 2)))
    level = np.sqrt(np.mean(sinogram.values.astype(np.float64) ** 2, axis=(1, 2)))
    noise = np.sqrt(np.mean(sinogram.sigma().astype(np.float64) ** 2, axis=(1, 2)))
    bad = np.flatnonzero((misfit > MISFIT * level) & (misfit > TIMES_NOISE * noise))
    if len(bad):
        k = int(bad[0])
        raise CalibrationError(
            f"the image of slice {k + 1} is not what was scanned: its scan is {misfit[k] / level[k]:.0%} away from the "
            f"one given; expected at most {MISFIT:.0%}"
        )
