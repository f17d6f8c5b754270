"""A patch discriminator: the opponent of an autoencoder in adversarial training."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.func import functional_call

MOST_ADAPTIVE_WEIGHT = 1e4
SMALLEST_SEEN_PX = 24
"""Edge of the smallest image that the discriminator can judge."""


class PatchDiscriminator(torch.nn.Module):
    """Says of every patch of an image whether it is real (above 0) or reconstructed (below).

    The network of Isola et al. (CVPR 2017) with group normalisation, which keeps nothing from batch to batch.

    Args:
        channels: width after the first layer.
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = [torch.nn.Conv2d(1, channels, 4, 2, 1), torch.nn.LeakyReLU(0.2)]
        for n, stride in ((2, 2), (4, 2), (8, 1)):
            wide = channels * n
            layers += [
                torch.nn.Conv2d(wide // 2, wide, 4, stride, 1, bias=False),
                torch.nn.GroupNorm(8, wide),
                torch.nn.LeakyReLU(0.2),
            ]
        self.layers = torch.nn.Sequential(*layers, torch.nn.Conv2d(channels * 8, 1, 4, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Verdicts ``(B, 1, h, w)`` on images ``(B, 1, H, W)`` in model values."""
        return self.layers(images)

    def verdict(self, images: torch.Tensor) -> torch.Tensor:
        """The same, for gradients of the images alone: the discriminator learns nothing from it."""
        fixed = {name: parameter.detach() for name, parameter in self.named_parameters()}
        return functional_call(self, fixed, (images,))


def hinge_loss(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """A discriminator's loss (Lim and Ye 2017, Geometric GAN), from verdicts on real and reconstructed images."""
    return (F.relu(1 - real).mean() + F.relu(1 + made).mean()) / 2


def adaptive_weight(others: torch.Tensor, adversarial: torch.Tensor, last_weight: Any) -> torch.Tensor:
    """The weight at which the adversarial loss pulls at the last layer as hard as the other losses.

    Esser et al. (CVPR 2021, equation 7).
    """
    (pull,) = torch.autograd.grad(others, last_weight, retain_graph=True)
    (push,) = torch.autograd.grad(adversarial, last_weight, retain_graph=True)
    return (pull.norm() / (push.norm() + 1e-6)).clamp(0, MOST_ADAPTIVE_WEIGHT).detach()
