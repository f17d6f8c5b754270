"""Train a prior of pixels: the diffusion model of a prior, on images in place of latents."""

from __future__ import annotations

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.learned.pixel_prior import PixelPrior
from ctresample.learned.prior_config import PriorConfig
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.training.diffusion_objective import DiffusionObjective
from ctresample.pipelines.training.prior import new_denoiser, train_denoiser
from ctresample.pipelines.training.prior_settings import DenoiserSettings
from ctresample.pipelines.training.processes import this_process
from ctresample.pipelines.training.progress import OnStep


def train_pixel_prior(
    slices: TrainingSlices,
    validation: TrainingSlices,
    folder: StrPath,
    settings: DenoiserSettings,
    *,
    on_step: OnStep | None = None,
) -> PixelPrior:
    """A prior of pixels, the best on ``validation``; also saved to ``folder/prior``.

    Args:
        slices: to train on.
        validation: of other patients, to stop on and to measure the error at each noise level.
        folder: checkpoint, curves, pictures and the finished prior.
        settings: see `DenoiserSettings`.
        on_step: told step, loss and, when there are some, validation figures.
    """
    folder = as_path(folder, "folder")
    objective = pixel_prior_objective(slices, validation, settings)
    return train_denoiser(objective, slices, folder, settings, {}, on_step)


def pixel_prior_objective(
    slices: TrainingSlices, validation: TrainingSlices, settings: DenoiserSettings
) -> DiffusionObjective[PixelPrior]:
    """The prior at its start, its loss and data."""
    s = settings
    scheduler, unet = new_denoiser(s, s.patch_size**2, s.image_size // s.patch_size)
    config = PriorConfig(
        name=s.name,
        hu_range=s.hu_range,
        image_size=s.image_size,
        patch_size=s.patch_size,
        latent_mean=(),
        latent_std=(),
        denoising_rmse_hu=((1.0, 0.0),),
    )
    prior = PixelPrior(unet, scheduler, config).to(this_process().device)
    unet.requires_grad_(True)
    return DiffusionObjective(prior, unet, slices, validation, s)
