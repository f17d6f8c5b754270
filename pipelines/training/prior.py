"""Train the diffusion model of a prior on the latents of an autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DModel

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.pipelines.training.run import RunSettings, train
from ctresample.prior import LatentPrior, PriorConfig, load_autoencoder

LEVELS = 12
"""Noise levels that validation looks at."""


@dataclass(frozen=True)
class PriorSettings:
    """Shape and training of the diffusion model.

    Attributes:
        run: the training run.
        name: of the prior.
        hu_range: HU at model values -1 and 1; must be the autoencoder's.
        image_size: rows and columns of the images.
        patch_size: pixels along a patch; must be the autoencoder's.
        whole_share: share of whole slices; the rest are crops at the scanner's pixel size.
        channels: width of the UNet at each resolution.
        layers_per_block: residual layers at each resolution.
        pool: latents encoded once and drawn from, a new pool every ``pool`` steps.
        low_noise_bias: timesteps are drawn as ``u ** low_noise_bias``; above 1 favours low noise, where sampling
            with a warm start spends its steps.
        provenance: copied to the prior's config: data, licences.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # a recipe with a misspelt entry is refused

    run: RunSettings
    name: str = "prior"
    hu_range: tuple[float, float] = (-1000.0, 2000.0)
    image_size: int = 256
    patch_size: int = 4
    whole_share: float = 0.65
    channels: tuple[int, ...] = (64, 128, 192)
    layers_per_block: int = 2
    pool: int = 2000
    low_noise_bias: float = 1.5
    provenance: dict[str, Any] = field(default_factory=dict)


