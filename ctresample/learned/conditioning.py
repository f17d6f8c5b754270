"""Velocities around an image that is already known: what a conditioned denoiser predicts.

The velocity of Salimans and Ho, ICLR 2022, is what is left to say of clean latents once they are known to be normal
with mean 0 and variance 1, scaled to variance 1. With an image at hand that agrees with the measurement, more is known:
the latents lie around those of the image, off by a spread. The same scaling then (Karras et al., "Elucidating the
Design Space of Diffusion-Based Generative Models", NeurIPS 2022, Appendix B.6, around a mean) lets a network begin as
good as that image is, whatever the noise. Mean 0 and spread 1 give back the plain velocity, so one network serves both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import UNet2DModel


def estimate_around(
    z_t: torch.Tensor, mean: torch.Tensor, spread: float, alpha_bar: torch.Tensor | float, velocity: torch.Tensor
) -> torch.Tensor:
    """Clean latents ``(B, C, h, w)`` from noisy ones and the velocity around ``mean``.

    Args:
        z_t: ``sqrt(alpha_bar) z_0 + sqrt(1 - alpha_bar) epsilon``.
        mean: latents known beforehand.
        spread: root mean square distance of the clean latents from ``mean``.
        alpha_bar: level, a number or shaped to go with ``z_t``; at 0, where ``z_t`` says nothing, it is not used.
        velocity: what the network says.
    """
    known, left = _known(z_t, mean, spread, alpha_bar)
    return known - left * velocity


def velocity_around(
    z_t: torch.Tensor, mean: torch.Tensor, spread: torch.Tensor, alpha_bar: torch.Tensor, z_0: torch.Tensor
) -> torch.Tensor:
    """The velocity with which `estimate_around` gives ``z_0``: what a network is to learn. Arguments as there."""
    known, left = _known(z_t, mean, spread, alpha_bar)
    return (known - z_0) / left


def _known(z_t: torch.Tensor, mean: torch.Tensor, spread: Any, alpha_bar: Any) -> tuple[torch.Tensor, Any]:
    """Mean and standard deviation of the clean latents, given the noisy ones and what is known beforehand."""
    total = spread**2 * alpha_bar + 1 - alpha_bar
    known = mean + spread**2 * alpha_bar**0.5 / total * (z_t - alpha_bar**0.5 * mean)
    return known, spread * ((1 - alpha_bar) / total) ** 0.5


@torch.no_grad()
def with_condition(unet: UNet2DModel) -> UNet2DModel:
    """The same network with as many channels again for the latents of an image, which at first it does not look at."""
    n = unet.config["in_channels"]
    stated = {name: value for name, value in unet.config.items() if not name.startswith("_")}  # not where it came from
    wider = type(unet).from_config({**stated, "in_channels": 2 * n})
    weights = unet.state_dict()
    first = weights["conv_in.weight"]
    weights["conv_in.weight"] = torch.cat([first, torch.zeros_like(first)], dim=1)
    wider.load_state_dict(weights)
    return wider.to(first.device)
