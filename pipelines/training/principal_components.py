"""An AutoencoderTiny that starts as the principal component transform of image patches."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderTiny
from diffusers.models.autoencoders.vae import AutoencoderTinyBlock

LATENT_SCALE = 0.07
"""Latents are this times the components: the decoder squashes its input by ``3 tanh(z / 3)``, linear near 0 only."""


@torch.no_grad()
def start_as_principal_components(vae: AutoencoderTiny, patches: torch.Tensor) -> None:
    """Set the weights so that the network projects patches onto their first principal components.

    No linear code of as many channels has a smaller squared error, so training starts where a random network needs
    many steps to come. Networks of rectified units carry a value of either sign as a pair of channels, its positive
    and its negative part. The residual blocks start as identities and learn what is not linear; channels without a
    part in the transform keep their random start.

    Args:
        vae: with one resolution, and at least twice as wide as it has latent channels.
        patches: stacked patches ``(n, channels)`` in model values, n well above their number of channels.
    """
    n_latent = vae.config["latent_channels"]
    mean = patches.double().mean(0)
    _, vectors = torch.linalg.eigh(torch.cov(patches.double().T))
    components = vectors.flip(1)[:, :n_latent].T  # (n_latent, channels), largest variance first
    for block in vae.modules():
        if isinstance(block, AutoencoderTinyBlock):
            block.conv[-1].weight.zero_()
            block.conv[-1].bias.zero_()
    identity = torch.eye(n_latent, dtype=torch.float64)
    # the encoder sees (x + 1) / 2, and what the decoder makes becomes 2 y - 1
    _into_pairs(vae.encoder.layers[0], 2 * components, -components @ (mean + 1))
    _out_of_pairs(vae.encoder.layers[-1], LATENT_SCALE * identity, torch.zeros(n_latent))
    _into_pairs(vae.decoder.layers[0], identity, torch.zeros(n_latent))
    _out_of_pairs(vae.decoder.layers[-1], components.T / (2 * LATENT_SCALE), (mean + 1) / 2)


def _into_pairs(conv: Any, matrix: torch.Tensor, bias: torch.Tensor) -> None:
    """First channels: ``matrix @ x + bias`` in every pixel, then its negative."""
    n = len(matrix)
    conv.weight[: 2 * n] = 0
    conv.weight[: 2 * n, :, 1, 1] = torch.cat([matrix, -matrix]).to(conv.weight.dtype)
    conv.bias[: 2 * n] = torch.cat([bias, -bias]).to(conv.weight.dtype)


def _out_of_pairs(conv: Any, matrix: torch.Tensor, bias: torch.Tensor) -> None:
    """``matrix @ x + bias`` of the values that the first channels hold as pairs."""
    n = matrix.shape[1]
    conv.weight.zero_()
    conv.weight[:, : 2 * n, 1, 1] = torch.cat([matrix, -matrix], dim=1).to(conv.weight.dtype)
    conv.bias.copy_(bias)
