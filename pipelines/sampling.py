"""Drawing from a prior alone, without any measurement."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ctresample.prior import DiffusionPrior


@torch.no_grad()
def ddim(prior: DiffusionPrior, z: torch.Tensor, levels: Sequence[int]) -> torch.Tensor:
    """Clean latents from noisy ones by deterministic steps (Song, Meng and Ermon, ICLR 2021, eq. 12 with sigma 0).

    Args:
        prior: to draw from.
        z: noisy latents ``(B, C, h, w)`` of the first level; pure noise where that is the schedule's last.
        levels: schedule steps to visit, noisiest first.
    """
    z_0 = z
    for t, following in zip(levels, [*levels[1:], None], strict=True):
        z_0, epsilon = prior.predict(z, t)
        if following is not None:
            alpha_bar = float(prior.alpha_bar[following])
            z = alpha_bar**0.5 * z_0 + (1 - alpha_bar) ** 0.5 * epsilon
    return z_0


@torch.no_grad()
def latent_shape(prior: DiffusionPrior, size: int) -> tuple[int, int, int]:
    """Channels, rows and columns of the latents of ``size`` x ``size`` pixels."""
    channels, rows, columns = prior.encode(torch.zeros(1, 1, size, size, device=prior.device)).shape[1:]
    return channels, rows, columns
