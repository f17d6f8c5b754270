"""Plug-and-play with the latent denoiser: half-quadratic splitting, as in DPIR.

Zhang, Li, Zuo, Zhang, Van Gool and Timofte, "Plug-and-Play Image Restoration with Deep Denoiser Prior", IEEE TPAMI
44(10), 2022, Algorithm 1: a data step (their eq. 6a) and a denoiser (6b) in turn, at noise levels that fall
geometrically. Here the denoiser is that of a latent diffusion prior: encode, estimate the clean latents, decode, with
no noise added, as theirs. The data step is solved by conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from ctresample.consistency import proximal_step, residual_ratio
from ctresample.errors import UsageError
from ctresample.operators import LinearOperator
from ctresample.prior import LatentPrior
from ctresample.solvers.cgls import cgls
from ctresample.solvers.diffusion_steps import check_finite
from ctresample.solvers.latent_problem import LatentProblem
from ctresample.status import Callback, report
from ctresample.units import MU_WATER_PER_MM


@dataclass(frozen=True)
class PnPSettings:
    """Settings of `pnp`. Levels are fractions of the noise schedule: 1 is pure noise, 0 the clean image.

    Attributes:
        n_steps: data steps, each with a denoiser after it but the last.
        warm_start: the image to start from: one of total variation, or of CGLS.
        start_level: noise level of the first denoiser.
        end_level: noise level of the last.
        spread_scale: how far a data step may move the image, in units of the denoiser's error at that noise level
            (``1 / sqrt(lambda)`` of the paper).
        cg_iterations: of one data step.
    """

    n_steps: int = 24
    warm_start: Literal["tv", "cgls"] = "tv"
    start_level: float = 0.1
    end_level: float = 0.005
    spread_scale: float = 1.0
    cg_iterations: int = 10

    def __post_init__(self) -> None:
        if self.n_steps < 1 or self.cg_iterations < 1:
            raise UsageError("pnp settings: n_steps and cg_iterations must be 1 or more")
        if not 0 < self.end_level <= self.start_level <= 1 or not self.spread_scale > 0:
            raise UsageError("pnp settings: expected 0 < end_level <= start_level <= 1 and spread_scale above 0")


@torch.no_grad()
def pnp(
    y: torch.Tensor,
    A: LinearOperator,
    prior: LatentPrior,
    *,
    sigma: torch.Tensor,
    settings: PnPSettings | None = None,
    generators: Sequence[torch.Generator] = (),
    start: torch.Tensor | None = None,
    mu_water_per_mm: float = MU_WATER_PER_MM,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Attenuation images that the denoiser leaves as they are and that the measurement allows.

    Args:
        y: line integrals ``(B, 1, views, detectors)``.
        A: the projector, on images in 1/mm.
        prior: the latent diffusion prior.
        sigma: standard deviation of each value of ``y``.
        settings: see `PnPSettings`.
        generators: none are used: nothing is random here.
        start: ``(B, 1, rows, columns)`` in 1/mm to start from; CGLS's image by default.
        mu_water_per_mm: attenuation of water that HU refer to.
        callback: told of every step.

    Returns:
        ``(B, 1, rows, columns)`` in 1/mm, after the last data step.

    Raises:
        PriorError: the image does not fit the prior's networks, or the denoiser diverged.
    """
    s = settings or PnPSettings()
    problem = LatentProblem.whitened(y, A, sigma, prior, mu_water_per_mm)
    z = cgls(y, A, sigma=sigma) if start is None else start
    x = z
    for k, t in enumerate(denoiser_steps(prior.alpha_bar, s), 1):
        x = proximal_step(
            z, problem.y, problem.A, spread=s.spread_scale * problem.spread(t), n_iterations=s.cg_iterations
        )
        if k < s.n_steps:
            z = denoised(x, problem, t)
            check_finite("pnp", z, k, s.n_steps)
        if not report(callback, "pnp", k, s.n_steps, float(residual_ratio(problem.residual(x)).mean())):
            break
    return x


def denoised(x: torch.Tensor, problem: LatentProblem, t: int) -> torch.Tensor:
    """The image that the prior takes ``x`` for, if ``x`` has the noise of schedule step ``t``."""
    z_0, _ = problem.prior.predict(float(problem.prior.alpha_bar[t]) ** 0.5 * problem.encode(x), t)
    return problem.decode(z_0)


def denoiser_steps(alpha_bar: torch.Tensor, settings: PnPSettings) -> list[int]:
    """Schedule steps whose noise, over the signal, falls geometrically from the start level to the end level."""
    noise = (((1 - alpha_bar) / alpha_bar) ** 0.5).numpy()
    last = len(noise) - 1
    first, final = (noise[round(level * last)] for level in (settings.start_level, settings.end_level))
    return [int(np.abs(noise - level).argmin()) for level in np.geomspace(first, final, settings.n_steps)]
