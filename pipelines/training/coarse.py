"""Train a coarse denoiser for the noisiest steps of a prior."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from diffusers import DDIMScheduler

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.errors import UsageError
from ctresample.learned.folders import find_prior, weights_sha256
from ctresample.learned.latent_prior import LatentPrior
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.denoising_error import denoising_error
from ctresample.pipelines.training.coarse_objective import CoarseObjective
from ctresample.pipelines.training.coarse_settings import CoarseSettings
from ctresample.pipelines.training.objective import random_numbers
from ctresample.pipelines.training.processes import this_process
from ctresample.pipelines.training.progress import OnStep
from ctresample.pipelines.training.result import save_whole
from ctresample.pipelines.training.run import identity, train
from ctresample.pipelines.training.untrained_unet import untrained_unet


def train_coarse(
    prior: StrPath,
    slices: TrainingSlices,
    validation: TrainingSlices,
    folder: StrPath,
    settings: CoarseSettings,
    *,
    on_step: OnStep | None = None,
) -> LatentPrior:
    """The prior with a coarse denoiser, the best on ``validation``; also saved to ``folder/prior``.

    Its other networks stay, and so does its schedule below ``settings.from_step``: what begins there, as the preset
    ``fast`` does, gives the same images as before.

    Args:
        prior: a bundled prior's name, or a folder. Where it has a coarse denoiser, that is replaced.
        slices: to train on.
        validation: of other patients.
        folder: checkpoint, curves, pictures and the finished prior.
        settings: see `CoarseSettings`.
        on_step: told step, loss and, when there are some, validation figures.
    """
    folder = as_path(folder, "folder")
    objective = coarse_objective(prior, slices, validation, settings)
    origin = {"prior_sha256": weights_sha256(find_prior(prior))}
    main = train(objective, folder, settings.run, identity(settings, slices.digest, **origin), on_step=on_step)
    model = objective.prior
    objective.network.eval().requires_grad_(False)
    if main:
        model.config = replace(
            model.config,
            denoising_rmse_hu=_errors(model, validation),
            provenance=model.config.provenance | {"coarse_data_digest": slices.digest},
        )
        save_whole(folder / "prior", model.save_pretrained)
    return model


def coarse_objective(
    prior: StrPath, slices: TrainingSlices, validation: TrainingSlices, settings: CoarseSettings
) -> CoarseObjective:
    """The prior with an untrained coarse denoiser, its loss and data; `UsageError` if it lacks ``from_step``."""
    s, old = settings, LatentPrior.from_pretrained(prior)
    if s.from_step >= len(old.alpha_bar):
        raise UsageError(
            f"training: from_step is {s.from_step}; prior {old.config.name} has {len(old.alpha_bar)} steps, expected "
            "fewer"
        )
    unet = untrained_unet(s.channels, s.layers_per_block, len(old.config.latent_mean), s.blocks, s.run.seed)
    model = LatentPrior(
        old.vae,
        old.unet,
        noisier_end(old.scheduler, s.from_step, s.noisiest),
        replace(old.config, coarse_from_step=s.from_step),
        unet,
        old.scan_unet,
    ).to(this_process().device)
    unet.requires_grad_(True)
    return CoarseObjective(model, slices, validation, s)


def _errors(prior: LatentPrior, validation: TrainingSlices) -> tuple[tuple[float, float], ...]:
    """Error at each noise level: of the noisiest steps as it is now, of the others as it was stated before.

    What ``fast`` takes from it is then the same, to the last bit, also if these are other validation slices.
    """
    config = prior.config
    images = validation.whole(config.image_size).clamp(*config.hu_range)
    cleanest = float(prior.alpha_bar[prior.unet_steps])
    measured = [(e.alpha_bar, e.rmse_hu) for e in denoising_error(prior, images, random_numbers(1))]
    noisiest = [pair for pair in measured if pair[0] <= cleanest]
    return (*noisiest, *(pair for pair in config.denoising_rmse_hu if pair[0] > cleanest))


def noisier_end(scheduler: DDIMScheduler, from_step: int, noisiest: float) -> DDIMScheduler:
    """The same schedule up to ``from_step``, and from there evenly, in the logarithm of noise over signal, to the end.

    The end of latent diffusion's own schedule leaves a trace of the slice: averaged over all latents, noise 84 times
    larger than a latent is smaller than the mean of a slice. Sampling starts without the trace that training saw (Lin
    et al., WACV 2024).

    Args:
        scheduler: with a rising noise level.
        from_step: last step to keep.
        noisiest: noise over signal at the last step; `UsageError` if it is less than at ``from_step``.
    """
    alpha_bar = scheduler.alphas_cumprod.double()
    kept = float(((1 - alpha_bar[from_step]) / alpha_bar[from_step]) ** 0.5)
    if not kept < noisiest < math.inf:
        raise UsageError(f"training: noisiest is {noisiest}; expected more than the {kept:.3g} of step {from_step}")
    n = len(alpha_bar) - from_step
    spread = torch.logspace(math.log10(kept), math.log10(noisiest), n, dtype=torch.float64)
    noisier = 1 / (1 + spread**2)
    before = torch.cat([alpha_bar[from_step - 1 : from_step], noisier[:-1]])
    # the betas below stay as they are, to the last bit
    betas = [*scheduler.betas[:from_step].tolist(), *(1 - noisier / before).tolist()]
    return DDIMScheduler.from_config(scheduler.config, trained_betas=betas)
