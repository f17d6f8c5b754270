"""How latents are scaled for the diffusion model."""

from __future__ import annotations

import torch


def latent_divisors(std: torch.Tensor, exponent: float) -> torch.Tensor:
    """What each latent channel is divided by: ``std ** exponent``, times what makes the mean variance 1 afterwards.

    Exponent 1 brings each channel to unit standard deviation. Exponent 0 divides all by one number, as Rombach et al.
    (CVPR 2022, appendix G) do: channels that carry little of the image then drown in noise early, and the model
    spends little on them. Others lie between.

    Args:
        std: standard deviation of each channel, ``(C,)``.
        exponent: from 0 to 1.
    """
    divisors = std**exponent
    return divisors * (std / divisors).square().mean().sqrt()
