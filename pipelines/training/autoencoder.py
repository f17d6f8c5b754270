"""Train the autoencoder of a prior on CT slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch.nn.functional as F

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.pipelines.training.autoencoder_network import new_autoencoder
from ctresample.pipelines.training.autoencoder_objective import AutoencoderObjective, model_values
from ctresample.pipelines.training.autoencoder_settings import AutoencoderSettings
from ctresample.pipelines.training.principal_components import start_as_principal_components
from ctresample.pipelines.training.progress import OnStep
from ctresample.pipelines.training.run import identity, train
from ctresample.prior import Autoencoder

PCA_IMAGES = 64


def train_autoencoder(
    slices: TrainingSlices,
    validation: TrainingSlices,
    folder: Path,
    settings: AutoencoderSettings,
    *,
    on_step: OnStep | None = None,
) -> Autoencoder:
    """An autoencoder trained on ``slices``, the best on ``validation``; also saved to ``folder/vae``.

    Checkpoints in ``folder`` let a killed run go on where it was.
    """
    objective = autoencoder_objective(slices, validation, settings)
    vae: Any = objective.network
    if train(objective, folder, settings.run, identity(settings, slices.digest), on_step=on_step):
        vae.save_pretrained(folder / "vae")
    return vae


def autoencoder_objective(
    slices: TrainingSlices, validation: TrainingSlices, settings: AutoencoderSettings
) -> AutoencoderObjective:
    """The network that the settings ask for, at its start, with its losses and data."""
    vae = new_autoencoder(settings)
    if settings.start == "pca":
        images = slices.batch((settings.run.seed,), PCA_IMAGES, settings.image_size, settings.whole_share)
        patches = F.pixel_unshuffle(model_values(images, settings), settings.patch_size)
        start_as_principal_components(vae, patches.permute(0, 2, 3, 1).reshape(-1, settings.patch_size**2))
    return AutoencoderObjective(vae, slices, validation, settings)
