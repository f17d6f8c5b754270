"""What the training of a prior's denoiser minimises."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.learned.diffusion_prior import DiffusionPrior
from ctresample.pipelines.denoising_error import LevelError, denoising_error
from ctresample.pipelines.training.latent_pool import LatentPool
from ctresample.pipelines.training.noise_prediction import min_snr_weight, noised, prediction_target
from ctresample.pipelines.training.objective import Batch, Objective, random_numbers
from ctresample.pipelines.training.prior_settings import DiffusionSettings
from ctresample.pipelines.training.training_samples import training_samples

Prior = TypeVar("Prior", bound=DiffusionPrior)

FAST_STEPS = 3, 90
"""Of a schedule of 1000: those that ReSample's `fast` and `quality` go through, and a little more."""


class DiffusionObjective(Objective, Generic[Prior]):
    """The error of what the network predicts of noisy latents.

    Args:
        prior: whose ``unet`` is trained.
        network: the same network, or one around it that trains a part of it.
        slices: to train on.
        validation: of other patients.
        settings: see `DiffusionSettings`.
    """

    def __init__(
        self,
        prior: Prior,
        network: torch.nn.Module,
        slices: TrainingSlices,
        validation: TrainingSlices,
        settings: DiffusionSettings,
    ) -> None:
        super().__init__(network)
        self.prior, self.settings = prior, settings
        self._pool = LatentPool(prior, slices, settings)
        size = prior.config.image_size
        self._truth = validation.whole(size).clamp(*prior.config.hu_range)
        self._coarse_truth = None
        if settings.four_share:
            prior.check_shape((size // 2, size // 2))
            self._coarse_truth = validation.whole(size // 2).clamp(*prior.config.hu_range)
        self._alpha_bar = prior.alpha_bar.float()
        self._prediction = prior.scheduler.config["prediction_type"]

    def batches(self, first: int, process: int) -> Iterator[Batch]:
        run = self.settings.run
        for number in count(first):
            generator = random_numbers(run.seed, number, process)
            pool = self._pool.latents(number // run.accumulation)
            chosen = torch.randint(0, len(pool), (run.batch_size,), generator=generator)
            z_0 = pool[chosen].float()
            t = self._timesteps(run.batch_size, generator)
            noise = torch.randn(z_0.shape, generator=generator)
            yield {"z_0": z_0, "noise": noise, "t": t, "alpha_bar": self._alpha_bar[t]}

    def _timesteps(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """As many as ``n``, as the settings spread them."""
        s = self.settings
        t = torch.rand(n, generator=generator) ** s.low_noise_bias * self.prior.unet_steps
        if s.fast_share:
            low, high = map(math.log, FAST_STEPS)
            fast = torch.empty(n).uniform_(low, high, generator=generator).exp()
            t = torch.where(torch.rand(n, generator=generator) < s.fast_share, fast, t)
        return t.long()

    def forward(self, batch: Batch) -> torch.Tensor:
        z_0, noise, alpha_bar = batch["z_0"], batch["noise"], batch["alpha_bar"]
        predicted = self.network(noised(z_0, noise, alpha_bar), batch["t"]).sample.float()
        error = (predicted - prediction_target(self._prediction, z_0, noise, alpha_bar)).square().mean(dim=(1, 2, 3))
        return (min_snr_weight(self._prediction, alpha_bar, self.settings.min_snr_gamma) * error).mean()

    def errors(self) -> tuple[LevelError, ...]:
        """Of denoising, on the validation patients, at each noise level."""
        return denoising_error(self.prior, self._truth, random_numbers(1))

    def validate(self) -> dict[str, float]:
        figures = _figures(self.errors())
        if self._coarse_truth is None:
            return figures
        coarse = _figures(denoising_error(self.prior, self._coarse_truth, random_numbers(1)))
        loss = self.settings.four_share * coarse["loss"] + (1 - self.settings.four_share) * figures["loss"]
        return figures | {f"{name}_coarse": value for name, value in coarse.items()} | {"loss": loss}

    def pictures(self) -> dict[str, NDArray[np.uint8]]:
        return {"samples": training_samples(self.prior)}


def _figures(errors: Sequence[LevelError]) -> dict[str, float]:
    # as errors of the noise, which are of the same order at every level
    loss = sum(e.latent_mse * e.alpha_bar / (1 - e.alpha_bar) for e in errors) / len(errors)
    return {"loss": loss, "hu_mid_noise": errors[len(errors) // 2].rmse_hu, "hu_low_noise": errors[-2].rmse_hu}
