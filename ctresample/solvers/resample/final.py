"""The last step: from the prior's image to one that the measurement, with its noise, agrees with."""

from __future__ import annotations

import torch

from ctresample.consistency import linearised_problem, match_noise
from ctresample.operators import LinearOperator
from ctresample.solvers.resample.hard_consistency import Problem
from ctresample.solvers.tv import tv

TOLERANCE_HU = 0.5


def final_consistency(x: torch.Tensor, y: torch.Tensor, problem: Problem) -> torch.Tensor:
    """The output image, near ``x`` and consistent with the measurement as the settings ask.

    "pixel" solves ``argmin_{v >= 0} 1/2 |(A v - y) / sigma|^2 + weight TV(v) + 1/2 |(v - x) / spread|^2``; "latent" has
    been done in latents, "none" is nothing. With ``match_noise`` the result is then moved until its residual is at
    the noise level, towards ``x`` or by conjugate gradients; see `ctresample.consistency.match_noise`.

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
        )
    if not s.match_noise:
        return fitted
    return match_noise(fitted, x, problem.y, problem.A, max_iterations=s.final_iterations)
