"""A network that improves a prior's estimates of the slices of a volume by those of their neighbours.

The prior knows single slices. In two stages, as video is denoised (Tassano, Delon and Veit, "FastDVDnet", CVPR 2020):
its denoiser makes an estimate of each slice, and a small network corrects each by those beside it. What the slices have
in common is anatomy; what they have not is noise, and streaks of views that differ from slice to slice.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ctresample.errors import PriorError
from ctresample.learned.networks import load_network, reason_of
from ctresample.learned.prior_config import PriorConfig

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import UNet2DModel

REACH = 2
"""Slices to each side that the network is shown."""

SHOWN = 2 + 2 * REACH
"""Times as many channels as latents have: the noisy ones, their estimate, and what neighbours differ by from it."""


class NeighbourDenoiser:
    """Corrects estimates of clean latents of slices in a row.

    Args:
        unet: takes what `seen` makes, at the prior's step, and gives the correction in units of the noise.
        n_steps: of the prior's schedule, from the cleanest on, that it was trained for.
    """

    def __init__(self, unet: UNet2DModel, n_steps: int) -> None:
        self.unet = unet.eval().requires_grad_(False)
        self.n_steps = n_steps

    def estimate(self, z_t: torch.Tensor, z_0: torch.Tensor, t: torch.Tensor, alpha_bar: float) -> torch.Tensor:
        """Better estimates of the clean latents of slices in a row.

        Args:
            z_t: noisy latents ``(slices, C, h, w)``.
            z_0: the prior's estimates of the clean ones, of the same shape.
            t: the step of the schedule.
            alpha_bar: its level.
        """
        correction: torch.Tensor = self.unet(seen(z_t, z_0), t).sample
        return z_0 + (1 - alpha_bar) ** 0.5 * correction


def seen(z_t: torch.Tensor, z_0: torch.Tensor, n_volumes: int = 1) -> torch.Tensor:
    """What the network is shown of slices in a row: ``(slices, SHOWN * C, h, w)``.

    For each slice its noisy latents, their estimate, and how those of the slices beside it differ from that; beyond
    the ends of the row stands the slice at that end.

    Args:
        z_t: noisy latents ``(slices, C, h, w)``.
        z_0: estimates of the clean ones, of the same shape.
        n_volumes: of the same number of slices, one after the other in the batch.
    """
    n = len(z_0) // n_volumes
    number = torch.arange(len(z_0), device=z_0.device)
    first = number // n * n
    beside = [z_0[(number + j).clamp(first, first + n - 1)] - z_0 for j in range(-REACH, REACH + 1) if j]
    return torch.cat([z_t, z_0, *beside], 1)


def load_neighbours(folder: Path, config: PriorConfig) -> UNet2DModel | None:
    """The network of a prior's `NeighbourDenoiser`, if its config says that there is one; `PriorError` if broken."""
    if config.neighbour_steps is None:
        return None
    from diffusers import UNet2DModel

    try:
        return load_network(UNet2DModel, folder / "neighbours")
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise PriorError(f"{folder / 'neighbours'} cannot be loaded as a UNet2DModel: {reason_of(error)}") from None
