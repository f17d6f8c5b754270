"""The proximal step in measurement space: its few unknowns, well scaled, take fewer iterations than the pixels.

The identity behind it, ``(K^T K + I / s^2)^-1 K^T = K^T (K K^T + I / s^2)^-1``, is that of dual, or representer,
methods of variational assimilation: Courtier, "Dual formulation of four-dimensional variational assimilation", Quart.
J. R. Met. Soc. 123, 1997; conjugate gradients with a diagonal preconditioner: Saad, "Iterative Methods for Sparse
Linear Systems", 2nd edition, 2003, section 9.2.
"""

from __future__ import annotations

import torch

from ctresample.consistency.conjugate_gradients import inner_product, safe_ratio
from ctresample.operators import LinearOperator, Weighted


def dual_proximal_step(
    x0: torch.Tensor,
    y: torch.Tensor,
    A: LinearOperator,
    *,
    spread: torch.Tensor | float,
    n_iterations: int,
    tolerance: float = 0.0,
) -> torch.Tensor:
    """`proximal_step` in measurement space: ``x0 + A^T v`` with ``(A A^T + 1 / spread^2) v = y - A x0``.

    The equations are divided on both sides by the root of their diagonal, from ``A.row_norms``, so that rays of great
    and of little weight, whose variances span three orders of magnitude, count alike. That is the diagonal
    preconditioner, and keeps every number of the size of an image, however small the noise. About 5 iterations come as
    near to the solution as 20 to 30 in pixels; an ``A`` whose row norms are off by less than a factor of two costs
    one iteration more.

    Arguments as of `proximal_step`, and ``tolerance``: a slice is done before when an iteration moved its image less
    than this (root mean square); 0 for all iterations. Differentiable with respect to ``x0`` and ``y``.
    """
    own = 1 / spread if isinstance(spread, torch.Tensor) else y.new_full((), 1 / spread)
    scale = 1 / torch.hypot(A.row_norms, own)
    B, own_share = Weighted(A, scale), (scale * own).square()
    r = scale * (y - A(x0))
    v, p, rr = torch.zeros_like(r), r, inner_product(r, r)
    running = torch.ones_like(rr)
    for _ in range(n_iterations):
        q = B.T(p)
        Hp = B(q) + own_share * p
        alpha = running * safe_ratio(inner_product(p, r), inner_product(p, Hp))
        v, r = v + alpha * p, r - alpha * Hp
        if tolerance:
            running = running * (alpha * (inner_product(q, q) / q[0].numel()).sqrt() >= tolerance)
            if not running.any():
                break
        rr, old = inner_product(r, r), rr
        p = r + safe_ratio(rr, old) * p
    return x0 + B.T(v)
