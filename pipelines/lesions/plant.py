"""Slices scanned without lesions, and with some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ctresample.geometry import ImageGrid
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.lesions.places import places_mm
from ctresample.pipelines.scan.lesion import Lesion, Shape
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.scan.room import REFINEMENT
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume

AT_A_TIME = 6
"""Lesions in one scan at most."""


@dataclass(frozen=True, eq=False)
class Planted:
    """A slice's scans.

    Attributes:
        sinogram: first the slice without lesions, then with those of each group; the noise is the same in all.
        truth_hu: without, on the reconstruction's pixels.
        lesions: of each group, with what each adds to the truth.
    """

    sinogram: Sinogram
    truth_hu: NDArray[np.float32]
    lesions: list[list[tuple[Lesion, NDArray[np.float32]]]]


def plant(
    volume: Volume,
    condition: Condition,
    kinds: Sequence[tuple[float, float]],
    *,
    shape: Shape = "disc",
    seed: int = 0,
    number: int = 0,
    size: int = 256,
) -> Planted:
    """Scan a slice without lesions, and with all of these.

    Args:
        volume: one slice.
        condition: the scan.
        kinds: diameter in mm and contrast in HU of each.
        shape: of all.
        seed: of places and noise, with ``number``.
        number: of the slice.
        size: rows and columns of the reconstruction.
    """
    fine = scanned(volume, size * REFINEMENT)
    truth, scan = scanned(volume, size), replace(condition, size=size)
    grids = [ImageGrid(one.hu.shape[1:], one.spacing_mm[0]) for one in (fine, truth)]
    generator = np.random.default_rng([seed, number])
    largest, thickness = max(mm for mm, _ in kinds), fine.spacing_mm[2]
    places = places_mm(truth.hu[0], grids[1], diameter_mm=largest, at_most=AT_A_TIME, generator=generator)
    order = generator.permutation(len(kinds))
    step = max(1, len(places))
    groups = [
        [
            Lesion(kinds[k][0], kinds[k][1], at, shape)
            for k, at in zip(order[first : first + step], places, strict=False)
        ]
        for first in range(0, len(kinds), step)
        if places
    ]
    # the noise is drawn once: drawn for each scan, counts of other means would use other random numbers
    noisy = scan.scan(replace(fine, headers=()), seed=int(generator.integers(2**31)))
    added = [sum((one.on(grids[0], thickness) for one in group), np.zeros(grids[0].shape)) for group in groups]
    stack = np.concatenate([fine.hu, *(fine.hu + one for one in added)]).astype(np.float32)
    clean = replace(scan, photons=None, electronic_noise=0.0).scan(Volume(stack, fine.affine)).values
    return Planted(
        sinogram=replace(noisy, values=noisy.values + (clean - clean[:1])),
        truth_hu=truth.hu[0],
        lesions=[[(one, one.on(grids[1], thickness)) for one in group] for group in groups],
    )
