"""Go on training a prior's denoiser on new slices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.learned.folders import find_prior, weights_sha256
from ctresample.learned.latent_prior import LatentPrior
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.training.condition_settings import ConditionSettings
from ctresample.pipelines.training.conditioned_objective import ConditionedObjective, check_pools, made_conditioned
from ctresample.pipelines.training.diffusion_objective import DiffusionObjective
from ctresample.pipelines.training.lora import add_lora
from ctresample.pipelines.training.prior import train_denoiser
from ctresample.pipelines.training.prior_settings import FinetuneSettings
from ctresample.pipelines.training.processes import this_process
from ctresample.pipelines.training.progress import OnStep

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import UNet2DModel


def finetune(
    prior: StrPath,
    slices: TrainingSlices,
    validation: TrainingSlices,
    folder: StrPath,
    settings: FinetuneSettings,
    *,
    on_step: OnStep | None = None,
) -> LatentPrior:
    """The prior with its denoiser trained on ``slices``, the best on ``validation``; also saved to ``folder/prior``.

    Autoencoder, HU range, scaling of the latents and noise schedule stay. Low-rank updates are added into the
    weights, so that the result is a prior like any other.

    Args:
        prior: a bundled prior's name, or a folder.
        slices: to train on.
        validation: of other patients.
        folder: checkpoint, curves, pictures and the finished prior.
        settings: see `FinetuneSettings`.
        on_step: told step, loss and, when there are some, validation figures.
    """
    folder = as_path(folder, "folder")
    base = LatentPrior.from_pretrained(prior, this_process().device)
    objective = _objective(base, slices, validation, settings)
    settings = replace(settings, condition=objective.settings.condition)
    check_pools(settings)
    origin = {"finetuned_from": objective.prior.config.name, "finetuned_from_sha256": weights_sha256(find_prior(prior))}
    name = settings.name or f"{objective.prior.config.name}-finetuned"
    objective.prior.config = replace(objective.prior.config, name=name)
    network: Any = objective.network
    finish = network.merge_and_unload if settings.lora_rank else None
    return train_denoiser(objective, slices, folder, settings, origin, on_step, finish, _kept_beside(base, settings))


def finetune_objective(
    prior: StrPath, slices: TrainingSlices, validation: TrainingSlices, settings: FinetuneSettings
) -> DiffusionObjective[LatentPrior]:
    """The prior as it is, with the loss and data of its fine-tuning."""
    return _objective(LatentPrior.from_pretrained(prior, this_process().device), slices, validation, settings)


def _objective(
    model: LatentPrior, slices: TrainingSlices, validation: TrainingSlices, settings: FinetuneSettings
) -> DiffusionObjective[LatentPrior]:
    model.check_shape((model.config.image_size, model.config.image_size))
    if model.is_conditioned and model.scan_unet is None and settings.condition is None:  # it stays what it is
        settings = replace(settings, condition=ConditionSettings())
    if settings.condition:
        model = made_conditioned(model, slices, settings)
    network = model.unet
    if settings.lora_rank:
        network = add_lora(model.unet, settings.lora_rank, settings.run.seed)
    else:
        network.requires_grad_(True)
    objective = ConditionedObjective if settings.condition else DiffusionObjective
    return objective(model, network, slices, validation, settings)


def _kept_beside(base: LatentPrior, settings: FinetuneSettings) -> UNet2DModel | None:
    """The denoiser without condition that stays as it is, where the one that is trained always has one."""
    always = not base.is_conditioned and settings.condition is not None and not settings.condition.dropout
    return base.unet if always or (base.scan_unet is not None and settings.condition) else None
