"""An image whose residual is what the noise predicts: neither less, which is noise in the image, nor more."""

from __future__ import annotations

import torch

from ctresample.consistency.conjugate_gradients import (
    fit_to_noise,
    inner_product,
    per_slice,
    residual_ratio,
    safe_ratio,
)
from ctresample.consistency.linearisation import linearised_problem
from ctresample.operators import LinearOperator, MeasurementModel

LINEARISATIONS = 4
"""Of a nonlinear model: each is Newton's step for the residual, which is nearly straight so near to its level."""


def match_noise(
    x_fit: torch.Tensor,
    x_far: torch.Tensor,
    y: torch.Tensor,
    A: MeasurementModel,
    *,
    max_iterations: int,
    target: float = 1.0,
) -> torch.Tensor:
    """The image nearest to ``x_fit`` along a line, or CGLS iterates, whose residual is ``target`` noise levels.

    A slice below the level fits noise: it goes back on the straight line to ``x_far``, as far as the level, which
    is the root of a quadratic; where ``x_far`` is below as well it stays. A slice above goes on by `fit_to_noise`.
    Morozov's discrepancy principle, from both sides.

    Args:
        x_fit: ``(B, 1, rows, columns)``, images that have been fitted.
        x_far: images that fit less, such as what they were fitted from, or smoother ones.
        y: whitened measurement ``(B, 1, *range_shape)``.
        A: whitened operator; or a nonlinear model, which is linearised a few times.
        max_iterations: of `fit_to_noise`, for each linearisation.
        target: residual wanted, in noise levels.
    """
    if isinstance(A, LinearOperator):
        return _matched(x_fit, x_far, y, A, max_iterations, target)
    x = x_fit
    for _ in range(LINEARISATIONS):
        J, y_J = linearised_problem(x, y, A)
        x = _matched(x, x_far, y_J, J, max_iterations, target)
    return x


def _matched(
    x_fit: torch.Tensor, x_far: torch.Tensor, y: torch.Tensor, A: LinearOperator, max_iterations: int, target: float
) -> torch.Tensor:
    x = torch.lerp(x_fit, x_far, _share(y - A(x_fit), y - A(x_far), target))
    return fit_to_noise(x, y, A, max_iterations=max_iterations, target=target)


def _share(r_fit: torch.Tensor, r_far: torch.Tensor, target: float) -> torch.Tensor:
    """How far to go, from 0 to 1 for each slice: ``|r_fit + s (r_far - r_fit)|`` is ``target`` noise levels."""
    d = r_far - r_fit
    a, b, c = (inner_product(u, v, torch.float64) for u, v in ((d, d), (r_fit, d), (r_fit, r_fit)))
    c = c - target**2 * r_fit[0].numel()
    s = safe_ratio((b**2 - a * c).clamp_min(0).sqrt() - b, a).clamp(0, 1).to(d.dtype)
    between = (residual_ratio(r_fit) < target) & (residual_ratio(r_far) > target)
    return torch.where(per_slice(between, s), s, 0.0)
