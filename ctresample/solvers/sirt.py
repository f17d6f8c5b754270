"""SIRT: simultaneous iterative reconstruction.

Gregor and Benson, "Computational analysis and improvement of SIRT", IEEE TMI 27(7), 2008.
"""

from __future__ import annotations

import torch

from ctresample.bad_rays import BAD_RAY_SIGMA
from ctresample.consistency import noise_ratio, per_slice, residual_ratio
from ctresample.operators import LinearOperator
from ctresample.operators.given import measured
from ctresample.status import Callback, report


def sirt(
    y: torch.Tensor,
    A: LinearOperator,
    *,
    sigma: torch.Tensor,
    max_iterations: int = 200,
    start: torch.Tensor | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Non-negative attenuation by ``x <- max(0, x + C A^T R (y - A x))`` from zero, or a start.

    ``R`` and ``C`` are the inverse row and column sums of ``A``. Slices whose residual has reached the noise level
    stay as they are (the discrepancy principle); the solver ends when all have.

    Args:
        y: line integrals ``(B, 1, views, detectors)``, or of a cone beam ``(B, 1, rows, views, detectors)``.
        A: the projector.
        sigma: standard deviation of each value of ``y``.
        max_iterations: pairs of projection and back projection at most.
        start: images ``(B, 1, *A.domain_shape)``; what the data do not tell, stays as there. By default zero.
        callback: told of every iteration.
    """
    y, sigma = measured(A, y, sigma)
    known = (sigma < BAD_RAY_SIGMA).to(y.dtype).expand_as(y)
    target = noise_ratio(sigma.expand_as(y))
    row_sums, column_sums = A(y.new_ones(1, 1, *A.domain_shape)), A.T(known)
    R = known * torch.where(row_sums > 0, 1 / row_sums, 0.0)
    C = torch.where(column_sums > 0, 1 / column_sums, 0.0)
    x = y.new_zeros(len(y), 1, *A.domain_shape) if start is None else start.clamp_min(0)
    for step in range(1, max_iterations + 1):
        residual = y - A(x)
        ratio = residual_ratio(residual / sigma)
        running = per_slice((ratio > target).to(y.dtype), x)
        if not report(callback, "sirt", step, max_iterations, float(ratio.mean())) or not running.any():
            break
        x = (x + running * C * A.T(R * residual)).clamp_min(0)
    return x
