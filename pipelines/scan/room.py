"""Whether a simulated scan fits into this machine, before it begins: the system ends what does not without a word."""

from __future__ import annotations

from ctresample.errors import UsageError
from ctresample.pipelines.machine_memory import memory_bytes

AT_ONCE = 16
"""Slices that are scanned together: on the refined grid, in double precision, 500 of 512 x 512 would take 6 GB."""

REFINEMENT = 2
"""The simulated object has pixels, and the detector parts of bins, this many times finer than the reconstruction:
data made with the very matrix that reconstructs them would flatter every method (the "inverse crime")."""

_BYTES = 16
"""Of each pixel of the finer object, and of each reading: two copies in double precision, fewer than any scan holds."""
_IMAGE_BYTES = 4  # of each pixel of what a scan is of


def check_room(n_slices: int, size: int, n_views: int, *, at_once: bool) -> None:
    """`UsageError` if a scan of so many slices on ``size`` x ``size`` pixels cannot fit into this machine's memory.

    Args:
        n_slices: slices of the volume.
        size: rows and columns of the images.
        n_views: views.
        at_once: a cone sees the whole volume; for other beams some slices after the others are made finer.
    """
    n_fine = n_slices if at_once else min(n_slices, AT_ONCE)
    readings = n_slices * size * n_views  # a detector has at least ``size`` bins
    needed = _BYTES * (n_fine * (REFINEMENT * size) ** 2 + readings) + _IMAGE_BYTES * n_slices * size**2
    if needed > memory_bytes():
        raise UsageError(
            f"a scan of {n_slices} slice{'s'[: n_slices > 1]} for images of {size} x {size} pixels with {n_views} "
            f"views takes over {needed / 1e9:,.0f} GB, and this machine has {memory_bytes() / 1e9:.0f} GB; choose a "
            "smaller size, fewer views or fewer slices"
        )
