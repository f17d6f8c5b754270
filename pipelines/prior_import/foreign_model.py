"""What every source of a foreign model is read into."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffusers import DDIMScheduler, UNet2DModel

from ctresample.learned.networks import Autoencoder


@dataclass(frozen=True)
class ForeignModel:
    """A diffusion model in diffusers' classes.

    Attributes:
        vae: its autoencoder; None for a model of pixels, whose "latents" are the image.
        unet: the denoiser of normalised latents.
        scheduler: the noise schedule and the kind of prediction.
        latent_mean: of each latent channel, subtracted before the denoiser.
        latent_std: of each latent channel, divided by before the denoiser.
        latent_size: rows and columns of the latents it was trained on.
        kind: what it was, in words.
        files: its weights as they were found.
        assumed: what the source left open, and how it was taken.
    """

    vae: Autoencoder | None
    unet: UNet2DModel
    scheduler: DDIMScheduler
    latent_mean: tuple[float, ...]
    latent_std: tuple[float, ...]
    latent_size: int
    kind: str
    files: tuple[Path, ...]
    assumed: tuple[str, ...] = ()
