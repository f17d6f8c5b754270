"""Scans whose truth is known; `ctresample.pipelines.results.known_scans` reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace

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

_OF_A_SLICE = ("values", "affine", "headers", "slice_offsets_mm", "origin")
"""Attributes of a sinogram in which slices that are scanned alike differ; the origin names the noise."""


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
    """Several, made one at a time.

    Attributes:
        count: how many.
        make: them.
        slice_by_slice: each is one slice that is reconstructed by itself, so that several may share the work.
    """

    count: int
    make: Callable[[], Iterator[Known]]
    slice_by_slice: bool = False


def joined(scans: Iterable[Known], most: int) -> Iterator[Known]:
    """Neighbours of one patient, scanned alike, as one: up to so many slices.

    Only for slices that do not help each other: where they lie is not kept.
    """
    together: list[Known] = []
    for known in scans:
        if together and not (len(together) < most and _alike(known, together[0])):
            yield _one(together)
            together = []
        together.append(known)
    if together:
        yield _one(together)


def _one(together: Sequence[Known]) -> Known:
    first = together[0]
    if len(together) == 1:
        return first
    values, truths = (
        np.concatenate(parts)
        for parts in ([one.sinogram.values for one in together], [one.truth_hu for one in together])
    )
    sinogram = replace(first.sinogram, values=values, headers=(), slice_offsets_mm=None)
    return replace(first, sinogram=sinogram, truth_hu=truths)


def _alike(a: Known, b: Known) -> bool:
    """Whether both can be one: slices of one patient, all but their values and places the same."""
    of_a_slice = a.sinogram.bad_rays is None and not a.sinogram.geometry.is_volume
    return of_a_slice and a.patient == b.patient and _same(a.sinogram, b.sinogram)


def _same(a: object, b: object) -> bool:
    if is_dataclass(a):
        return type(a) is type(b) and all(
            _same(getattr(a, one.name), getattr(b, one.name)) for one in fields(a) if one.name not in _OF_A_SLICE
        )
    return np.array_equal(a, b)  # type: ignore[arg-type]


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
