"""The UNet of a denoiser before its training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from diffusers import UNet2DModel


def untrained_unet(
    channels: Sequence[int], layers_per_block: int, n_channels: int, size: int, seed: int
) -> UNet2DModel:
    """A UNet of ``(B, n_channels, size, size)``, with attention where it is coarsest.

    Args:
        channels: width at each resolution, finest first.
        layers_per_block: residual layers at each resolution.
        n_channels: of what it takes and gives.
        size: rows and columns.
        seed: of the weights.
    """
    n_levels = len(channels)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return UNet2DModel(
            sample_size=size,
            in_channels=n_channels,
            out_channels=n_channels,
            block_out_channels=tuple(channels),
            layers_per_block=layers_per_block,
            down_block_types=("DownBlock2D",) * (n_levels - 1) + ("AttnDownBlock2D",),
            up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * (n_levels - 1),
            norm_num_groups=math.gcd(min(32, channels[0] // 2), *channels),
            attention_head_dim=min(32, channels[-1]),
        )
