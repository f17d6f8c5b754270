"""How well a prior denoises: its one-step estimate against the truth, noise level by noise level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ctresample.learned.diffusion_prior import DiffusionPrior

N_LEVELS = 12
"""Noise levels looked at, from 98 % of the schedule down to 0.2 %; their square roots are evenly spread, for at low
noise, where ReSample ends, the error changes most from step to step."""


@dataclass(frozen=True)
class LevelError:
    """Errors at one noise level.

    Attributes:
        alpha_bar: the level, ``z_t = sqrt(alpha_bar) z_0 + sqrt(1 - alpha_bar) epsilon``.
        latent_mse: mean square error of the estimated normalised latents.
        rmse_hu: root mean square error in HU of the decoded estimate; includes that of the autoencoder.
    """

    alpha_bar: float
    latent_mse: float
    rmse_hu: float


@torch.no_grad()
def denoising_error(
    prior: DiffusionPrior,
    hu: torch.Tensor,
    generator: torch.Generator,
    *,
    batch_size: int = 16,
    on_progress: Callable[[float], None] | None = None,
) -> tuple[LevelError, ...]:
    """Noise the latents of images, let the prior estimate them in one step, and compare; noisiest level first.

    Args:
        prior: on its device.
        hu: images ``(B, 1, H, W)`` in HU, within the prior's range.
        generator: of the noise, on the CPU; the result does not depend on ``batch_size``.
        batch_size: images taken through the networks together.
        on_progress: told the fraction done, from 0 to 1.
    """
    levels = torch.linspace(0.98**0.5, 0.002**0.5, N_LEVELS).square().mul(len(prior.alpha_bar)).long().tolist()
    batches = hu.split(batch_size)
    latents = [prior.encode(batch.to(prior.device)) for batch in batches]
    errors = []
    for number, t in enumerate(levels):
        alpha_bar = float(prior.alpha_bar[t])
        latent, image = [], []
        for batch, z_0 in zip(batches, latents, strict=True):
            epsilon = torch.randn(z_0.shape, generator=generator).to(prior.device)
            estimate, _ = prior.predict(alpha_bar**0.5 * z_0 + (1 - alpha_bar) ** 0.5 * epsilon, t)
            latent.append((estimate - z_0).square().flatten(1).mean(1))
            image.append((prior.decode(estimate) - batch.to(prior.device)).square().flatten(1).mean(1))
            if on_progress:
                on_progress((number + len(latent) / len(batches)) / len(levels))
        rmse_hu = float(torch.cat(image).mean().sqrt())
        errors.append(LevelError(alpha_bar, float(torch.cat(latent).mean()), rmse_hu))
    return tuple(errors)
