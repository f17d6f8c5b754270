"""DPS: diffusion posterior sampling with a prior of pixels.

Chung, Kim, Mccann, Klasky and Ye, "Diffusion Posterior Sampling for General Noisy Inverse Problems", ICLR 2023,
Algorithm 1: ancestral steps of the prior, each followed by one against the gradient of the residual's norm with
respect to the noisy image, through the denoiser. What makes the published step fit any scan: see `latent_dps`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ctresample.errors import UsageError
from ctresample.learned.pixel_prior import PixelPrior
from ctresample.operators import LinearOperator
from ctresample.solvers.latent_dps import sample_led_by
from ctresample.solvers.latent_problem import LatentProblem, norm
from ctresample.status import Callback
from ctresample.units import MU_WATER_PER_MM


@dataclass(frozen=True)
class DPSSettings:
    """Settings of `dps`.

    Attributes:
        n_steps: steps from pure noise to the clean image (as published: all of the schedule).
        eta: share of fresh noise in each, 0 to 1 (as published: 1, ancestral sampling).
        scale: step against the gradient of the residual's norm (zeta of the paper).
    """

    n_steps: int = 1000
    eta: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.n_steps < 1 or not 0 <= self.eta <= 1 or self.scale < 0:
            raise UsageError("dps settings: expected n_steps of 1 or more, eta from 0 to 1, scale of 0 or more")


def dps(
    y: torch.Tensor,
    A: LinearOperator,
    prior: PixelPrior,
    *,
    sigma: torch.Tensor,
    settings: DPSSettings | None = None,
    generators: Sequence[torch.Generator],
    mu_water_per_mm: float = MU_WATER_PER_MM,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Attenuation images drawn from the prior and led to the measurement.

    Args:
        y: line integrals ``(B, 1, views, detectors)``.
        A: the projector, on images in 1/mm.
        prior: the diffusion prior of pixels.
        sigma: standard deviation of each value of ``y``.
        settings: see `DPSSettings`.
        generators: one CPU generator a slice, the only source of randomness: a slice's result does not depend on
            the batch it is in, nor on the device.
        mu_water_per_mm: attenuation of water that HU refer to.
        callback: told of every step.

    Returns:
        ``(B, 1, rows, columns)`` in 1/mm.

    Raises:
        UsageError: there is not one generator a slice.
        PriorError: the image does not fit the prior's network, or the sampling diverged.
    """
    s = settings or DPSSettings()
    problem = LatentProblem.whitened(y, A, sigma, prior, mu_water_per_mm)
    gain = problem.gain()
    return sample_led_by(
        lambda z_0, x, residual, t: s.scale * norm(residual) / gain,
        problem,
        solver="dps",
        n_steps=s.n_steps,
        eta=s.eta,
        generators=generators,
        callback=callback,
    )
