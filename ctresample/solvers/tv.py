"""Total variation by a preconditioned primal-dual method.

Sidky, Jorgensen and Pan, "Convex optimization problem prototyping for image reconstruction in computed
tomography with the Chambolle-Pock algorithm", Phys. Med. Biol. 57, 2012; step sizes by Pock and Chambolle,
"Diagonal preconditioning for first order primal-dual algorithms", ICCV 2011.
"""

from __future__ import annotations

import math

import torch

from ctresample.consistency import residual_ratio
from ctresample.operators import LinearOperator, Weighted
from ctresample.status import Callback, report
from ctresample.units import MU_WATER_PER_MM

CHECK_EVERY = 20
"""Iterations between two looks at the stopping rule."""


def tv(
    y: torch.Tensor,
    A: LinearOperator,
    *,
    sigma: torch.Tensor,
    weight: float = 5.0,
    tolerance_hu: float = 1.0,
    max_iterations: int = 1000,
    anchor: torch.Tensor | None = None,
    spread: float = math.inf,
    callback: Callback | None = None,
) -> torch.Tensor:
    """``argmin_{x >= 0} 1/2 |(A x - y) / sigma|^2 + weight * TV(x / mu_water)``, isotropic TV.

    Because the data term is whitened, the weight belongs to the images, not to the dose. With an ``anchor``, the
    term ``1/2 |(x - anchor) / spread|^2`` is added: the proximal step of a solver that has an image in mind already.

    Args:
        y: line integrals ``(B, 1, views, detectors)``.
        A: the projector.
        sigma: standard deviation of each value of ``y``.
        weight: of total variation, with the image in units of water.
        tolerance_hu: a slice is done when it moved less than this (root mean square) in 20 iterations.
        max_iterations: pairs of projection and back projection at most.
        anchor: ``(B, 1, rows, columns)``, an image to stay near to and to start from; otherwise it starts from zero.
        spread: how far the image is expected to be from ``anchor``, in 1/mm; infinite for no pull.
        callback: told at every look at the stopping rule.
    """
    W = Weighted(A, MU_WATER_PER_MM / sigma)  # acts on u = x / mu_water
    y = y / sigma
    # Steps are the inverse sums of absolute entries of K = [W; edge * gradient]: a pixel takes part in four
    # differences, a difference in two pixels. The edge factor brings both blocks to the same scale.
    row_sums = W(y.new_ones(len(y), 1, *A.domain_shape))
    column_sums = W.T(torch.ones_like(y))
    edge = column_sums.mean(dim=(1, 2, 3), keepdim=True) / 4
    data_step, primal_step = 1 / row_sums.clamp_min(1e-12), 1 / (column_sums + 4 * edge)
    u = y.new_zeros(len(y), 1, *A.domain_shape) if anchor is None else anchor / MU_WATER_PER_MM
    goal, pull = u, (MU_WATER_PER_MM / spread) ** 2
    u_bar, p, q = u, torch.zeros_like(y), u.new_zeros(2, *u.shape)
    checked, running = u, torch.ones_like(edge, dtype=torch.bool)
    for step in range(1, max_iterations + 1):
        p = (p + data_step * (W(u_bar) - y)) / (1 + data_step)
        q = q + _gradient(u_bar) / 2  # its step 1 / (2 edge) times the edge factor
        q = q / (q.square().sum(0).sqrt() * (edge / weight)).clamp_min(1)
        previous = u
        descent = u - primal_step * (W.T(p) - edge * _divergence(q) - pull * goal)
        u = torch.where(running, (descent / (1 + primal_step * pull)).clamp_min(0), u)
        u_bar = 2 * u - previous
        if step % CHECK_EVERY == 0:
            ratio = float(residual_ratio(W(u) - y).mean())
            moved_hu = 1000 * (u - checked).square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
            running &= moved_hu >= tolerance_hu
            if not report(callback, "tv", step, max_iterations, ratio) or not running.any():
                break
            checked = u
    return u * MU_WATER_PER_MM


def _gradient(u: torch.Tensor) -> torch.Tensor:
    """Forward differences along columns and rows, ``(2, B, 1, rows, columns)``; 0 past the border."""
    g = u.new_zeros(2, *u.shape)
    g[0, ..., :-1] = u[..., 1:] - u[..., :-1]
    g[1, ..., :-1, :] = u[..., 1:, :] - u[..., :-1, :]
    return g


def _divergence(q: torch.Tensor) -> torch.Tensor:
    """Minus the adjoint of the gradient."""
    d = torch.zeros_like(q[0])
    d[..., :-1] += q[0, ..., :-1]
    d[..., 1:] -= q[0, ..., :-1]
    d[..., :-1, :] += q[1, ..., :-1, :]
    d[..., 1:, :] -= q[1, ..., :-1, :]
    return d
