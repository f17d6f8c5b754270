"""Train the autoencoder of a prior on CT slices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.pipelines.training.run import RunSettings, train
from ctresample.units import hu_to_model


@dataclass(frozen=True)
class AutoencoderSettings:
    """Shape and losses of the autoencoder.

    The networks work on patches stacked into channels, which costs little, and without normalisation layers, which
    would have to relearn the absolute HU scale that they remove.

    Attributes:
        run: the training run.
        hu_range: HU at model values -1 and 1; values outside are clipped before training.
        image_size: rows and columns of the images.
        crop_size: edge of the crops trained on; the networks are convolutional, so small crops do.
        whole_share: share of whole slices; the rest are crops at the scanner's pixel size.
        patch_size: pixels along a patch.
        channels: width of the networks.
        blocks: residual blocks in the encoder and in the decoder.
        latent_channels: channels of the latents.
        latent_noise: standard deviation of noise added to latents in training, for a smooth decoder.
        gradient_weight: of the L1 error of image differences.
        square_weight: of the squared error.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # a recipe with a misspelt entry is refused

    run: RunSettings
    hu_range: tuple[float, float] = (-1000.0, 2000.0)
    image_size: int = 256
    crop_size: int = 128
    whole_share: float = 0.65
    patch_size: int = 4
    channels: int = 128
    blocks: int = 2
    latent_channels: int = 8
    latent_noise: float = 0.01
    gradient_weight: float = 0.25
    square_weight: float = 2.0


def train_autoencoder(
    slices: TrainingSlices,
    validation: TrainingSlices,
    folder: Path,
    settings: AutoencoderSettings,
    *,
    on_step: Callable[[int, float, dict[str, float] | None], None] | None = None,
) -> AutoencoderTiny:
    """An autoencoder trained on ``slices``, the best on ``validation``; also saved to ``folder/vae``.

    Checkpoints in ``folder`` let a killed run go on where it was.
    """
    s = settings
    torch.manual_seed(s.run.seed)
    stacked = s.patch_size**2
    vae = AutoencoderTiny(
        in_channels=stacked,
        out_channels=stacked,
        latent_channels=s.latent_channels,
        encoder_block_out_channels=(s.channels,),
        decoder_block_out_channels=(s.channels,),
        num_encoder_blocks=(s.blocks,),
        num_decoder_blocks=(s.blocks,),
    )

    def loss_at(step: int) -> torch.Tensor:
        x = F.pixel_unshuffle(_crops(slices, step, s), s.patch_size)
        z = vae.encode(x).latents.float()
        noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(step))
        error = F.pixel_shuffle((vae.decode(z + s.latent_noise * noise).sample - x).float(), s.patch_size)
        slope = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        return error.abs().mean() + s.gradient_weight * slope + s.square_weight * error.square().mean()

    held_out = _clipped(validation.whole(s.image_size), s)

    @torch.no_grad()
    def validate() -> dict[str, float]:
        x = F.pixel_unshuffle(held_out, s.patch_size)
        error = F.pixel_shuffle(vae.decode(vae.encode(x).latents).sample - x, s.patch_size)
        rmse = float(error.square().mean().sqrt())
        return {"loss": rmse, "rmse_hu": rmse * (s.hu_range[1] - s.hu_range[0]) / 2}

    train(vae, loss_at, validate, folder, s.run, on_step=on_step)
    vae.save_pretrained(folder / "vae")
    return vae


def _crops(slices: TrainingSlices, step: int, s: AutoencoderSettings) -> torch.Tensor:
    """Four crops from each of a few images: making an image costs more than cutting it."""
    images = slices.batch((s.run.seed, step), max(1, s.run.batch_size // 4), s.image_size, s.whole_share)
    generator = torch.Generator().manual_seed(step)
    top = s.image_size - s.crop_size + 1
    crops = []
    for k in range(s.run.batch_size):
        i, j = torch.randint(0, top, (2,), generator=generator).tolist()
        crops.append(images[k % len(images), :, i : i + s.crop_size, j : j + s.crop_size])
    return _clipped(torch.stack(crops), s)


def _clipped(hu: torch.Tensor, s: AutoencoderSettings) -> torch.Tensor:
    return hu_to_model(hu.clamp(*s.hu_range), s.hu_range)
