"""Penalised weighted least squares: the smooth image that fits the data as their noise allows.

Sauer and Bouman, "A local update strategy for iterative reconstruction from projections", IEEE TSP 41(2), 1993, with
a quadratic penalty; solved by conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ctresample.consistency import inner_product, per_slice, residual_ratio, safe_ratio
from ctresample.operators import LinearOperator, Weighted
from ctresample.operators.given import measured
from ctresample.solvers.differences import divergence, gradient
from ctresample.status import Callback, report
from ctresample.units import MU_WATER_PER_MM


def wls(
    y: torch.Tensor,
    A: LinearOperator,
    *,
    sigma: torch.Tensor,
    weight: float = 300.0,
    tolerance_hu: float = 0.1,
    max_iterations: int = 200,
    spacing: Sequence[float] | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    """``argmin_x 1/2 |(A x - y) / sigma|^2 + weight / 2 |gradient(x / mu_water)|^2``.

    Args:
        y: line integrals ``(B, 1, views, detectors)``, or of a cone beam ``(B, 1, rows, views, detectors)``.
        A: the projector.
        sigma: standard deviation of each value of ``y``.
        weight: of the penalty, with the image in units of water. The data term is whitened, so it belongs to the
            images, not to the dose.
        tolerance_hu: a slice is done when an iteration moved it less than this (root mean square).
        max_iterations: pairs of projection and back projection at most.
        spacing: distance of pixels along each axis of an image, relative to its columns; by default all are 1.
        callback: told of every iteration.
    """
    y, sigma = measured(A, y, sigma)
    W = Weighted(A, MU_WATER_PER_MM / sigma)  # acts on u = x / mu_water
    slopes = [1 / one for one in spacing or (1.0,) * len(A.domain_shape)]
    u, misfit = y.new_zeros(len(y), 1, *A.domain_shape), y / sigma
    r = W.T(misfit)
    p, rr = r, inner_product(r, r)
    running = torch.ones_like(rr, dtype=torch.bool)
    for step in range(1, max_iterations + 1):
        Wp = W(p)
        Hp = W.T(Wp) - weight * divergence(gradient(p, slopes), slopes)
        alpha = running * safe_ratio(rr, inner_product(p, Hp))
        u, r = u + alpha * p, r - alpha * Hp
        misfit = misfit - per_slice(alpha.flatten(), y) * Wp
        running &= 1000 * alpha * (inner_product(p, p) / p[0].numel()).sqrt() >= tolerance_hu
        if not report(callback, "wls", step, max_iterations, residual_ratio(misfit).mean()):
            break
        if not running.any():
            break
        rr, old = inner_product(r, r), rr
        p = r + safe_ratio(rr, old) * p
    return u * MU_WATER_PER_MM
