"""The networks that settings of an autoencoder stand for."""

from __future__ import annotations

import math

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, VQModel

from ctresample.learned.networks import Autoencoder
from ctresample.pipelines.training.autoencoder_settings import AutoencoderSettings


def new_autoencoder(settings: AutoencoderSettings) -> Autoencoder:
    """An untrained network on stacked patches, ``(B, patch_size ** 2, h, w)``; the same for the same seed."""
    s = settings
    with torch.random.fork_rng():
        torch.manual_seed(s.run.seed)
        stacked = s.patch_size**2
        n = len(s.channels)
        if s.network == "AutoencoderTiny":
            # its first and its last convolution need no resolution of their own
            return AutoencoderTiny(
                in_channels=stacked,
                out_channels=stacked,
                latent_channels=s.latent_channels,
                encoder_block_out_channels=s.channels,
                decoder_block_out_channels=s.channels[::-1],
                num_encoder_blocks=(s.blocks,) * n,
                num_decoder_blocks=(s.blocks,) * n,
            )
        shape = {
            "in_channels": stacked,
            "out_channels": stacked,
            "latent_channels": s.latent_channels,
            "block_out_channels": s.channels,
            "down_block_types": ("DownEncoderBlock2D",) * n,
            "up_block_types": ("UpDecoderBlock2D",) * n,
            "layers_per_block": s.blocks,
            "norm_num_groups": math.gcd(min(32, s.channels[0] // 2), *s.channels),
            "sample_size": s.image_size // s.patch_size,
            "mid_block_add_attention": False,  # a network without it takes images of any size
        }
        if s.network == "AutoencoderKL":
            return AutoencoderKL(**shape)
        return VQModel(**shape, num_vq_embeddings=s.codebook_size)
