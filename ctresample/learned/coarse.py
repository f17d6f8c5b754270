"""A denoiser for high noise, which sees latents averaged over blocks.

Where noise covers all but what is coarse, a small network of few values can be trained for long. It decides how the
slice as a whole looks, and the prior's UNet only has to fill that in. Averages over blocks of n x n latents keep what
is coarse and have n times less noise. Experts by noise level: Balaji et al., "eDiff-I", arXiv 2211.01324, 2022; from
coarse to fine within one chain: Teng et al., "Relay Diffusion", ICLR 2024.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from ctresample.errors import PriorError
from ctresample.learned.networks import load_network, reason_of
from ctresample.learned.prior_config import PriorConfig

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import UNet2DModel


class CoarseDenoiser:
    """Estimates clean latents, without fine detail, from very noisy ones.

    It takes the part of a prior's schedule from ``from_step`` to the noisiest step. The whole slice is always seen on
    about the same number of blocks, whatever its size.

    Args:
        unet: takes noisy block averages at the time `time_of`, and predicts their velocity (Salimans and Ho, ICLR
            2022). Its ``sample_size`` is the number of blocks along a side.
        from_step: first step of the schedule that is its own.
    """

    def __init__(self, unet: UNet2DModel, from_step: int) -> None:
        self.unet = unet.eval().requires_grad_(False)
        self.from_step = from_step

    @property
    def side_multiple(self) -> int:
        """Sides of the latents must be multiples of this."""
        return int(2 ** (len(self.unet.config["block_out_channels"]) - 1))

    def block_size(self, rows: int, columns: int) -> int:
        """Latents along a block's edge: what brings the longer side nearest to the number of blocks trained on."""
        wanted = max(rows, columns) / self.unet.config["sample_size"]
        common = math.gcd(rows, columns) // self.side_multiple
        divisors = [n for n in range(1, common + 1) if common % n == 0]
        return min(divisors, key=lambda n: abs(math.log(n / wanted)))

    def estimate(self, z_t: torch.Tensor, alpha_bar: float) -> torch.Tensor:
        """Clean latents from ``z_t = sqrt(alpha_bar) z_0 + sqrt(1 - alpha_bar) epsilon``, ``(B, C, h, w)``.

        The average over a block of n x n is ``sqrt(alpha_bar) z + sqrt(1 - alpha_bar) / n epsilon``: the level of the
        blocks, a cleaner one, follows from that. Differentiable with respect to ``z_t``.
        """
        n = self.block_size(*z_t.shape[-2:])
        cleaner = block_alpha_bar(alpha_bar, n)
        seen = (cleaner / alpha_bar) ** 0.5 * F.avg_pool2d(z_t, n)
        velocity = self.unet(seen, time_of(torch.tensor(cleaner, device=z_t.device))).sample
        blocks = cleaner**0.5 * seen - (1 - cleaner) ** 0.5 * velocity
        return F.interpolate(blocks, scale_factor=n, mode="bicubic")


def block_alpha_bar(alpha_bar: float, n: int) -> float:
    """Level of averages over n x n noisy latents: their noise has ``1 / n**2`` of the variance."""
    return alpha_bar / (alpha_bar + (1 - alpha_bar) / n**2)


def time_of(alpha_bar: torch.Tensor) -> torch.Tensor:
    """What tells the network the level of its blocks: 100 times the logarithm of noise over signal.

    Karras et al., NeurIPS 2022, use a quarter of the logarithm; diffusers' embedding is made for numbers up to 1000.
    """
    return 50 * ((1 - alpha_bar) / alpha_bar).log()


def load_coarse(folder: Path, config: PriorConfig) -> UNet2DModel | None:
    """The network of a prior's coarse denoiser, if its config says that there is one; `PriorError` if it is broken."""
    if config.coarse_from_step is None:
        return None
    from diffusers import UNet2DModel

    try:
        return load_network(UNet2DModel, folder / "coarse")
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise PriorError(f"{folder / 'coarse'} cannot be loaded as a UNet2DModel: {reason_of(error)}") from None
