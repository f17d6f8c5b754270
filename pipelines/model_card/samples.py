"""Images drawn from a prior alone, without any measurement."""

from __future__ import annotations

import torch

from ctresample.errors import PriorError
from ctresample.learned.latent_prior import LatentPrior
from ctresample.pipelines.sampling import ancestral, latent_shape

_BATCH = 8


@torch.no_grad()
def draw_samples(prior: LatentPrior, n: int, *, size: int, steps: int, seed: int) -> torch.Tensor:
    """Images from pure noise by ancestral sampling, see `ancestral`.

    Args:
        prior: to draw from.
        n: number of images.
        size: rows and columns.
        steps: noise levels, evenly spaced over the schedule from its noisiest to its first.
        seed: of the noise; each image has a generator of its own, so that ``n`` does not change the first ones.

    Returns:
        ``(n, 1, size, size)`` in HU, on the CPU.

    Raises:
        PriorError: the networks do not take that size, or the images are not finite.
    """
    prior.check_shape((size, size))
    shape = latent_shape(prior, size)
    generators = [torch.Generator().manual_seed((seed << 20) + k) for k in range(n)]
    levels = torch.linspace(len(prior.alpha_bar) - 1, 0, steps).round().long().unique().flip(0).tolist()
    batches = [generators[first : first + _BATCH] for first in range(0, n, _BATCH)]
    drawn = torch.cat([prior.decode(ancestral(prior, shape, levels, some)).cpu() for some in batches])
    if not torch.isfinite(drawn).all():
        raise PriorError(f"prior {prior.config.name}: samples from noise are not finite; are its weights whole?")
    return drawn
