"""Train the diffusion model of a prior on the latents of an autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from diffusers import DDIMScheduler, UNet2DModel

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.errors import PriorError
from ctresample.learned.diffusion_prior import DiffusionPrior
from ctresample.learned.folders import weights_sha256
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.networks import downsampling
from ctresample.learned.prior_config import PriorConfig
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.training.autoencoder import load_trained_autoencoder
from ctresample.pipelines.training.conditioned_objective import ConditionedObjective, check_pools, made_conditioned
from ctresample.pipelines.training.diffusion_objective import DiffusionObjective
from ctresample.pipelines.training.latent_pool import LatentPool
from ctresample.pipelines.training.latent_scaling import latent_divisors
from ctresample.pipelines.training.prior_settings import DenoiserSettings, DiffusionSettings, PriorSettings
from ctresample.pipelines.training.processes import this_process
from ctresample.pipelines.training.progress import OnStep
from ctresample.pipelines.training.result import save_whole
from ctresample.pipelines.training.run import identity, train
from ctresample.pipelines.training.untrained_unet import untrained_unet

Note = Callable[[str], None]
Prior = TypeVar("Prior", bound=DiffusionPrior)


def train_prior(
    slices: TrainingSlices,
    validation: TrainingSlices,
    autoencoder: StrPath,
    folder: StrPath,
    settings: PriorSettings,
    *,
    on_step: OnStep | None = None,
    on_note: Note | None = None,
) -> LatentPrior:
    """A whole prior, the best on ``validation``; also saved to ``folder/prior``.

    On the scaled-linear schedule of latent diffusion (Rombach et al., CVPR 2022).

    Args:
        slices: to train on.
        validation: of other patients, to stop on and to measure the error at each noise level.
        autoencoder: folder that `train_autoencoder` saved ``vae`` in.
        folder: checkpoint, curves, pictures and the finished prior.
        settings: see `PriorSettings`.
        on_step: told step, loss and, when there are some, validation figures.
        on_note: told in a line what a user should know.
    """
    autoencoder = as_path(autoencoder, "autoencoder")
    folder = as_path(folder, "folder")
    check_pools(settings)
    objective = prior_objective(slices, validation, autoencoder, settings, on_note)
    origin = {"autoencoder_sha256": weights_sha256(autoencoder)}
    return train_denoiser(objective, slices, folder, settings, origin, on_step)


def prior_objective(
    slices: TrainingSlices,
    validation: TrainingSlices,
    autoencoder: Path,
    settings: PriorSettings,
    on_note: Note | None = None,
) -> DiffusionObjective[LatentPrior]:
    """The prior at its start, with latents normalised by the first pool's mean and spread; its loss and data."""
    s = settings
    vae = load_trained_autoencoder(autoencoder, s.hu_range, s.patch_size)
    n_channels = vae.config["latent_channels"]
    scheduler, unet = new_denoiser(s, n_channels, s.image_size // s.patch_size // downsampling(vae))
    config = PriorConfig(
        name=s.name,
        hu_range=s.hu_range,
        image_size=s.image_size,
        patch_size=s.patch_size,
        latent_mean=(0.0,) * n_channels,
        latent_std=(1.0,) * n_channels,
        denoising_rmse_hu=((1.0, 0.0),),
    )
    raw = LatentPrior(vae, unet, scheduler, config).to(this_process().device)
    raw.check_shape((s.image_size, s.image_size))
    latents = LatentPool(raw, slices, s).latents(0).float()
    exponent = 1.0 if s.latent_scaling == "channel" else s.latent_scaling_exponent
    divisors = latent_divisors(latents.std((0, 2, 3)), exponent)
    config = replace(config, latent_mean=tuple(latents.mean((0, 2, 3)).tolist()), latent_std=tuple(divisors.tolist()))
    if s.start_from:
        _start_from(unet, s.start_from, on_note)
    prior = LatentPrior(vae, unet, scheduler, config).to(this_process().device)
    if s.condition:
        prior = made_conditioned(prior, slices, s)
    prior.unet.requires_grad_(True)
    objective = ConditionedObjective if s.condition else DiffusionObjective
    return objective(prior, prior.unet, slices, validation, s)


def train_denoiser(
    objective: DiffusionObjective[Prior],
    slices: TrainingSlices,
    folder: Path,
    settings: DiffusionSettings,
    origin: dict[str, Any],
    on_step: OnStep | None,
    finish: Callable[[], UNet2DModel] | None = None,
    beside: UNet2DModel | None = None,
) -> Prior:
    """Train the denoiser of a prior, measure it, and save the prior to ``folder/prior``.

    Args:
        objective: the prior and its loss.
        slices: that it is trained on.
        folder: as in `train_prior`.
        settings: of the run.
        origin: what the prior is made from: its networks before. Part of the run's identity and of its provenance.
        on_step: as in `train_prior`.
        finish: makes an ordinary UNet of the trained network, where it is none.
        beside: a denoiser without condition that the finished prior has beside the trained one, which has one.
    """
    main = train(objective, folder, settings.run, identity(settings, slices.digest, **origin), on_step=on_step)
    prior = objective.prior
    made_from = {"data_digest": slices.digest, "patients": len(slices.patient_hashes)} | origin
    if settings.condition:
        made_from["condition"] = asdict(settings.condition)
    unet = finish() if finish else prior.unet
    if not main:
        return prior
    errors = prior.config.denoising_rmse_hu if beside else tuple((e.alpha_bar, e.rmse_hu) for e in objective.errors())
    config = replace(
        prior.config,
        denoising_rmse_hu=errors,
        provenance=prior.config.provenance | settings.provenance | made_from,
    )
    prior.unet, prior.config = unet.eval().requires_grad_(False), config
    whole = (
        cast(Prior, prior.with_denoisers(beside, prior.unet)) if beside and isinstance(prior, LatentPrior) else prior
    )
    save_whole(folder / "prior", whole.save_pretrained)
    return whole


def new_denoiser(s: DenoiserSettings, n_channels: int, size: int) -> tuple[DDIMScheduler, UNet2DModel]:
    """The scaled-linear schedule of latent diffusion, and an untrained UNet of ``(B, n_channels, size, size)``."""
    scheduler = DDIMScheduler(
        beta_start=0.0015,
        beta_end=0.0195,
        beta_schedule="scaled_linear",
        prediction_type=s.prediction_type,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    return scheduler, untrained_unet(s.channels, s.layers_per_block, n_channels, size, s.run.seed)


def _start_from(unet: UNet2DModel, name_or_folder: str, on_note: Note | None) -> None:
    """Take over the weights of another prior's UNet where their shapes agree; `PriorError` where none do."""
    other = LatentPrior.from_pretrained(name_or_folder).unet.state_dict()
    own = unet.state_dict()
    taken = {name: other[name] for name, value in own.items() if name in other and other[name].shape == value.shape}
    if not taken:
        raise PriorError(f"prior {name_or_folder} has no weights of the shapes of this UNet; choose other channels")
    unet.load_state_dict(taken, strict=False)
    if on_note:
        on_note(f"started from {name_or_folder}: {len(taken)} of {len(own)} weight arrays agree in shape")
