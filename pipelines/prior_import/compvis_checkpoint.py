"""A checkpoint of CompVis latent diffusion (Rombach et al., CVPR 2022): first stage and UNet in one file or two."""

from __future__ import annotations

from pathlib import Path

import torch

from ctresample.errors import PriorError
from ctresample.learned.networks import latent_channels
from ctresample.pipelines.prior_import.compvis_autoencoder import convert_autoencoder
from ctresample.pipelines.prior_import.compvis_unet import convert_unet
from ctresample.pipelines.prior_import.foreign_model import ForeignModel
from ctresample.pipelines.prior_import.original_config import OriginalConfig
from ctresample.pipelines.prior_import.renaming import Weights
from ctresample.pipelines.prior_import.schedule import ddim_scheduler
from ctresample.pipelines.prior_import.weights_file import read_weights

_UNET = "model.diffusion_model."
_FIRST_STAGE = "first_stage_model."
_PREDICTIONS = {"eps": "epsilon", "v": "v_prediction", "x0": "sample"}


def read_compvis_checkpoint(path: Path, first_stage: Path | None, config_path: Path | None) -> ForeignModel:
    """The model of a checkpoint; of the UNet the moving average, where it is there.

    Args:
        path: checkpoint of the diffusion model.
        first_stage: checkpoint of the autoencoder, where ``path`` lacks it.
        config_path: the YAML file it was trained by, for what the weights do not say.

    Raises:
        PriorError: a file that cannot be read, lacks a part or holds a model that a prior cannot use.
    """
    weights, config = read_weights(path), OriginalConfig(config_path)
    unet_weights = _unet_weights(weights)
    if not unet_weights:
        raise PriorError(f"{path} holds no UNet of latent diffusion: no weight's name begins with {_UNET}")
    stage = _part(weights, _FIRST_STAGE)
    if first_stage:
        stage = read_weights(first_stage)
        stage = _part(stage, _FIRST_STAGE) or stage
    if not stage:
        raise PriorError(f"{path} holds no first stage ({_FIRST_STAGE}...); name its checkpoint with --first-stage")
    latent_size = int(
        config.get("model.params.unet_config.params.image_size", 0)
        or config.get("model.params.image_size", 64, "is 64 (images of 256 x 256 at factor 4)")
    )
    try:
        vae = convert_autoencoder(stage)
        unet = convert_unet(unet_weights, config, latent_size)
    except PriorError as error:
        raise PriorError(f"{path}: {error}") from None
    if "scale_factor" in weights:
        scale = float(weights["scale_factor"])
    else:
        scale = float(config.get("model.params.scale_factor", 1.0, "is 1"))
    kind = config.get("model.params.parameterization", "eps", "is eps")
    n_channels = latent_channels(vae)
    return ForeignModel(
        vae=vae,
        unet=unet,
        scheduler=ddim_scheduler(_betas(weights, config), _PREDICTIONS.get(kind, str(kind)), str(path)),
        latent_mean=(0.0,) * n_channels,
        latent_std=(1 / scale,) * n_channels,
        latent_size=latent_size,
        kind=f"CompVis latent diffusion with {type(vae).__name__}",
        files=(path, first_stage) if first_stage else (path,),
        assumed=tuple(config.assumed),
    )


def _part(weights: Weights, prefix: str) -> Weights:
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def _unet_weights(weights: Weights) -> Weights:
    """Weights of the UNet: for the moving average, a name is written without its dots."""
    average = _part(weights, "model_ema.")
    names = {key: key.removeprefix("model.").replace(".", "") for key in weights if key.startswith(_UNET)}
    return {key.removeprefix(_UNET): average.get(flat, weights[key]) for key, flat in names.items()}


def _betas(weights: Weights, config: OriginalConfig) -> torch.Tensor:
    if "betas" in weights:
        return weights["betas"].float()
    place = "model.params"
    schedule = config.get(f"{place}.beta_schedule", "linear")
    if schedule != "linear":
        raise PriorError(f"the checkpoint has no betas and its schedule is {schedule!r}; expected linear")
    first, last = (float(config.get(f"{place}.linear_{end}")) for end in ("start", "end"))
    # "linear" is linear in the square root there
    return torch.linspace(first**0.5, last**0.5, int(config.get(f"{place}.timesteps", 1000))) ** 2
