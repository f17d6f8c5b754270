"""Priors small enough for tests: random networks of diffusers classes, and one whose posterior is known exactly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DModel

from ctresample.learned.conditioning import with_condition
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.pixel_prior import PixelPrior
from ctresample.learned.prior_config import PriorConfig

CHANNELS = 4
PATCH_SIZE = 2


def scheduler(prediction_type: str) -> DDIMScheduler:
    """The schedule of latent diffusion models, in steps from 0 to 999."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.0015,
        beta_end=0.0195,
        prediction_type=prediction_type,
        steps_offset=1,
        set_alpha_to_one=False,
        clip_sample=False,
    )


def config(**changes: Any) -> PriorConfig:
    """Of a toy prior; changes replace its values."""
    values: dict[str, Any] = {
        "name": "toy",
        "hu_range": (-1000.0, 2000.0),
        "image_size": 32,
        "patch_size": PATCH_SIZE,
        "latent_mean": (0.1, -0.2, 0.0, 0.3),
        "latent_std": (0.5, 1.0, 1.5, 0.8),
        "denoising_rmse_hu": ((0.01, 300.0), (0.5, 150.0), (0.99, 20.0)),
        "provenance": {"data": "none"},
    }
    return PriorConfig(**(values | changes))


def small_unet(channels: int, sample_size: int | None = None) -> UNet2DModel:
    """With random weights, of torch's own random numbers; it halves once."""
    return UNet2DModel(
        sample_size=sample_size,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
    )


def random_prior(
    prediction_type: str = "v_prediction", seed: int = 0, condition_spread: float | None = None
) -> LatentPrior:
    """An untrained prior for images whose sides are multiples of 4, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        vae = AutoencoderKL(
            in_channels=PATCH_SIZE**2,
            out_channels=PATCH_SIZE**2,
            latent_channels=CHANNELS,
            block_out_channels=(8,),
            norm_num_groups=4,
            mid_block_add_attention=False,
        )
        unet = small_unet(CHANNELS)
    if condition_spread:
        unet = with_condition(unet)
    return LatentPrior(vae, unet, scheduler(prediction_type), config(condition_spread=condition_spread))


class GaussianPrior:
    """Pixels independent and normal around water: ``z = HU / scale_hu`` is standard normal, its denoiser exact."""

    kind = "latent prior"
    name = "gaussian"
    sha256 = None
    scale_hu = 100.0
    size_multiple = 8

    def __init__(self) -> None:
        self.scheduler = scheduler("epsilon")
        self.alpha_bar = self.scheduler.alphas_cumprod.double()
        self.config = SimpleNamespace(name="gaussian", hu_range=(-1000.0, 1000.0))

    def check_shape(self, shape: tuple[int, int]) -> None:
        """Every shape will do."""

    def encode(self, hu: torch.Tensor) -> torch.Tensor:
        return hu / self.scale_hu

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return z * self.scale_hu

    def predict(self, z_t: torch.Tensor, t: int) -> tuple[torch.Tensor, torch.Tensor]:
        a = float(self.alpha_bar[t])
        return a**0.5 * z_t, (1 - a) ** 0.5 * z_t

    def spread_hu(self, t: int) -> float:
        return self.scale_hu * (1 - float(self.alpha_bar[t])) ** 0.5


class ExactDenoiser(torch.nn.Module):
    """Predicts the noise in values that are independent and standard normal: ``sqrt(1 - alpha_bar) z_t``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.config = {"in_channels": channels, "out_channels": channels, "block_out_channels": (1,)}
        self.spread = (1 - scheduler("epsilon").alphas_cumprod).sqrt()

    def forward(self, z_t: torch.Tensor, t: int) -> SimpleNamespace:
        return SimpleNamespace(sample=float(self.spread[t]) * z_t)


def gaussian_pixel_prior(scale_hu: float = 100.0, patch_size: int = 1) -> PixelPrior:
    """Pixels independent and normal around water with standard deviation ``scale_hu``, denoised exactly."""
    schedule = scheduler("epsilon")
    errors = tuple((float(a), scale_hu * (1 - float(a)) ** 0.5) for a in schedule.alphas_cumprod)
    changes = {"hu_range": (-scale_hu, scale_hu), "patch_size": patch_size, "denoising_rmse_hu": errors}
    settings = config(latent_mean=(), latent_std=(), **changes)
    return PixelPrior(ExactDenoiser(patch_size**2), schedule, settings)


def random_pixel_prior(prediction_type: str = "epsilon", channels: int = 1, patch_size: int = 1) -> PixelPrior:
    """An untrained prior of pixels for images whose sides are multiples of ``2 * patch_size``; always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = small_unet(channels)
    return PixelPrior(unet, scheduler(prediction_type), config(latent_mean=(), latent_std=(), patch_size=patch_size))
