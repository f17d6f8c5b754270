"""Whether a simulated scan fits into this machine, before it begins: the system ends what does not without a word."""

from __future__ import annotations

from ctresample.errors import UsageError
from ctresample.pipelines.machine_memory import memory_bytes

_FINER = 2  # as in ctresample.pipelines.scan.measure, whose torch the choice alone must not cost
_BYTES = 16
"""Of each pixel of the finer object, and of each reading: two copies in double precision, fewer than any scan holds."""


def check_room(n_slices: int, size: int, n_views: int) -> None:
    """`UsageError` if a scan of so many slices on ``size`` x ``size`` pixels cannot fit into this machine's memory."""
    needed = _BYTES * n_slices * size * (_FINER**2 * size + n_views)  # a detector has at least ``size`` bins
    if needed > memory_bytes():
        raise UsageError(
            f"a scan of {n_slices} slice{'s'[: n_slices > 1]} for images of {size} x {size} pixels with {n_views} "
            f"views takes over {needed / 1e9:,.0f} GB, and this machine has {memory_bytes() / 1e9:.0f} GB; choose a "
            "smaller size, fewer views or fewer slices"
        )
