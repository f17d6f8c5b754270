"""Hard consistency in pixel space by conjugate gradients: a few operator pairs instead of thousands."""

from __future__ import annotations

import torch

from ctresample.bad_rays import BAD_RAY_SIGMA
from ctresample.operators import LinearOperator
from ctresample.status import Callback, report


def residual_ratio(residual: torch.Tensor) -> torch.Tensor:
    """Root mean square of each slice's whitened residual, ``(B,)``: 1 where it is what the noise predicts."""
    return residual.flatten(1).square().mean(1).sqrt()


def noise_ratio(sigma: torch.Tensor) -> torch.Tensor:
    """What `residual_ratio` is of noise alone, ``(B,)``: below 1 where rays are not known, which weigh nothing.

    Args:
        sigma: standard deviation of each measured value ``(B, 1, ...)``.
    """
    known = (sigma < BAD_RAY_SIGMA).flatten(1).double().mean(1)
    return known.clamp_min(1 / sigma[0].numel()).sqrt().to(sigma.dtype)


def proximal_step(
    x0: torch.Tensor,
    y: torch.Tensor,
    A: LinearOperator,
    *,
    spread: torch.Tensor | float,
    n_iterations: int,
) -> torch.Tensor:
    """``argmin_x |A x - y|^2 + |x - x0|^2 / spread^2`` by conjugate gradients from ``x0``.

    With the whitened ``A`` this is the posterior mean of an image whose prior is normal around ``x0`` with
    standard deviation ``spread``. What ``A`` does not see stays as in ``x0``.

    Args:
        x0: ``(B, 1, rows, columns)``, or volumes.
        y: whitened measurement ``(B, 1, views, detectors)``, or of a cone beam.
        A: whitened operator.
        spread: how far the image may be from ``x0``, in its unit.
        n_iterations: conjugate gradient iterations, one pair of projection and back projection each.
    """
    precision = spread**-2
    d = torch.zeros_like(x0)
    r = A.T(y - A(x0))
    # of data that are almost without noise r is large, and inner products of it too much for float32
    unit = _power_of_two(r)
    r = r / unit
    p, rr = r, inner_product(r, r)
    for _ in range(n_iterations):
        Hp = A.T(A(p)) + precision * p
        alpha = safe_ratio(inner_product(p, r), inner_product(p, Hp))
        d, r = d + alpha * p, r - alpha * Hp
        rr, old = inner_product(r, r), rr
        p = r + safe_ratio(rr, old) * p
    return x0 + unit * d


def fit_to_noise(
    x0: torch.Tensor,
    y: torch.Tensor,
    A: LinearOperator,
    *,
    max_iterations: int,
    target: torch.Tensor | float = 1.0,
    callback: Callback | None = None,
) -> torch.Tensor:
    """The image nearest to ``x0`` along CGLS iterates whose residual is ``target`` times the noise level.

    Each slice stops at its own noise level (Morozov's discrepancy principle), the last step shortened to land on
    it; a slice that starts below stays as it is.

    Args:
        x0: ``(B, 1, rows, columns)``, or volumes.
        y: whitened measurement ``(B, 1, views, detectors)``, or of a cone beam.
        A: whitened operator.
        max_iterations: iterations at most, one pair of projection and back projection each.
        target: residual wanted, in noise levels; one number, or one a slice ``(B,)``.
        callback: told of every iteration.
    """
    goal = target**2 * y[0].numel()
    if isinstance(goal, torch.Tensor):
        goal = per_slice(goal.double(), y)
    x, r = x0, y - A(x0)
    s = A.T(r)
    p, ss = s, inner_product(s, s, torch.float64)
    for step in range(1, max_iterations + 1):
        q = A(p)
        # ps is ss but for rounding; with ss, which leaves the true slope once converged, the residual would grow
        qq, rr, ps = (inner_product(a, b, torch.float64) for a, b in ((q, q), (r, r), (p, s)))
        running = rr > goal
        alpha = safe_ratio(ps, qq)
        # |r - a q|^2 = rr - 2 a ps + a^2 qq falls until a = alpha; where that passes the goal, solve for it
        passes = rr - alpha * ps < goal
        exact = safe_ratio(ps - (ps**2 - qq * (rr - goal)).clamp_min(0).sqrt(), qq)
        alpha = (torch.where(passes, exact, alpha) * running).to(x.dtype)
        x, r = x + alpha * p, r - alpha * q
        if not report(callback, "cgls", step, max_iterations, residual_ratio(r).mean()):
            break
        if bool((passes | ~running).all()):
            break
        s = A.T(r)
        ss, old = inner_product(s, s, torch.float64), ss
        p = s + safe_ratio(ss, old).to(x.dtype) * p
    return x


def per_slice(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """One value a slice, ``(B,)``, shaped ``(B, 1, ...)`` to go with images or measurements of any dimension."""
    return values.view(-1, *[1] * (like.ndim - 1))


def inner_product(a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Inner product of each slice, shaped `per_slice`; summed in float64 so that batch size leaves no trace.

    It comes in the type of ``a`` unless ``dtype`` says otherwise: fourth powers of data that are almost without noise,
    and so have large weights, are too much for float32. Then the products are taken in ``dtype``, too.
    """
    products = a * b if dtype is None else a.to(dtype) * b
    return per_slice(products.flatten(1).sum(1, dtype=torch.float64).to(dtype or a.dtype), a)


def _power_of_two(v: torch.Tensor) -> torch.Tensor:
    """About the Euclidean norm of each slice, shaped `per_slice`: dividing by it and multiplying leaves no rounding."""
    exponent = torch.frexp(inner_product(v, v, torch.float64).detach().sqrt()).exponent
    return torch.ldexp(torch.ones_like(exponent, dtype=torch.float64), exponent).to(v.dtype)


def safe_ratio(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``a / b``, and 0 where ``b`` is 0 (a slice that has converged)."""
    return torch.where(b > 0, a / b.clamp_min(torch.finfo(b.dtype).tiny), 0.0)
