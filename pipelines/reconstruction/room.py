"""Whether a reconstruction fits into this machine, before it begins: the system ends what does not without a word."""

from __future__ import annotations

import math
from collections.abc import Callable

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid, VolumeGrid
from ctresample.pipelines.machine_memory import memory_bytes

_COPIES = 8
"""Of one slice, or of a cone beam's volume, in single precision: fewer than any method holds at a time."""


_SLAB_COPIES = 32
"""Of a slab of coupled slices, at most: 30 were seen in ReSample, 14 in total variation."""


def slab_bytes(grid: ImageGrid | VolumeGrid, slab: int, n_slices: int) -> int:
    """Memory that a slab of coupled slices takes at most, and the images of the series, beside matrices and networks.

    Args:
        grid: of a slice.
        slab: slices in it.
        n_slices: of the series.
    """
    return 4 * math.prod(grid.shape[-2:]) * (_SLAB_COPIES * slab + n_slices)


def check_room(
    grid: ImageGrid | VolumeGrid, slab_of: Callable[[int], int] = lambda batch_size: 0, batch_size: int = 1, n: int = 0
) -> None:
    """`UsageError` if not even one slice of a grid, or a slab of a series, fits into the memory of this machine.

    Args:
        grid: of a slice, or of a volume that is measured as one.
        slab_of: slices of the largest slab of coupled slices, of a batch size.
        batch_size: the one wanted.
        n: slices of the series.
    """
    shape, room = grid.shape, memory_bytes()

    def fits(size: int) -> bool:
        return grid.is_volume or slab_of(size) < 2 or slab_bytes(grid, slab_of(size), n) <= room

    if not fits(batch_size):
        slab = slab_of(batch_size)
        smaller = next((size for size in range(batch_size - 1, 0, -1) if fits(size)), None)
        raise UsageError(
            f"a slab of {slab} coupled slices of {' x '.join(map(str, shape))} pixels takes up to "
            f"{slab_bytes(grid, slab, n) / 1e9:.1f} GB to reconstruct, and this machine has {room / 1e9:.1f} GB; "
            f"choose {f'batch size {smaller}, or ' if smaller else ''}z_coupling none"
        )
    needed = _COPIES * 4 * math.prod(shape)
    if needed > room:
        raise UsageError(
            f"an image of {' x '.join(map(str, shape))} takes over {needed / 1e9:.0f} GB to reconstruct, and this "
            f"machine has {room / 1e9:.0f} GB; choose a smaller grid when the scan is simulated or imported"
        )