def train_prior(
    slices: TrainingSlices,
    validation: TrainingSlices,
    autoencoder: Path,
    folder: Path,
    settings: PriorSettings,
    *,
    on_step: Callable[[int, float, dict[str, float] | None], None] | None = None,
) -> LatentPrior:
    """A whole prior, the best on ``validation``; also saved to ``folder/prior``.

    Velocity prediction (Salimans and Ho, ICLR 2022) on the scaled-linear schedule of latent diffusion
    (Rombach et al., CVPR 2022).

    Args:
        slices: to train on.
        validation: of other patients, to stop on and to measure the error at each noise level.
        autoencoder: folder that `train_autoencoder` saved ``vae`` in.
        folder: checkpoints, log and the finished prior.
        settings: see `PriorSettings`.
        on_step: told step, loss and, when there are some, validation figures.
    """
    s = settings
    torch.manual_seed(s.run.seed)
    vae = load_autoencoder(autoencoder / "vae")
    scheduler = DDIMScheduler(
        beta_start=0.0015,
        beta_end=0.0195,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    n_channels = vae.config["latent_channels"]
    n_levels = len(s.channels)
    unet = UNet2DModel(
        sample_size=s.image_size // s.patch_size,
        in_channels=n_channels,
        out_channels=n_channels,
        block_out_channels=s.channels,
        layers_per_block=s.layers_per_block,
        down_block_types=("DownBlock2D",) * (n_levels - 1) + ("AttnDownBlock2D",),
        up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * (n_levels - 1),
        norm_num_groups=min(32, s.channels[0] // 2),
        attention_head_dim=32,
    )

    def config(mean: torch.Tensor, std: torch.Tensor, errors: list[tuple[float, float]]) -> PriorConfig:
        return PriorConfig(
            name=s.name,
            hu_range=s.hu_range,
            image_size=s.image_size,
            patch_size=s.patch_size,
            latent_mean=tuple(mean.tolist()),
            latent_std=tuple(std.tolist()),
            denoising_rmse_hu=tuple(errors),
            provenance=s.provenance | {"data_digest": slices.digest, "patients": int(slices.patients.max()) + 1},
        )

    raw = LatentPrior(vae, unet, scheduler, config(torch.zeros(n_channels), torch.ones(n_channels), [(1.0, 0.0)]))
    pool = _Pool(raw, slices, s)
    mean, std = pool.mean, pool.std
    prior = LatentPrior(vae, unet, scheduler, config(mean, std, [(1.0, 0.0)]))
    unet.requires_grad_(True).train()
    alpha_bar = scheduler.alphas_cumprod
    truth = validation.whole(s.image_size).clamp(*s.hu_range)
    z_truth = prior.encode(truth)
    levels = torch.linspace(0.02, 0.98, LEVELS).mul(len(alpha_bar)).long().tolist()

    def loss_at(step: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(s.run.seed * 1_000_003 + step)
        z_0 = pool.draw(step, s.run.batch_size, generator)
        u = torch.rand(s.run.batch_size, generator=generator)
        t = (u**s.low_noise_bias * len(alpha_bar)).long()
        noise = torch.randn(z_0.shape, generator=generator)
        a = alpha_bar[t].view(-1, 1, 1, 1).sqrt()
        b = (1 - alpha_bar[t]).view(-1, 1, 1, 1).sqrt()
        return F.mse_loss(unet(a * z_0 + b * noise, t).sample.float(), a * noise - b * z_0)

    def errors() -> tuple[float, list[tuple[float, float]]]:
        unet.eval()
        generator = torch.Generator().manual_seed(1)
        found, total = [], 0.0
        for t in levels:
            noise = torch.randn(z_truth.shape, generator=generator)
            a, b = float(alpha_bar[t]) ** 0.5, float(1 - alpha_bar[t]) ** 0.5
            z_0, _ = prior.predict(a * z_truth + b * noise, t)
            total += float((z_0 - z_truth).square().mean()) * a**2 / b**2
            rmse_hu = float((prior.decode(z_0) - truth).square().mean().sqrt())
            found.append((float(alpha_bar[t]), rmse_hu))
        unet.train()
        return total / len(levels), found

    def validate() -> dict[str, float]:
        loss, found = errors()
        return {"loss": loss, "hu_low_noise": found[1][1], "hu_mid_noise": found[LEVELS // 2][1]}

    train(unet, loss_at, validate, folder, s.run, on_step=on_step)
    finished = LatentPrior(vae, unet, scheduler, config(mean, std, errors()[1]))
    finished.save_pretrained(folder / "prior")
    return finished


def _encode_pool(raw: LatentPrior, slices: TrainingSlices, s: PriorSettings, number: int) -> torch.Tensor:
    """Latents of ``s.pool`` augmented images, in half precision; pool ``number`` is always the same."""
    # full precision: the training step around it may run in a shorter one
    with torch.no_grad(), torch.autocast(raw.device.type, enabled=False):
        parts = []
        for k in range(0, s.pool, 16):
            hu = slices.batch((s.run.seed, number, k), min(16, s.pool - k), s.image_size, s.whole_share)
            parts.append(raw.encode(hu.clamp(*s.hu_range)).half())
        return torch.cat(parts)


class _Pool:
    """Encoded training images: encoding once and drawing often is cheaper than encoding at every step.

    Attributes:
        mean: of each latent channel over the first pool.
        std: its standard deviation.
    """

    def __init__(self, raw: LatentPrior, slices: TrainingSlices, s: PriorSettings) -> None:
        self._raw, self._slices, self._s = raw, slices, s
        self._number, self._latents = 0, _encode_pool(raw, slices, s, 0)
        self.mean = self._latents.float().mean((0, 2, 3))
        self.std = self._latents.float().std((0, 2, 3))

    def draw(self, step: int, n: int, generator: torch.Generator) -> torch.Tensor:
        """``(n, C, h, w)`` normalised latents."""
        number = step // self._s.pool
        if number != self._number:
            self._number, self._latents = number, _encode_pool(self._raw, self._slices, self._s, number)
        chosen = torch.randint(0, len(self._latents), (n,), generator=generator)
        return (self._latents[chosen].float() - self.mean.view(1, -1, 1, 1)) / self.std.view(1, -1, 1, 1)
