"""MCG: manifold constrained gradients, DPS with a projection onto the measurement after each step.

Chung, Sim, Ryu and Ye, "Improving Diffusion Models for Inverse Problems using Manifold Constraints", NeurIPS 2022,
Algorithm 1: an ancestral step, one against the gradient of the residual through the denoiser (their eq. 13), then
the noisy image nearest to it whose projections are the data, noised to the same level (their eq. 14).

The projection is made for data without noise. Here it is a few conjugate gradients that stop where the residual is
what the noise of the data leaves at that level, and so is the published one as the noise vanishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ctresample.consistency import fit_to_noise
from ctresample.errors import UsageError
from ctresample.learned.pixel_prior import PixelPrior
from ctresample.operators import LinearOperator
from ctresample.solvers.diffusion.steps import normal_like
from ctresample.solvers.latent_dps import sample_led_by
from ctresample.solvers.latent_problem import LatentProblem, norm
from ctresample.status import Callback
from ctresample.units import MU_WATER_PER_MM


@dataclass(frozen=True)
class MCGSettings:
    """Settings of `mcg`.

    Attributes:
        n_steps: steps from pure noise to the clean image (as published: all of the schedule).
        eta: share of fresh noise in each, 0 to 1 (as published: 1, ancestral sampling).
        scale: step against the gradient of the residual's norm (alpha of the paper times that norm).
        cg_iterations: of one projection at most.
    """

    n_steps: int = 1000
    eta: float = 1.0
    scale: float = 1.0
    cg_iterations: int = 5

    def __post_init__(self) -> None:
        if self.n_steps < 1 or self.cg_iterations < 1 or not 0 <= self.eta <= 1 or self.scale < 0:
            raise UsageError(
                "mcg settings: expected n_steps and cg_iterations of 1 or more, eta from 0 to 1, scale of 0 or more"
            )


def mcg(
    y: torch.Tensor,
    A: LinearOperator,
    prior: PixelPrior,
    *,
    sigma: torch.Tensor,
    settings: MCGSettings | None = None,
    generators: Sequence[torch.Generator],
    mu_water_per_mm: float = MU_WATER_PER_MM,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Attenuation images drawn from the prior and projected onto the measurement; arguments and errors as of `dps`."""
    s = settings or MCGSettings()
    problem = LatentProblem.whitened(y, A, sigma, prior, mu_water_per_mm)
    gain = problem.gain()
    origin = problem.A(problem.decode(problem.empty_latents()))  # decoding is affine: z = 0 is not mu = 0

    def projected(z: torch.Tensor, alpha_bar: float) -> torch.Tensor:
        """Noisy images nearest to ``z`` whose projections are the data with noise of the level."""
        noise = problem.A(problem.decode(normal_like(z, generators))) - origin
        y_t = origin + alpha_bar**0.5 * (problem.y - origin) + (1 - alpha_bar) ** 0.5 * noise
        x = problem.decode(z)
        agreed = fit_to_noise(x, y_t, problem.A, max_iterations=s.cg_iterations, target=alpha_bar**0.5)
        return z + problem.encode(agreed) - problem.encode(x)

    return sample_led_by(
        lambda z_0, x, residual, t: s.scale * norm(residual) / gain,
        problem,
        solver="mcg",
        n_steps=s.n_steps,
        eta=s.eta,
        generators=generators,
        callback=callback,
        then=projected,
    )
