"""A step of DDIM, and the noise that it takes."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def ddim_step(
    z_0: torch.Tensor,
    epsilon: torch.Tensor,
    noise: torch.Tensor,
    *,
    alpha_bar: float,
    following: float,
    eta: float,
) -> torch.Tensor:
    """From the level of ``alpha_bar`` to the cleaner one ``following`` (Song, Meng and Ermon, ICLR 2021, eq. 12).

    Args:
        z_0: the estimate of what is clean.
        epsilon: the estimated noise.
        noise: fresh standard normal noise.
        alpha_bar: of the present level.
        following: alpha_bar of the next level; 1 is clean.
        eta: share of fresh noise, from 0 (deterministic) to 1 (ancestral sampling, as in DDPM).
    """
    fresh = eta * ((1 - following) / (1 - alpha_bar) * (1 - alpha_bar / following)) ** 0.5
    return following**0.5 * z_0 + (1 - following - fresh**2) ** 0.5 * epsilon + fresh * noise


def normal_like(z: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """Standard normal noise, that of each slice from its own CPU generator: neither batch nor device leave a trace."""
    noise = torch.stack([torch.randn(z.shape[1:], generator=generator) for generator in generators])
    # from pinned memory it is sent while the device is still at work
    return noise.pin_memory().to(z, non_blocking=True) if z.is_cuda else noise.to(z)
