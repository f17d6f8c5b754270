"""What the training of a coarse denoiser minimises."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.learned.coarse import CoarseDenoiser, block_alpha_bar, time_of
from ctresample.learned.latent_prior import LatentPrior
from ctresample.pipelines.sampling import latent_shape
from ctresample.pipelines.training.coarse_settings import CoarseSettings
from ctresample.pipelines.training.latent_pool import LatentPool
from ctresample.pipelines.training.noise_prediction import noised, prediction_target
from ctresample.pipelines.training.objective import Batch, Objective, random_numbers
from ctresample.pipelines.training.training_samples import training_samples

HEADROOM = 3.0
"""Levels are trained down to this many times less noise than the first step's blocks have, for slices that are larger
than those trained on: their blocks hold more latents, and so less noise."""
VALIDATION_LEVELS, VALIDATION_DRAWS = 8, 8


class CoarseObjective(Objective):
    """The error of the velocity that the coarse denoiser predicts of noisy block averages.

    Args:
        prior: whose coarse denoiser is trained.
        slices: to train on.
        validation: of other patients.
        settings: see `CoarseSettings`.
    """

    def __init__(
        self, prior: LatentPrior, slices: TrainingSlices, validation: TrainingSlices, settings: CoarseSettings
    ) -> None:
        coarse = prior.coarse
        if coarse is None:
            raise ValueError("the prior has no coarse denoiser to train")
        super().__init__(coarse.unet)
        self.prior, self._s = prior, settings
        self._pool = LatentPool(prior, slices, settings, keep=lambda latents: block_means(coarse, latents))
        self._validation = _validation_blocks(prior, coarse, validation)
        self._levels = _block_levels(prior, coarse)

    def batches(self, first: int, process: int) -> Iterator[Batch]:
        run = self._s.run
        for number in count(first):
            generator = random_numbers(run.seed, number, process)
            pool = self._pool.latents(number // run.accumulation)
            chosen = torch.randint(0, len(pool), (run.batch_size,), generator=generator)
            share = torch.rand(run.batch_size, generator=generator) ** self._s.low_noise_bias
            noise = torch.randn((run.batch_size, *pool.shape[1:]), generator=generator)
            yield {"z_0": pool[chosen].float(), "noise": noise, "alpha_bar": self._alpha_bar(share)}

    def _alpha_bar(self, share: torch.Tensor) -> torch.Tensor:
        """Level of blocks that is ``share`` of the way to the noisiest, in the logarithm of noise over signal."""
        least, most = self._levels
        return 1 / (1 + (2 * (least + (most - least) * share)).exp())

    def forward(self, batch: Batch) -> torch.Tensor:
        z_0, noise, alpha_bar = batch["z_0"], batch["noise"], batch["alpha_bar"]
        predicted = self.network(noised(z_0, noise, alpha_bar), time_of(alpha_bar)).sample.float()
        return (predicted - prediction_target("v_prediction", z_0, noise, alpha_bar)).square().mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        z_0, device = self._validation, self.prior.device
        generator, losses = random_numbers(1), []
        for share in torch.linspace(0, 1, VALIDATION_LEVELS):
            alpha_bar = self._alpha_bar(share.expand(len(z_0))).to(device)
            for _ in range(VALIDATION_DRAWS):
                noise = torch.randn(z_0.shape, generator=generator).to(device)
                losses.append(float(self({"z_0": z_0, "noise": noise, "alpha_bar": alpha_bar})))
        return {"loss": sum(losses) / len(losses)}

    def pictures(self) -> dict[str, NDArray[np.uint8]]:
        return {"samples": training_samples(self.prior)}


def block_means(coarse: CoarseDenoiser, latents: torch.Tensor) -> torch.Tensor:
    """Averages over the blocks that a coarse denoiser sees of latents ``(B, C, h, w)``."""
    return F.avg_pool2d(latents, coarse.block_size(*latents.shape[-2:]))


@torch.no_grad()
def _validation_blocks(prior: LatentPrior, coarse: CoarseDenoiser, slices: TrainingSlices) -> torch.Tensor:
    """Block averages of whole slices, on the prior's device; they stay, for the autoencoder is not trained."""
    hu = slices.whole(prior.config.image_size).clamp(*prior.config.hu_range)
    return torch.cat([block_means(coarse, prior.encode(some.to(prior.device))) for some in hu.split(16)])


def _block_levels(prior: LatentPrior, coarse: CoarseDenoiser) -> tuple[float, float]:
    """Logarithms of noise over signal of the blocks, least and most, that the network is trained at."""
    _, rows, columns = latent_shape(prior, prior.config.image_size)
    n = coarse.block_size(rows, columns)
    least, most = (
        0.5 * math.log(1 / block_alpha_bar(float(prior.alpha_bar[t]), n) - 1)
        for t in (coarse.from_step, len(prior.alpha_bar) - 1)
    )
    return least - math.log(HEADROOM), most
