"""What an autoencoder's training minimises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.learned.networks import Autoencoder
from ctresample.pipelines.training.autoencoder_settings import AutoencoderSettings
from ctresample.pipelines.training.discriminator import PatchDiscriminator, adaptive_weight, hinge_loss
from ctresample.pipelines.training.objective import Batch, Objective, random_numbers
from ctresample.pipelines.training.pictures import reconstructions
from ctresample.pipelines.training.ssim import ssim
from ctresample.units import hu_to_model, model_to_hu

CROPS_PER_IMAGE = 4
"""Making an image costs more than cutting it."""
VALIDATION_BATCH = 8


class AutoencoderObjective(Objective):
    """Reconstruction losses, what the class of the network adds to them, and an adversarial loss if wanted.

    Args:
        vae: to train.
        slices: to train on.
        validation: of other patients.
        settings: see `AutoencoderSettings`.
    """

    opponent: _Opponent | None

    def __init__(
        self, vae: Autoencoder, slices: TrainingSlices, validation: TrainingSlices, settings: AutoencoderSettings
    ) -> None:
        opponent = None
        if settings.adversarial_weight:
            with torch.random.fork_rng():
                torch.manual_seed(settings.run.seed + 1)
                opponent = _Opponent(vae, settings)
        super().__init__(vae, opponent)
        self._slices, self._s = slices, settings
        self._held_out = model_values(validation.whole(settings.image_size), settings)

    def batches(self, first: int, process: int) -> Iterator[Batch]:
        s = self._s
        n_images = max(1, s.run.batch_size // CROPS_PER_IMAGE)
        batches = self._slices.batches(
            (s.run.seed, process), n_images, s.image_size, s.whole_share, first_step=first, workers=s.run.workers
        )
        for number, images in enumerate(batches, first):
            generator = random_numbers(s.run.seed, process, number)
            crops = []
            for k in range(s.run.batch_size):
                i, j = torch.randint(0, s.image_size - s.crop_size + 1, (2,), generator=generator).tolist()
                crops.append(images[k % len(images), :, i : i + s.crop_size, j : j + s.crop_size])
            latent = (s.run.batch_size, s.latent_channels, s.crop_size // s.factor, s.crop_size // s.factor)
            yield {
                "x": model_values(torch.stack(crops), s),
                "noise": torch.randn(latent, generator=generator),
                "adversarial": number // s.run.accumulation >= s.adversarial_start,
            }

    def forward(self, batch: Batch) -> torch.Tensor:
        s, x = self._s, batch["x"]
        y, extra = _reconstruct(self.network, x, batch["noise"], s)
        error = y - x
        slope = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        loss = s.l1_weight * error.abs().mean() + s.square_weight * error.square().mean() + s.gradient_weight * slope
        if s.ssim_weight:
            loss = loss + s.ssim_weight * (1 - ssim(y, x, data_range=2.0))
        if self.opponent is not None and batch["adversarial"]:
            fooling = -self.opponent.discriminator.verdict(y).mean()
            weight = adaptive_weight(loss, fooling, last_weight(self.network))
            loss = loss + s.adversarial_weight * weight * fooling
        return loss + extra

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        squares = [(self._round_trip(x) - x).square().mean(dim=(1, 2, 3)) for x in self._validation_batches()]
        rmse = float(torch.cat(squares).mean().sqrt())
        low, high = self._s.hu_range
        return {"loss": rmse, "rmse_hu": rmse * (high - low) / 2}

    @torch.no_grad()
    def pictures(self) -> dict[str, NDArray[np.uint8]]:
        x = next(iter(self._validation_batches()))[:4]
        truth, seen = (model_to_hu(image, self._s.hu_range)[:, 0].cpu().numpy() for image in (x, self._round_trip(x)))
        return {"reconstructions": reconstructions(truth, seen)}

    def _validation_batches(self) -> Iterator[torch.Tensor]:
        device = next(self.network.parameters()).device
        return (x.to(device) for x in self._held_out.split(VALIDATION_BATCH))

    def _round_trip(self, x: torch.Tensor) -> torch.Tensor:
        return _reconstruct(self.network, x, None, self._s)[0]


class _Opponent(torch.nn.Module):
    """The discriminator's side of the game: tell images from their reconstructions."""

    def __init__(self, vae: Autoencoder, settings: AutoencoderSettings) -> None:
        super().__init__()
        self.discriminator = PatchDiscriminator()
        # in a tuple, for the autoencoder is not the opponent's to train
        self._vae, self._s = (vae,), settings

    def forward(self, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            y, _ = _reconstruct(self._vae[0], batch["x"], batch["noise"], self._s)
        return hinge_loss(self.discriminator(batch["x"]), self.discriminator(y))


def _reconstruct(vae: Any, x: torch.Tensor, noise: torch.Tensor | None, s: AutoencoderSettings) -> tuple[Any, Any]:
    """Images after a round trip, and the loss that the class of the network adds; without noise, as in use."""
    encoded = vae.encode(F.pixel_unshuffle(x, s.patch_size))
    extra: torch.Tensor | float = 0.0
    if s.network == "AutoencoderKL":
        distribution = encoded.latent_dist
        z = distribution.mode() if noise is None else distribution.mean + distribution.std * noise
        extra = s.kl_weight * distribution.kl().sum() / distribution.mean.numel()
    else:
        z = encoded.latents
    if noise is not None and s.latent_noise:
        z = z + s.latent_noise * noise
    decoded = vae.decode(z)
    if s.network == "VQModel":
        extra = s.codebook_weight * decoded.commit_loss
    return F.pixel_shuffle(decoded.sample.float(), s.patch_size), extra


def last_weight(vae: Any) -> torch.Tensor:
    """Weights of the decoder's last convolution."""
    return [m for m in vae.decoder.modules() if isinstance(m, torch.nn.Conv2d)][-1].weight


def model_values(hu: torch.Tensor, s: AutoencoderSettings) -> torch.Tensor:
    """Images in [-1, 1]; values outside the HU range are clipped."""
    return hu_to_model(hu.clamp(*s.hu_range), s.hu_range)
