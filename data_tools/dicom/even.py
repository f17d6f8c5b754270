"""Even steps of uneven ones: slices interpolated at positions of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctresample.errors import UsageError
from ctresample.volume import Volume

_MOST_SLICES = 20_000


def check_step(step_mm: float | None) -> None:
    """`UsageError` unless the step is a distance above 0, or None."""
    if step_mm is not None and not (np.isfinite(step_mm) and step_mm > 0):
        raise UsageError(f"even steps of {step_mm:g} mm cannot be; expected a distance above 0 mm")


def with_even_steps(volume: Volume, step_mm: float) -> tuple[Volume, int]:
    """The volume at even positions from its first slice to its last, by linear interpolation between neighbours.

    Args:
        volume: with uneven steps; one with even steps stays as it is.
        step_mm: between the new slices, above 0.

    Returns:
        The new volume, each slice with the header of the slice nearest to it; and how many of its slices lie in a gap,
        further than their own step from any slice that was scanned.

    Raises:
        UsageError: a step that makes more slices than any scan has.
    """
    if volume.slice_offsets_mm is None:
        return volume, 0
    check_step(step_mm)
    old = np.array(volume.slice_offsets_mm)
    n = int(np.floor(old[-1] / step_mm + 1e-6)) + 1
    if n > _MOST_SLICES:
        raise UsageError(f"even steps of {step_mm:g} mm make {n} slices; expected at most {_MOST_SLICES}; take more mm")
    new = np.minimum(np.arange(n) * step_mm, old[-1])
    above = np.clip(np.searchsorted(old, new, side="right"), 1, len(old) - 1)
    below = above - 1
    share = ((new - old[below]) / (old[above] - old[below])).astype(np.float32)
    hu = np.empty((n, *volume.hu.shape[1:]), np.float32)
    for k in range(n):  # one at a time, for memory
        hu[k] = (1 - share[k]) * volume.hu[below[k]] + share[k] * volume.hu[above[k]]
    nearest = np.where(share < 0.5, below, above)
    headers = tuple(volume.headers[k] for k in nearest) if volume.headers else ()
    affine = volume.affine.copy()
    affine[:3, 2] *= step_mm / np.linalg.norm(affine[:3, 2])
    far = np.abs(old[nearest] - new) > step_mm * (1 + 1e-6)
    return replace(volume, hu=hu, affine=affine, headers=headers, slice_offsets_mm=None), int(np.count_nonzero(far))
