"""DDS: decomposed diffusion sampling, conjugate gradients from each of the prior's estimates.

Chung, Lee and Ye, "Decomposed Diffusion Sampler for Accelerating Large-Scale Inverse Problems", ICLR 2024,
Algorithm 1 with the proximal step for noisy data (their section 3.2): of the estimated clean image a few conjugate
gradients make one that agrees with the data, and DDIM goes on from it. No gradient passes through the denoiser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ctresample.consistency import proximal_step, residual_ratio
from ctresample.errors import UsageError
from ctresample.learned.pixel_prior import PixelPrior
from ctresample.operators import LinearOperator
from ctresample.solvers.diffusion.checks import check_finite, check_generators
from ctresample.solvers.diffusion.schedule import timesteps
from ctresample.solvers.diffusion.steps import ddim_step, normal_like
from ctresample.solvers.latent_problem import LatentProblem
from ctresample.status import Callback, report
from ctresample.units import MU_WATER_PER_MM


@dataclass(frozen=True)
class DDSSettings:
    """Settings of `dds`.

    Attributes:
        n_steps: DDIM steps from pure noise to the clean image.
        eta: share of fresh noise in each, 0 to 1 (0.85 as published).
        spread_scale: how far a proximal step may move the image, in units of the prior's error at that noise level:
            the paper's gamma is the square of that distance over the data's noise, there one number for all levels.
        cg_iterations: of one proximal step (5 as published).
    """

    n_steps: int = 100
    eta: float = 0.85
    spread_scale: float = 1.0
    cg_iterations: int = 5

    def __post_init__(self) -> None:
        if self.n_steps < 1 or self.cg_iterations < 1 or not 0 <= self.eta <= 1 or not self.spread_scale > 0:
            raise UsageError(
                "dds settings: expected n_steps and cg_iterations of 1 or more, eta from 0 to 1, spread_scale above 0"
            )


@torch.no_grad()
def dds(
    y: torch.Tensor,
    A: LinearOperator,
    prior: PixelPrior,
    *,
    sigma: torch.Tensor,
    settings: DDSSettings | None = None,
    generators: Sequence[torch.Generator],
    mu_water_per_mm: float = MU_WATER_PER_MM,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Attenuation images that the prior finds likely and the measurement allows; arguments and errors as of `dps`."""
    s = settings or DDSSettings()
    problem = LatentProblem.whitened(y, A, sigma, prior, mu_water_per_mm)
    check_generators("dds", generators, problem.n_slices)
    steps = timesteps(prior.scheduler, s.n_steps)
    levels = [float(prior.alpha_bar[t]) for t in steps] + [1.0]
    z = normal_like(problem.empty_latents(), generators)
    for i, t in enumerate(steps):
        z_0, epsilon = prior.predict(z, t)
        estimate = problem.decode(z_0)
        x = proximal_step(
            estimate,
            problem.y,
            problem.A,
            spread=s.spread_scale * problem.spread(t),
            n_iterations=s.cg_iterations,
        )
        z_0 = z_0 + problem.encode(x) - problem.encode(estimate)
        fresh = normal_like(z, generators)
        z = ddim_step(z_0, epsilon, fresh, alpha_bar=levels[i], following=levels[i + 1], eta=s.eta)
        check_finite("dds", z, i + 1, len(steps))
        if not report(callback, "dds", i + 1, len(steps), residual_ratio(problem.residual(x)).mean()):
            break
    return x
