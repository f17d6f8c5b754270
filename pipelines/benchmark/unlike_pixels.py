"""Scans that are one scan but for the size of their pixels, made one: so that their slices can be worked on together.

A projector of pixels of size p is p times that of pixels of size 1 if all lengths of the scan are as many pixels. So
what one slice is measured to be, times q / p, is what it would be on pixels of size q; noise likewise. The weighted
equations, and with them images in 1/mm and residuals, stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ctresample.geometry import Geometry, Grid
from ctresample.sinogram import Sinogram

_DIGITS = 6  # of lengths in pixels


def in_pixels(geometry: Geometry, grid: Grid) -> tuple[object, ...]:
    """What a scan is when its lengths are counted in pixels: equal for scans that `as_one` takes together."""
    found: list[object] = [type(geometry)]
    for part in (geometry, grid):
        for field in fields(part):
            value = getattr(part, field.name)
            if field.name.endswith("_mm"):
                value = tuple(np.round(np.divide(value, grid.pixel_size_mm), _DIGITS).ravel().tolist())
            found.append(value)
    return tuple(found)


@dataclass(frozen=True, repr=False)
class _Rescaled(Sinogram):
    """Slices whose values are so many times what was measured.

    Attributes:
        scales: one a slice.
    """

    scales: tuple[float, ...] = ()

    def part(self, numbers: Sequence[int]) -> Sinogram:
        kept = list(numbers)
        one = super().part(kept)
        object.__setattr__(one, "scales", tuple(self.scales[k] for k in kept))
        return one

    def _sigma_of_known(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        scales = np.asarray(self.scales, np.float32)[:, None, None]
        return scales * super()._sigma_of_known(values / scales)


def as_one(scans: Sequence[Sinogram]) -> Sinogram:
    """Slices of scans that are equal `in_pixels`, in their order, as if all had the pixels of the first.

    Where they lie and their headers are those of no slice any more.

    Args:
        scans: of slices seen from the same angles, with as many photons.
    """
    if len(scans) == 1:
        return scans[0]
    first = scans[0]
    scales = [first.grid.pixel_size_mm / scan.grid.pixel_size_mm for scan in scans]
    bad = None
    if any(scan.bad_rays is not None for scan in scans):
        bad = np.concatenate([np.zeros(s.values.shape, bool) if s.bad_rays is None else s.bad_rays for s in scans])
    known = {field.name: getattr(first, field.name) for field in fields(first)}
    return _Rescaled(
        **known
        | {
            "values": np.concatenate(
                [np.float32(scale) * scan.values for scale, scan in zip(scales, scans, strict=True)]
            ),
            "headers": (),
            "slice_offsets_mm": None,
            "bad_rays": bad,
            "scales": tuple(scale for scale, scan in zip(scales, scans, strict=True) for _ in scan.values),
        }
    )
