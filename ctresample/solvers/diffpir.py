"""DiffPIR: plug-and-play restoration with a diffusion model as the denoiser.

Zhu, Zhang, Liang, Cao, Wen, Timofte and Van Gool, "Denoising Diffusion Models for Plug-and-Play Image Restoration",
CVPR workshops (NTIRE) 2023, Algorithm 1: estimate the clean image, make it agree with the data by a proximal step
whose width is the noise level's (their eq. 13), and noise the result again, partly by the noise that would explain
the present image and partly by fresh noise (eq. 15). The proximal step is solved by conjugate gradients.
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
from ctresample.solvers.diffusion.steps import normal_like
from ctresample.solvers.latent_problem import LatentProblem
from ctresample.status import Callback, report
from ctresample.units import MU_WATER_PER_MM


@dataclass(frozen=True)
class DiffPIRSettings:
    """Settings of `diffpir`.

    Attributes:
        n_steps: steps from pure noise to the clean image.
        prior_weight: lambda of the paper: the proximal step may move the image by ``sqrt((1 - alpha_bar) / alpha_bar
            / lambda)`` in the model's values.
        zeta: share of fresh noise, 0 to 1.
        cg_iterations: of one proximal step.
    """

    n_steps: int = 100
    prior_weight: float = 1.0
    zeta: float = 0.3
    cg_iterations: int = 10

    def __post_init__(self) -> None:
        if self.n_steps < 1 or self.cg_iterations < 1 or not 0 <= self.zeta <= 1 or not self.prior_weight > 0:
            raise UsageError(
                "diffpir settings: expected n_steps and cg_iterations of 1 or more, zeta from 0 to 1, prior_weight "
                "above 0"
            )


@torch.no_grad()
def diffpir(
    y: torch.Tensor,
    A: LinearOperator,
    prior: PixelPrior,
    *,
    sigma: torch.Tensor,
    settings: DiffPIRSettings | None = None,
    generators: Sequence[torch.Generator],
    mu_water_per_mm: float = MU_WATER_PER_MM,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Attenuation images that the prior finds likely and the measurement allows; arguments and errors as of `dps`."""
    s = settings or DiffPIRSettings()
    problem = LatentProblem.whitened(y, A, sigma, prior, mu_water_per_mm)
    check_generators("diffpir", generators, problem.n_slices)
    low, high = prior.config.hu_range
    unit = (high - low) / 2 * mu_water_per_mm / 1000  # 1/mm of one model value
    steps = timesteps(prior.scheduler, s.n_steps)
    levels = [float(prior.alpha_bar[t]) for t in steps] + [1.0]
    z = normal_like(problem.empty_latents(), generators)
    for i, t in enumerate(steps):
        alpha_bar, following = levels[i], levels[i + 1]
        z_0, _ = prior.predict(z, t)
        estimate = problem.decode(z_0)
        spread = unit * ((1 - alpha_bar) / alpha_bar / s.prior_weight) ** 0.5
        x = proximal_step(estimate, problem.y, problem.A, spread=spread, n_iterations=s.cg_iterations)
        z_0 = z_0 + problem.encode(x) - problem.encode(estimate)
        explaining = (z - alpha_bar**0.5 * z_0) / (1 - alpha_bar) ** 0.5
        noise = (1 - s.zeta) ** 0.5 * explaining + s.zeta**0.5 * normal_like(z, generators)
        z = following**0.5 * z_0 + (1 - following) ** 0.5 * noise
        check_finite("diffpir", z, i + 1, len(steps))
        if not report(callback, "diffpir", i + 1, len(steps), residual_ratio(problem.residual(x)).mean()):
            break
    return x
