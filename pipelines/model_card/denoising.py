"""Denoising error of a prior at each noise level, in HU and as the loss it was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.learned.latent_prior import LatentPrior
from ctresample.pipelines.denoising_error import denoising_error


@dataclass(frozen=True)
class Level:
    """One noise level.

    Attributes:
        alpha_bar: share of signal power.
        rmse_hu: root mean square error of the decoded one-step estimate; includes the autoencoder's.
        loss: mean square error of what the network predicts, on normalised latents, without any weight. Priors with
            different autoencoders differ in it for that reason alone; their HU compare.
    """

    alpha_bar: float
    rmse_hu: float
    loss: float


@dataclass(frozen=True)
class DenoisingErrors:
    """Figures of one prior, noisiest level first.

    Attributes:
        prior: the name to show.
        predicts: what its network predicts: "epsilon", "v_prediction" or "sample".
        levels: see `Level`.
    """

    prior: str
    predicts: str
    levels: tuple[Level, ...]


def measure_denoising(prior: LatentPrior, name: str, slices: TrainingSlices, size: int, seed: int) -> DenoisingErrors:
    """Noise the latents of whole slices, estimate them in one step and compare; the same noise for every prior."""
    hu = slices.whole(size).clamp(*prior.config.hu_range)
    predicts = prior.scheduler.config["prediction_type"]
    levels = denoising_error(prior, hu, torch.Generator().manual_seed(seed))
    return DenoisingErrors(
        prior=name,
        predicts=predicts,
        levels=tuple(
            Level(level.alpha_bar, level.rmse_hu, _loss(level.latent_mse, level.alpha_bar, predicts))
            for level in levels
        ),
    )


def _loss(latent_mse: float, alpha_bar: float, predicts: str) -> float:
    """An error of ``z_0`` as one of epsilon, or of ``v = sqrt(alpha_bar) epsilon - sqrt(1 - alpha_bar) z_0``."""
    if predicts == "sample":
        return latent_mse
    return latent_mse / (1 - alpha_bar) * (1.0 if predicts == "v_prediction" else alpha_bar)
