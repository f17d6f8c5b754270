"""Latent-DPS: diffusion posterior sampling in the latents of an autoencoder.

Chung, Kim, Mccann, Klasky and Ye, "Diffusion Posterior Sampling for General Noisy Inverse Problems", ICLR 2023,
Algorithm 1, with the decoder before the operator, as in the papers on latent priors that compare with it. After each
unconditional step the latents move against the gradient of the residual's norm with respect to the noisy latents,
through decoder and denoiser.

The published step belongs to operators of norm one on images in [-1, 1]; here the residual is divided by what makes
the whitened projector such (`LatentProblem.gain`), so that the step depends neither on the dose nor on the scanner.

The defaults were chosen on one validation slice with the bundled prior, 25 views and 1e5 photons (PSNR over 3000 HU;
TV 31.49 dB), within 200 steps, which are some 100 s on one core:

| steps | eta | scale | PSNR dB | residual |
|---|---|---|---|---|
| 50 | 1 | 10 | 15.33 | 62 |
| 50 | 1 | 30 | 17.86 | 34 |
| 50 | 1 | 100 | 21.40 | 54 |
| 50 | 0 | 50 | 6.39 | 732 |
| 50 | 0 | 100 | 1.52 | 1434 |
| 100 | 1 | 60 | 23.89 | 32 |
| 200 | 1 | 60 | 26.07 | 23 |
| 200 | 1 | 30 | 27.09 | 15 |
| 200 | 1 | 15 | 27.23 | 6 |

A slice then costs 200 passes through denoiser and decoder, forwards and backwards, and 200 pairs of projection and
back projection. More steps were better throughout (the authors take 1000); the residual stays far above the noise, as
a step of constant length cannot settle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ctresample.consistency import residual_ratio
from ctresample.errors import UsageError
from ctresample.learned.latent_prior import LatentPrior
from ctresample.operators import LinearOperator
from ctresample.solvers.diffusion.checks import check_finite, check_generators
from ctresample.solvers.diffusion.schedule import timesteps
from ctresample.solvers.diffusion.steps import ddim_step, normal_like
from ctresample.solvers.latent_problem import LatentProblem, norm
from ctresample.status import Callback, report
from ctresample.units import MU_WATER_PER_MM

Misfit = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int], torch.Tensor]
"""Estimated latents, their image, its residual and the schedule step to what should be small, ``(B,)``."""


@dataclass(frozen=True)
class LatentDPSSettings:
    """Settings of `latent_dps`.

    Attributes:
        n_steps: DDIM steps from pure noise to the clean image.
        eta: share of fresh noise in each, 0 to 1 (as published).
        scale: step against the gradient of the residual's norm (zeta of the paper).
    """

    n_steps: int = 200
    eta: float = 1.0
    scale: float = 15.0

    def __post_init__(self) -> None:
        if self.n_steps < 1 or not 0 <= self.eta <= 1 or self.scale < 0:
            raise UsageError("latent-dps settings: expected n_steps of 1 or more, eta from 0 to 1, scale of 0 or more")


def latent_dps(
    y: torch.Tensor,
    A: LinearOperator,
    prior: LatentPrior,
    *,
    sigma: torch.Tensor,
    settings: LatentDPSSettings | None = None,
    generators: Sequence[torch.Generator],
    mu_water_per_mm: float = MU_WATER_PER_MM,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Attenuation images drawn from the prior and led to the measurement.

    Args:
        y: line integrals ``(B, 1, views, detectors)``.
        A: the projector, on images in 1/mm.
        prior: the latent diffusion prior.
        sigma: standard deviation of each value of ``y``.
        settings: see `LatentDPSSettings`.
        generators: one CPU generator a slice, the only source of randomness: a slice's result does not depend on
            the batch it is in, nor on the device.
        mu_water_per_mm: attenuation of water that HU refer to.
        callback: told of every step.

    Returns:
        ``(B, 1, rows, columns)`` in 1/mm.

    Raises:
        UsageError: there is not one generator a slice.
        PriorError: the image does not fit the prior's networks, or the sampling diverged.
    """
    s = settings or LatentDPSSettings()
    problem = LatentProblem.whitened(y, A, sigma, prior, mu_water_per_mm)
    gain = problem.gain()
    return sample_led_by(
        lambda z_0, x, residual, t: s.scale * norm(residual) / gain,
        problem,
        solver="latent-dps",
        n_steps=s.n_steps,
        eta=s.eta,
        generators=generators,
        callback=callback,
    )


def sample_led_by(
    misfit: Misfit,
    problem: LatentProblem,
    *,
    solver: str,
    n_steps: int,
    eta: float,
    generators: Sequence[torch.Generator],
    callback: Callback | None,
    then: Callable[[torch.Tensor, float], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Images in 1/mm from pure noise by DDIM, each step followed by one against the gradient of a misfit.

    ``then`` is what is done to the noisy latents after that, given their alpha_bar.
    """
    check_generators(solver, generators, problem.n_slices)
    alpha_bar = problem.prior.alpha_bar
    steps = timesteps(problem.prior.scheduler, n_steps)
    levels = [float(alpha_bar[t]) for t in steps] + [1.0]
    z = normal_like(problem.empty_latents(), generators)
    for i, t in enumerate(steps):
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            z_0, epsilon = problem.prior.predict(z, t)
            x = problem.decode(z_0)
            residual = problem.residual(x)
            (gradient,) = torch.autograd.grad(misfit(z_0, x, residual, t).sum(), z)
        with torch.no_grad():
            fresh = normal_like(z, generators)
            z = ddim_step(z_0, epsilon, fresh, alpha_bar=levels[i], following=levels[i + 1], eta=eta) - gradient
            z = z if then is None else then(z, levels[i + 1])
        check_finite(solver, z, i + 1, len(steps))
        if not report(callback, solver, i + 1, len(steps), residual_ratio(residual.detach()).mean()):
            z = z_0.detach()
            break
    with torch.no_grad():
        return problem.decode(z)
