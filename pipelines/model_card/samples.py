"""Images drawn from a prior alone, without any measurement."""

from __future__ import annotations

import torch

from ctresample.errors import PriorError
from ctresample.pipelines.sampling import ddim, latent_shape
from ctresample.prior import LatentPrior

_BATCH = 8


@torch.no_grad()
def draw_samples(prior: LatentPrior, n: int, *, size: int, steps: int, generator: torch.Generator) -> torch.Tensor:
    """Images from pure noise by deterministic DDIM steps, see `ddim`.

    Args:
        prior: to draw from.
        n: number of images.
        size: rows and columns.
        steps: noise levels, evenly spaced over the schedule from its noisiest to its first.
        generator: of the starting noise, on the CPU so that all devices draw the same.

    Returns:
        ``(n, 1, size, size)`` in HU, on the CPU.

    Raises:
        PriorError: the networks do not take that size, or the images are not finite.
    """
    prior.check_shape((size, size))
    noise = torch.randn((n, *latent_shape(prior, size)), generator=generator)
    levels = torch.linspace(len(prior.alpha_bar) - 1, 0, steps).round().long().unique().flip(0).tolist()
    drawn = torch.cat([prior.decode(ddim(prior, z.to(prior.device), levels)).cpu() for z in noise.split(_BATCH)])
    if not torch.isfinite(drawn).all():
        raise PriorError(f"prior {prior.config.name}: samples from noise are not finite; are its weights whole?")
    return drawn
