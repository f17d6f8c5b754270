"""Drawing from a prior alone, without any measurement."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ctresample.learned.diffusion_prior import DiffusionPrior
from ctresample.solvers.diffusion.steps import ddim_step, normal_like


@torch.no_grad()
def ancestral(
    prior: DiffusionPrior, shape: tuple[int, ...], levels: Sequence[int], generators: Sequence[torch.Generator]
) -> torch.Tensor:
    """Clean latents from pure noise, a slice a generator, with fresh noise at every step.

    Ancestral sampling (Song, Meng and Ermon, ICLR 2021, eq. 12 with eta 1): later steps mend what earlier ones got
    wrong, which deterministic ones cannot.

    Args:
        prior: to draw from.
        shape: channels, rows and columns of the latents.
        levels: schedule steps to visit, noisiest first.
        generators: of each slice's noise, on the CPU so that all devices draw the same.

    Returns:
        ``(len(generators), *shape)``.
    """
    z = normal_like(torch.empty((len(generators), *shape), device=prior.device), generators)
    z_0 = z
    for t, following in zip(levels, [*levels[1:], None], strict=True):
        z_0, epsilon = prior.predict(z, t)
        if following is not None:
            fresh = normal_like(z, generators)
            here, there = float(prior.alpha_bar[t]), float(prior.alpha_bar[following])
            z = ddim_step(z_0, epsilon, fresh, alpha_bar=here, following=there, eta=1.0)
    return z_0


@torch.no_grad()
def latent_shape(prior: DiffusionPrior, size: int) -> tuple[int, int, int]:
    """Channels, rows and columns of the latents of ``size`` x ``size`` pixels."""
    channels, rows, columns = prior.encode(torch.zeros(1, 1, size, size, device=prior.device)).shape[1:]
    return channels, rows, columns
