"""Train the autoencoder of a prior on CT slices."""

from __future__ import annotations

import json
from typing import Any

import torch.nn.functional as F

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.errors import PriorError
from ctresample.files import write_file
from ctresample.learned.networks import Autoencoder, load_autoencoder
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.training.autoencoder_network import new_autoencoder
from ctresample.pipelines.training.autoencoder_objective import AutoencoderObjective, model_values
from ctresample.pipelines.training.autoencoder_settings import AutoencoderSettings
from ctresample.pipelines.training.principal_components import start_as_principal_components
from ctresample.pipelines.training.progress import OnStep
from ctresample.pipelines.training.result import save_whole
from ctresample.pipelines.training.run import identity, train

PCA_IMAGES = 64
INPUT = "autoencoder.json"
"""Beside the network: what it takes, which its weights do not tell."""


def train_autoencoder(
    slices: TrainingSlices,
    validation: TrainingSlices,
    folder: StrPath,
    settings: AutoencoderSettings,
    *,
    on_step: OnStep | None = None,
) -> Autoencoder:
    """An autoencoder trained on ``slices``, the best on ``validation``; also saved to ``folder/vae``.

    A checkpoint in ``folder`` lets a killed run go on where it was.
    """
    folder = as_path(folder, "folder")
    objective = autoencoder_objective(slices, validation, settings)
    vae: Any = objective.network
    if train(objective, folder, settings.run, identity(settings, slices.digest), on_step=on_step):
        save_whole(folder / "vae", vae.save_pretrained)
        write_file(folder / INPUT, json.dumps(_input(settings)).encode())
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


def load_trained_autoencoder(folder: StrPath, hu_range: tuple[float, float], patch_size: int) -> Autoencoder:
    """The network that `train_autoencoder` saved in ``folder``.

    Raises:
        PriorError: there is none, or it was trained on another HU range or patch size.
    """
    folder = as_path(folder, "folder")
    vae = load_autoencoder(folder / "vae")
    if (folder / INPUT).is_file():
        trained_on = json.loads((folder / INPUT).read_text(encoding="utf-8"))
        for name, wanted in (("hu_range", list(hu_range)), ("patch_size", patch_size)):
            if trained_on[name] != wanted:
                raise PriorError(
                    f"the autoencoder in {folder} was trained with {name} {trained_on[name]}, the recipe's section "
                    f"prior says {wanted}; make them the same"
                )
    return vae


def _input(settings: AutoencoderSettings) -> dict[str, Any]:
    return {"hu_range": settings.hu_range, "patch_size": settings.patch_size}
