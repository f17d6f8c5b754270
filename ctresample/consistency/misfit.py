"""How far an image is from the truth, as far as its misfit to the measurement tells."""

from __future__ import annotations

import torch

from ctresample.consistency.conjugate_gradients import per_slice
from ctresample.operators import MeasurementModel

LEAST_SPREAD_HU = 3.0
"""Of an image that fits noise: it may still move by so much."""


def spread_of_misfit(x: torch.Tensor, y: torch.Tensor, A: MeasurementModel, *, least: float = 0.0) -> torch.Tensor:
    """Root mean square error of images that their misfit stands for, were their errors white; ``(B, 1, 1, 1)``.

    The whitened residual of the truth is noise of mean square 1. What an image has beyond that is its error, seen
    through ``A``: ``|A x - y|^2 = n + spread^2 |A e|^2`` with white ``e`` of unit variance (the discrepancy principle,
    solved for the error). Real errors are smoother than white ones, and are seen more strongly: they are smaller than
    this by a factor that belongs to the kind of image, not to the scan.

    Args:
        x: ``(B, 1, *domain_shape)``.
        y: whitened measurement ``(B, 1, *range_shape)``.
        A: whitened operator, or a nonlinear model, which is linearised at ``x``.
        least: spread at least, in the unit of ``x``: of an image that fits noise.
    """
    white = torch.randn((1, 1, *A.domain_shape), generator=torch.Generator().manual_seed(0), dtype=x.dtype).to(x)
    seen = A.linearised(x)(white.expand_as(x)).square().flatten(1).mean(1)
    beyond = (A(x) - y).square().flatten(1).mean(1) - 1
    return per_slice((beyond.clamp_min(0) / seen).sqrt().clamp_min(least), x)
