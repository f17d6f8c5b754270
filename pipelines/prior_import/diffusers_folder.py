"""A diffusers pipeline's folder: UNet, scheduler and (of a latent model) autoencoder, each in a folder of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DDPMScheduler, UNet2DModel

from ctresample.errors import PriorError
from ctresample.learned.networks import Autoencoder, latent_channels, load_autoencoder, load_network, reason_of
from ctresample.pipelines.prior_import.foreign_model import ForeignModel
from ctresample.pipelines.prior_import.schedule import ddim_scheduler
from ctresample.pipelines.prior_import.weights_file import check_safe

AUTOENCODER_FOLDERS = ("vae", "vqvae", "autoencoder")


def read_diffusers_folder(folder: Path) -> ForeignModel:
    """The model of a pipeline's folder; code that may lie in it, and the pipeline's own class, are left alone.

    Raises:
        PriorError: a part is missing, broken or of a kind that a prior cannot use.
    """
    missing = [part for part in ("unet", "scheduler") if not (folder / part).is_dir()]
    found = [folder / part for part in AUTOENCODER_FOLDERS if (folder / part).is_dir()]
    if missing or len(found) > 1:
        problem = f"no {missing[0]}" if missing else "more than one autoencoder"
        raise PriorError(
            f"{folder} is no diffusion pipeline: it has {problem}; expected unet, scheduler and, of a latent model, "
            f"one of {', '.join(AUTOENCODER_FOLDERS)}"
        )
    unet_folder = folder / "unet"
    unet_config = _config(unet_folder / "config.json")
    _check_unconditional(unet_folder, unet_config)
    files = tuple(path for part in (*found, unet_folder) for path in _weights(part))
    vae = load_autoencoder(found[0]) if found else None
    try:
        unet = load_network(UNet2DModel, unet_folder)
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise PriorError(f"{unet_folder} cannot be loaded as a UNet2DModel: {reason_of(error)}") from None
    scheduler_path = folder / "scheduler" / "scheduler_config.json"
    mean, std = _normalisation(_config(found[0] / "config.json"), vae, found[0]) if vae else ((), ())
    size = unet.config["sample_size"]
    if not size:
        raise PriorError(
            f"{unet_folder / 'config.json'} has no sample_size; add the rows and columns of the latents, or the "
            "images, that it was trained on"
        )
    scheduler_config = _config(scheduler_path)
    return ForeignModel(
        vae=vae,
        unet=unet,
        scheduler=_scheduler(scheduler_config, scheduler_path),
        latent_mean=mean,
        latent_std=std,
        latent_size=size if isinstance(size, int) else size[0],
        kind="diffusers pipeline of "
        f"{f'{type(vae).__name__}, ' if vae else ''}UNet2DModel and {scheduler_config.get('_class_name')}",
        files=files,
    )


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PriorError(f"{path} cannot be read ({type(error).__name__}); expected a config of diffusers") from None
    if not isinstance(config, dict):
        raise PriorError(f"{path} is no config of diffusers; expected names and values")
    return config


def _check_unconditional(folder: Path, config: dict[str, Any]) -> None:
    name = config.get("_class_name")
    if name != "UNet2DModel":
        raise PriorError(
            f"{folder} is a {name}; expected a UNet2DModel: a prior is given no text or other condition"
            if name
            else f"{folder / 'config.json'} names no class; expected UNet2DModel"
        )
    if config.get("num_class_embeds") or config.get("class_embed_type"):
        raise PriorError(
            f"{folder} is conditioned on classes; expected an unconditional model: a prior is given no class"
        )
    if config.get("out_channels") != config.get("in_channels"):
        raise PriorError(
            f"{folder} takes {config.get('in_channels')} channels and gives {config.get('out_channels')}; expected as "
            "many: models with another condition, or that also learn the variance, cannot be used"
        )


def _weights(folder: Path) -> list[Path]:
    """The files that diffusers will read, which prefers safetensors; pickles are looked through first."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        files = sorted(folder.glob("*.bin"))
        for path in files:
            check_safe(path)
    if not files:
        raise PriorError(f"{folder} holds no weights; expected diffusion_pytorch_model.safetensors")
    return files


def _normalisation(
    written: dict[str, Any], vae: Autoencoder, folder: Path
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation by which the pipeline's latents ``(z - mean) / std`` come from the autoencoder's.

    A pipeline has ``(z - shift_factor) * scaling_factor``, or ``(z - latents_mean) / latents_std * scaling_factor``.
    """
    if written["_class_name"] == "VQModel" and "scaling_factor" not in written:
        raise PriorError(
            f"{folder / 'config.json'} has no scaling_factor, and what that means for a VQModel differs between "
            'versions of diffusers; add "scaling_factor": 1.0 for latents used as they are'
        )
    config, n_channels = vae.config, latent_channels(vae)
    scale = config["scaling_factor"]
    mean = config.get("latents_mean") or [config.get("shift_factor") or 0.0] * n_channels
    std = config.get("latents_std") or [1.0] * n_channels
    if not isinstance(scale, int | float) or not scale > 0:
        raise PriorError(f"{folder / 'config.json'} has scaling_factor {scale!r}; expected a number above 0")
    return tuple(map(float, mean)), tuple(float(s) / scale for s in std)


def _scheduler(config: dict[str, Any], path: Path) -> diffusers.DDIMScheduler:
    kind: Any = getattr(diffusers, str(config.get("_class_name")), None)
    if not (isinstance(kind, type) and issubclass(kind, diffusers.SchedulerMixin)):
        # a pipeline's own class: its schedule is known if it is written out
        if "beta_schedule" not in config and not config.get("trained_betas"):
            raise PriorError(
                f"{path} is a {config.get('_class_name')} without beta_schedule; expected a known scheduler"
            )
        kind = DDPMScheduler
    try:
        source = kind.from_config(config)
    except (ValueError, TypeError, NotImplementedError, ImportError) as error:
        raise PriorError(f"{path} cannot be used: {reason_of(error)}") from None
    if not isinstance(getattr(source, "alphas_cumprod", None), torch.Tensor):
        raise PriorError(
            f"{path} is a {type(source).__name__}; expected a scheduler that adds noise by betas (DDPM, DDIM, PNDM, "
            "DPM-Solver ...)"
        )
    made = ddim_scheduler(source.betas, source.config.get("prediction_type", "epsilon"), str(path))
    if not torch.allclose(made.alphas_cumprod, source.alphas_cumprod, rtol=1e-4, atol=1e-7):
        raise PriorError(f"{path}: its alphas_cumprod do not follow from its betas; expected a standard schedule")
    return made
