"""Total variation on pixels twice as large: a quick image to start from."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F

from ctresample.errors import UsageError
from ctresample.operators import Projector, make_projector
from ctresample.solvers.tv import tv

WEIGHT = 10.0
"""Of total variation, whose sum over a quarter of the pixels is about half of that over all."""

MAX_ITERATIONS = 100


def coarse_tv(y: torch.Tensor, A: Projector, *, sigma: torch.Tensor) -> torch.Tensor:
    """The image of `ctresample.solvers.tv` on pixels twice as large, stopped early, on the pixels of ``A`` again.

    Args:
        y: line integrals ``(B, 1, views, detectors)``.
        A: the projector of slices whose sides are even.
        sigma: standard deviation of each value of ``y``.

    Returns:
        ``(B, 1, rows, columns)`` in 1/mm.

    Raises:
        UsageError: a volume, or sides that are odd.
    """
    grid = A.grid
    if grid.is_volume or any(side % 2 for side in grid.shape):
        raise UsageError(f"coarse_tv: the grid is {' x '.join(map(str, grid.shape))}; expected slices of even sides")
    grid = grid.slice_grid
    half = replace(grid, shape=(grid.shape[0] // 2, grid.shape[1] // 2), pixel_size_mm=2 * grid.pixel_size_mm)
    rough = tv(
        y,
        make_projector(A.geometry, half, device=A.device, dtype=A.dtype),
        sigma=sigma,
        weight=WEIGHT,
        tolerance_hu=0.0,
        max_iterations=MAX_ITERATIONS,
    )
    return F.interpolate(rough, scale_factor=2, mode="bilinear")
