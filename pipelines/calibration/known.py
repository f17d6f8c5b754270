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

MISFIT = 0.03
"""A truth whose own scan differs from the one at hand by this share of the values, beyond the noise, is the truth of
another. On a chest in slices of 3 mm (validation, 25 views, 1e5 photons) the right one is 0.003 away, its neighbour
0.024, the next 0.04; scatter and beam hardening of a measured scan must have room."""


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
    misfit2, level2, noise2 = (
        np.mean(values.astype(np.float64) ** 2, axis=(1, 2))
        for values in (scan - sinogram.values, sinogram.values, sinogram.sigma())
    )
    away = np.sqrt(np.maximum(misfit2 - noise2, 0) / level2)
    if away.max() > MISFIT:
        k = int(away.argmax())
        raise CalibrationError(
            f"the image of slice {k + 1} is not what was scanned: its scan is {away[k]:.0%} away from the one given; "
            f"expected at most {MISFIT:.0%}"
        )
