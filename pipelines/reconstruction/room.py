"""Whether a reconstruction fits into this machine, before it begins: the system ends what does not without a word."""

from __future__ import annotations

import math
import os

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid, VolumeGrid

_COPIES = 8
"""Of one slice, or of a cone beam's volume, in single precision: fewer than any method holds at a time."""


def check_room(grid: ImageGrid | VolumeGrid) -> None:
    """`UsageError` if not even one slice of a grid fits into the memory of this machine."""
    shape, room = grid.shape, _memory_bytes()
    needed = _COPIES * 4 * math.prod(shape)
    if needed > room:
        raise UsageError(
            f"an image of {' x '.join(map(str, shape))} takes over {needed / 1e9:.0f} GB to reconstruct, and this "
            f"machine has {room / 1e9:.0f} GB; choose a smaller grid when the scan is simulated or imported"
        )


def _memory_bytes() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):  # Windows does not say so here
        return math.inf
