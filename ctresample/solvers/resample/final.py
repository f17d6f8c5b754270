"""The last step: from the prior's image to one that the measurement, with its noise, agrees with."""

from __future__ import annotations

import torch

from ctresample.consistency import linearised_problem, match_noise, noise_ratio, per_slice, residual_ratio
from ctresample.operators import LinearOperator, MeasurementModel
from ctresample.operators.stack import one_by_one
from ctresample.solvers.resample.hard_consistency import Problem
from ctresample.solvers.tv import tv

TOLERANCE_HU = 0.5

SMOOTHING_HU = (20.0, 40.0, 80.0, 160.0, 320.0)
"""How far pixels may move in the smoothings tried in turn; see `smoothed`."""

SMOOTHING_ITERATIONS = 100


def final_consistency(x: torch.Tensor, y: torch.Tensor, problem: Problem) -> torch.Tensor:
    """The output image, near ``x`` and consistent with the measurement as the settings ask.

    "pixel" solves ``argmin_{v >= 0} 1/2 |(A v - y) / sigma|^2 + weight TV(v) + 1/2 |(v - x) / spread|^2``; "latent" has
    been done in latents, "none" is nothing. With a ``residual_target`` a result that fits noise then goes back towards
    the prior's image, or where that fits noise as well towards a smoother one, until it has that residual. One that
    fits less goes on by conjugate gradients, but not after "pixel": what total variation cannot fit of a measured scan
    is an error of its model or noise level, and conjugate gradients would fit it.

    Args:
        x: the prior's image ``(B, 1, rows, columns)`` in 1/mm.
        y: measurement, not whitened.
        problem: the same whitened, with its model and settings.
    """
    s, fitted = problem.settings, x
    if s.final == "pixel":
        spread = s.final_spread_hu * problem.mu_water / 1000
        A = problem.model
        if not isinstance(A, LinearOperator):
            A, y = linearised_problem(problem.proximal_step(x, spread), y, A)
        fitted = tv(
            y,
            A,
            sigma=problem.sigma,
            anchor=x,
            spread=spread,
            tolerance_hu=TOLERANCE_HU,
            max_iterations=s.final_iterations,
            min_iterations=s.final_iterations if problem.apart else 0,  # all slabs of a stack equally many
            spacing=problem.neighbours.spacing if problem.neighbours else None,
        )
    if s.residual_target is None:
        return fitted
    target = s.residual_target * noise_ratio(problem.sigma).mean().item()  # rays that are not known have no residual
    A, y, shape = problem.A, problem.y, fitted.shape
    if problem.apart:  # each slice to its own residual
        y, A = problem.apart
        x, fitted = one_by_one(x), one_by_one(fitted)
    below = residual_ratio(A(x) - y) <= target
    far = torch.where(per_slice(below, x), smoothed(fitted, y, A, target, problem.mu_water), x) if below.any() else x
    n_iterations = 0 if s.final == "pixel" else s.final_iterations
    return match_noise(fitted, far, y, A, max_iterations=n_iterations, target=target).reshape(shape)


def smoothed(x: torch.Tensor, y: torch.Tensor, A: MeasurementModel, target: float, mu_water: float) -> torch.Tensor:
    """The images with less total variation, by as little as takes the residual above the target (or the most tried).

    Smoothing needs no projections but those that tell the residual.
    """
    chosen, below = x, torch.ones(len(x), dtype=torch.bool, device=x.device)
    for hu in SMOOTHING_HU:
        below = below & (residual_ratio(A(chosen) - y) < target)
        if not below.any():
            break
        spread = torch.full_like(x, hu * mu_water / 1000)
        smoother = tv(x, _Pixels(x), sigma=spread, tolerance_hu=TOLERANCE_HU, max_iterations=SMOOTHING_ITERATIONS)
        chosen = torch.where(per_slice(below, x), smoother, chosen)
    return chosen


class _Pixels(LinearOperator):
    """The identity: an image as its own measurement."""

    def __init__(self, like: torch.Tensor) -> None:
        self.domain_shape = self.range_shape = tuple(like.shape[2:])
        self.device, self.dtype = like.device, like.dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return y
