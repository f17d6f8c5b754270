"""A foreign model made into a prior: read, measured on slices it has not seen, and written whole."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import torch

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.errors import PriorError, UsageError
from ctresample.files import whole_folder
from ctresample.learned.coarse import load_coarse
from ctresample.learned.diffusion_prior import DiffusionPrior
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.networks import downsampling
from ctresample.learned.pixel_prior import PixelPrior
from ctresample.learned.prior_config import CONFIG_NAME, PriorConfig
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.denoising_error import denoising_error
from ctresample.pipelines.prior_import.compvis_checkpoint import read_compvis_checkpoint
from ctresample.pipelines.prior_import.diffusers_folder import read_diffusers_folder
from ctresample.pipelines.prior_import.foreign_model import ForeignModel
from ctresample.units import check_hu_range

MEASURED_PIXELS = 16 * 256**2
"""Pixels that the error is measured on, in whole slices; more change the figures little and take long."""

_NO_LICENCE = "that of the source, which ctresample does not know"
_READING, _MEASURING = 0.1, 0.2  # fractions done when these begin
_ODD_SPREAD = 3.0  # a latent space meant to have unit variance is not this far from it


def import_prior(
    source: StrPath,
    out: StrPath,
    validation: StrPath,
    *,
    hu_range: tuple[float, float] | None = None,
    name: str | None = None,
    first_stage: StrPath | None = None,
    original_config: StrPath | None = None,
    device: torch.device | str = "cpu",
    on_progress: Callable[[float, str], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> PriorConfig:
    """Write a prior's folder from a diffusers pipeline's or a CompVis latent diffusion checkpoint.

    Args:
        source: folder with ``unet``, ``scheduler`` and an autoencoder; without one it is a prior of pixels. Or the
            file of a latent diffusion checkpoint.
        out: the prior's folder, missing or empty.
        validation: CT slices that the model was not trained on, see `TrainingSlices.read`.
        hu_range: HU that the model was trained to see as -1 and 1; a source with a ``prior.json`` says it itself.
        name: of the prior; by default that of ``source``.
        first_stage: checkpoint of the autoencoder, for a checkpoint without one.
        original_config: the YAML file that a checkpoint was trained by.
        device: where to measure.
        on_progress: told the fraction done and what is being done.
        on_note: told what was assumed, and what looks odd.

    Returns:
        The prior's config as written.

    Raises:
        PriorError: a model that cannot be read or cannot be a prior.
        UsageError: no HU range, or options that do not go together.
        OutputError: ``out`` is not empty or cannot be written.
    """
    source = as_path(source, "source")
    out = as_path(out, "out")
    validation = as_path(validation, "validation")
    first_stage = None if first_stage is None else as_path(first_stage, "first_stage")
    original_config = None if original_config is None else as_path(original_config, "original_config")
    tell = on_progress or (lambda _fraction, _step: None)
    known = PriorConfig.load(source) if (source / CONFIG_NAME).is_file() else None
    hu_range = _hu_range(source, hu_range, known)
    if source.is_dir() and (first_stage or original_config):
        raise UsageError(f"{source} is a folder: leave out --first-stage and --config, which are for checkpoints")
    with whole_folder(out) as partial:
        if source.is_dir():
            model = read_diffusers_folder(source)
        else:
            model = read_compvis_checkpoint(source, first_stage, original_config)
        prior = _unmeasured(model, hu_range, name or (known.name if known else source.stem), known, source).to(device)
        for line in model.assumed:
            if on_note:
                on_note(f"not said by the checkpoint, so taken as usual: {line}")
        tell(_READING, "reading the validation slices")
        images = _images(TrainingSlices.read(validation), prior.config.image_size, hu_range)
        spread = _latent_spread(prior, images)
        if on_note and model.vae and not 1 / _ODD_SPREAD < spread < _ODD_SPREAD:
            on_note(
                f"the latents of the validation slices have standard deviation {spread:.3g} where the denoiser expects "
                "about 1: check --hu-range and the scaling factor of the autoencoder"
            )
        errors = denoising_error(
            prior,
            images,
            torch.Generator().manual_seed(1),
            batch_size=2,
            on_progress=lambda fraction: tell(_MEASURING + (1 - _MEASURING) * fraction, "measuring its error"),
        )
        if not all(math.isfinite(error.rmse_hu) for error in errors):
            raise PriorError(f"{source}: the model's images of the validation slices are not finite; is it trained?")
        prior.config = replace(
            prior.config,
            denoising_rmse_hu=tuple((e.alpha_bar, e.rmse_hu) for e in errors),
            provenance=prior.config.provenance | {"validation slices measured": str(len(images))},
        )
        prior.to("cpu").save_pretrained(partial)
    return prior.config


def _hu_range(source: Path, given: tuple[float, float] | None, known: PriorConfig | None) -> tuple[float, float]:
    if known and given and check_hu_range(given) != known.hu_range:
        raise UsageError(f"{source / CONFIG_NAME} has the HU range {known.hu_range}; leave out --hu-range")
    if known:
        return known.hu_range
    if given is None:
        raise UsageError(
            f"{source} does not say which HU are -1 and 1 to its model; add --hu-range LOW HIGH, as its training had it"
        )
    return check_hu_range((float(given[0]), float(given[1])))


def _unmeasured(
    model: ForeignModel, hu_range: tuple[float, float], name: str, known: PriorConfig | None, source: Path
) -> LatentPrior | PixelPrior:
    coarse = load_coarse(source, known) if known else None
    for what, network in (("autoencoder", model.vae), ("UNet", model.unet), ("coarse denoiser", coarse)):
        if network and not all(bool(weight.half().isfinite().all()) for weight in network.parameters()):
            raise PriorError(
                f"{source}: weights of the {what} are not finite in half precision; is the training sound?"
            )
    patch_size = known.patch_size if known else 1
    config = PriorConfig(
        name=name,
        hu_range=hu_range,
        image_size=model.latent_size * (downsampling(model.vae) if model.vae else 1) * patch_size,
        patch_size=patch_size,
        latent_mean=known.latent_mean if known else model.latent_mean,
        latent_std=known.latent_std if known else model.latent_std,
        denoising_rmse_hu=((1.0, 0.0),),
        coarse_from_step=known.coarse_from_step if known else None,
        provenance=(known.provenance if known else {})
        | {
            "imported from": f"{source.name}: {model.kind}",
            "imported weights sha256": _sha256(model.files),
            "licence": known.provenance.get("licence", _NO_LICENCE) if known else _NO_LICENCE,
        }
        | ({"assumed": "; ".join(model.assumed)} if model.assumed else {}),
    )
    prior: LatentPrior | PixelPrior
    if model.vae:
        prior = LatentPrior(model.vae, model.unet, model.scheduler, config, coarse)
    else:
        prior = PixelPrior(model.unet, model.scheduler, config)
    if config.image_size % prior.size_multiple:
        size, multiple = model.latent_size, prior.size_multiple * model.latent_size // config.image_size
        raise PriorError(
            f"{source}: its latents are said to be {size} x {size}, but the UNet makes them {multiple} times smaller; "
            f"expected a multiple of {multiple} as sample_size (of a checkpoint's config: image_size)"
        )
    return prior


def _images(slices: TrainingSlices, size: int, hu_range: tuple[float, float]) -> torch.Tensor:
    """Some images ``(B, 1, size, size)`` in HU, evenly spread over the slices; see `MEASURED_PIXELS`."""
    n = min(max(1, MEASURED_PIXELS // size**2), len(slices.hu))
    chosen = torch.linspace(0, len(slices.hu) - 1, n).round().long().tolist()
    return slices.whole(size, chosen).clamp(*hu_range)


@torch.no_grad()
def _latent_spread(prior: DiffusionPrior, images: torch.Tensor) -> float:
    return float(prior.encode(images[:: max(1, len(images) // 4)].to(prior.device)).std())


def _sha256(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
