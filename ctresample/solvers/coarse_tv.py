"""Total variation on pixels twice as large: a quick image to start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
import torch.nn.functional as F

from ctresample.operators import LinearOperator, Projector, StackProjector, make_projector
from ctresample.solvers.tv import tv

WEIGHT = 10.0
"""Of total variation, whose sum over a quarter of the pixels is about half of that over all."""

MAX_ITERATIONS = 100


def coarse_tv(
    y: torch.Tensor, A: Projector | StackProjector, *, sigma: torch.Tensor, spacing: Sequence[float] | None = None
) -> torch.Tensor:
    """The image of `ctresample.solvers.tv` on pixels twice as large, stopped early, on the pixels of ``A`` again.

    Args:
        y: line integrals ``(B, 1, views, detectors)``, or of a volume.
        A: the projector of slices, or of a volume.
        sigma: standard deviation of each value of ``y``.
        spacing: as of `ctresample.solvers.tv`, on the pixels of ``A``.

    Returns:
        ``(B, 1, *A.domain_shape)`` in 1/mm.
    """
    if spacing is not None and len(spacing) == 3:  # relative to columns that are twice as wide
        spacing = (spacing[0] / 2, *spacing[1:])
    rough = tv(
        y,
        _on_coarse_pixels(A),
        sigma=sigma,
        weight=WEIGHT,
        tolerance_hu=0.0,
        max_iterations=MAX_ITERATIONS,
        spacing=spacing,
    )
    slices = F.interpolate(rough.reshape(-1, 1, *rough.shape[-2:]), scale_factor=2, mode="bilinear")
    rows, columns = A.domain_shape[-2:]
    return slices[..., :rows, :columns].reshape(len(rough), 1, *A.domain_shape)


def _on_coarse_pixels(A: Projector | StackProjector) -> LinearOperator:
    """The projector of the same scan on pixels twice as large; slices stay as they are.

    Where a side is odd, its last pixel becomes a large one with what lies beyond it.
    """
    if isinstance(A, StackProjector):
        coarse = {one: _on_coarse_pixels(one) for one in dict.fromkeys(A.projectors)}
        return StackProjector([cast(Projector, coarse[one]) for one in A.projectors], A.slice_step_mm)
    *slices, rows, columns = A.grid.shape
    shape: Any = (*slices, (rows + 1) // 2, (columns + 1) // 2)
    (x, y, *z), (y_step, x_step) = A.grid.centre_mm, A.grid.steps_mm[-2:]
    centre: Any = (x + columns % 2 * x_step / 2, y + rows % 2 * y_step / 2, *z)
    half = replace(A.grid, shape=shape, pixel_size_mm=2 * A.grid.pixel_size_mm, centre_mm=centre)
    return make_projector(A.geometry, half, device=A.device, dtype=A.dtype)
