"""Total variation by a preconditioned primal-dual method.

Sidky, Jorgensen and Pan, "Convex optimization problem prototyping for image reconstruction in computed
tomography with the Chambolle-Pock algorithm", Phys. Med. Biol. 57, 2012; step sizes by Pock and Chambolle,
"Diagonal preconditioning for first order primal-dual algorithms", ICCV 2011.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ctresample.consistency import per_slice, residual_ratio
from ctresample.operators import LinearOperator, StackProjector, Weighted
from ctresample.operators.given import measured
from ctresample.solvers.differences import add_gradient_, divergence
from ctresample.status import Callback, report
from ctresample.units import MU_WATER_PER_MM

CHECK_EVERY = 20
"""Iterations between two looks at the stopping rule."""

ASK_EVERY = 4
"""Looks after which a device is asked whether any slice goes on at all: the host waits for its answer. A slice that is
done stays as it is until then."""


@torch.no_grad()
def tv(
    y: torch.Tensor,
    A: LinearOperator,
    *,
    sigma: torch.Tensor,
    weight: float = 5.0,
    tolerance_hu: float = 1.0,
    max_iterations: int = 1000,
    min_iterations: int = 0,
    anchor: torch.Tensor | None = None,
    spread: float = math.inf,
    spacing: Sequence[float] | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    """``argmin_{x >= 0} 1/2 |(A x - y) / sigma|^2 + weight * TV(x / mu_water)``, isotropic TV.

    Because the data term is whitened, the weight belongs to the images, not to the dose. With an ``anchor``, the
    term ``1/2 |(x - anchor) / spread|^2`` is added: the proximal step of a solver that has an image in mind already.

    Example:
        >>> from ctresample import ImageGrid, ParallelBeam, make_projector
        >>> grid = ImageGrid((32, 32), pixel_size_mm=10.0)
        >>> A = make_projector(ParallelBeam.for_grid(grid, n_views=20), grid)
        >>> x = torch.zeros(1, 1, 32, 32)
        >>> x[..., 8:24, 8:24] = 0.02
        >>> y = A(x)
        >>> round(float(tv(y, A, sigma=torch.full_like(y, 0.01))[0, 0, 16, 16]), 3)
        0.02

    Args:
        y: line integrals ``(B, 1, views, detectors)``, or of a cone beam ``(B, 1, rows, views, detectors)``.
        A: the projector, or another operator whose rows have one sign each.
        sigma: standard deviation of each value of ``y``.
        weight: of total variation, with the image in units of water.
        tolerance_hu: a slice is done when it moved less than this (root mean square) in 20 iterations.
        max_iterations: pairs of projection and back projection at most.
        min_iterations: before which no slice is done, so that what comes to rest by then takes equally many in
            whatever company.
        anchor: ``(B, 1, rows, columns)``, an image to stay near to and to start from; otherwise it starts from zero.
        spread: how far the image is expected to be from ``anchor``, in 1/mm; infinite for no pull.
        spacing: distance of pixels along each axis of an image, relative to its columns; by default all are 1.
        callback: told at every look at the stopping rule.
    """
    y, sigma = measured(A, y, sigma)
    W = Weighted(A, MU_WATER_PER_MM / sigma)  # acts on u = x / mu_water
    y = y / sigma
    # Steps are the inverse sums of absolute entries of K = [W; edge * gradient]: a pixel takes part in two
    # differences along each axis, a difference in two pixels. The edge factor brings both blocks to the same scale.
    slopes = [1 / one for one in spacing or (1.0,) * len(A.domain_shape)]
    row_sums = W(y.new_ones(len(y), 1, *A.domain_shape))
    column_sums = W.T(row_sums.sign())
    row_sums = row_sums.abs()  # a linearised model of counts has negative rows
    edge = per_slice(column_sums.flatten(1).mean(1), column_sums) / (2 * sum(slopes))
    touching, apart = edge, isinstance(A, StackProjector)
    if apart:  # steps of each slice by itself: those of 1 % more in another slab would leave more than 1 HU
        edge = column_sums.mean((-2, -1), keepdim=True) / (2 * sum(slopes))
        touching = torch.maximum(edge, torch.cat([edge[:, :, :1], edge[:, :, :-1]], 2))
    data_step, primal_step = 1 / row_sums.clamp_min(1e-12), 1 / (column_sums + 2 * sum(slopes) * touching)
    u = y.new_zeros(len(y), 1, *A.domain_shape) if anchor is None else anchor / MU_WATER_PER_MM
    goal, pull = u, (MU_WATER_PER_MM / spread) ** 2
    # what does not change from step to step; the steps themselves are taken in place
    data_shrink, image_shrink, edge_over_weight = 1 / (1 + data_step), 1 / (1 + primal_step * pull), edge / weight
    dual_slopes = [slope / (2 * max(slopes)) for slope in slopes]  # the step of q times the edge factor
    u_bar, p, q = u.clone(), torch.zeros_like(y), u.new_zeros(len(slopes), *u.shape)
    checked, running = u, torch.ones_like(edge, dtype=torch.bool)
    waits = u.device.type != "cpu"  # for an answer, which is then asked for as seldom as will do
    all_run = not waits
    for step in range(1, max_iterations + 1):
        p.addcmul_(data_step, W(u_bar).sub_(y)).mul_(data_shrink)
        add_gradient_(q, u_bar, dual_slopes)
        length = q[0].square()
        for along in q[1:]:
            length.addcmul_(along, along)
        q /= length.sqrt_().mul_(edge_over_weight).clamp_min_(1)
        slope = W.T(p)
        if apart:
            slope.sub_(divergence(q, slopes, edge))
        else:
            slope.addcmul_(edge, divergence(q, slopes), value=-1)
        if pull:
            slope.sub_(goal, alpha=pull)
        previous, u = u, torch.addcmul(u, primal_step, slope, value=-1).mul_(image_shrink).clamp_min_(0)
        if not all_run:
            u = torch.where(running, u, previous)
        torch.sub(u, previous, out=u_bar).add_(u)
        if step % CHECK_EVERY == 0:
            ratio = residual_ratio(W(u) - y).mean()
            moved_hu = 1000 * per_slice((u - checked).flatten(1).square().mean(1).sqrt(), u)
            running &= (moved_hu >= tolerance_hu) | (step < min_iterations)
            checked, still = u, [True]
            if not waits or step % (ASK_EVERY * CHECK_EVERY) == 0:
                still = running.flatten().tolist()
                all_run = all(still) and not waits
            if not report(callback, "tv", step, max_iterations, ratio) or not any(still):
                break
    return u * MU_WATER_PER_MM
