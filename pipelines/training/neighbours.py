"""Train a denoiser of neighbours for a prior."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import UNet2DModel

from ctresample.data_tools.training_volumes import TrainingVolumes
from ctresample.learned.folders import find_prior, weights_sha256
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.neighbour_denoiser import SHOWN
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.training.neighbour_objective import NeighbourObjective
from ctresample.pipelines.training.neighbour_settings import NeighbourSettings
from ctresample.pipelines.training.processes import this_process
from ctresample.pipelines.training.progress import OnStep
from ctresample.pipelines.training.result import save_whole
from ctresample.pipelines.training.run import identity, train
from ctresample.pipelines.training.scanned_volumes import scanned_volumes


def train_neighbours(
    prior: StrPath,
    volumes: TrainingVolumes,
    validation: TrainingVolumes,
    folder: StrPath,
    settings: NeighbourSettings,
    *,
    on_step: OnStep | None = None,
    on_scan: Callable[[float], None] | None = None,
) -> LatentPrior:
    """The prior with a denoiser of neighbours, the best on ``validation``; also saved to ``folder/prior``.

    All its other networks stay, so that single slices give the same images as before. Where it has such a network of
    the same shape, the training goes on from that.

    Args:
        prior: a bundled prior's name, or a folder.
        volumes: to train on.
        validation: of other patients.
        folder: checkpoint, curves, images of scans and the finished prior.
        settings: see `NeighbourSettings`.
        on_step: told step, loss and, when there are some, validation figures.
        on_scan: told the fraction of the volumes that are scanned, before the first step.
    """
    folder = as_path(folder, "folder")
    objective = neighbour_objective(prior, volumes, validation, settings, folder / "scans", on_scan)
    origin = {"prior_sha256": weights_sha256(find_prior(prior))}
    main = train(objective, folder, settings.run, identity(settings, volumes.digest, **origin), on_step=on_step)
    model = objective.prior
    objective.network.eval().requires_grad_(False)
    if main:
        facts = {"neighbours": f"trained on {volumes.summary}", "neighbours_data_digest": volumes.digest}
        model.config = replace(model.config, provenance=model.config.provenance | facts)
        save_whole(folder / "prior", model.save_pretrained)
    return model


def neighbour_objective(
    prior: StrPath,
    volumes: TrainingVolumes,
    validation: TrainingVolumes,
    settings: NeighbourSettings,
    folder: Path | None,
    on_scan: Callable[[float], None] | None = None,
) -> NeighbourObjective:
    """The prior with the network that is to be trained, its loss and data.

    Args:
        prior: a bundled prior's name, or a folder.
        volumes: to train on.
        validation: of other patients.
        settings: see `NeighbourSettings`.
        folder: for the images of scans; None for none of them.
        on_scan: told the fraction done of scanning.
    """
    old, s = LatentPrior.from_pretrained(prior), settings
    unet = _network(len(old.config.latent_mean), s)
    if old.neighbours and old.neighbours.unet.config["block_out_channels"] == list(s.channels):
        unet.load_state_dict(old.neighbours.unet.state_dict())
    model = LatentPrior(
        old.vae,
        old.unet,
        old.scheduler,
        replace(old.config, neighbour_steps=min(s.n_steps, old.unet_steps)),
        old.coarse.unet if old.coarse else None,
        old.scan_unet,
        unet,
    ).to(this_process().device)
    unet.requires_grad_(True)
    size = model.config.image_size
    held_out = scanned_volumes(validation.volumes, size, s, folder and folder / "validation")
    scans = scanned_volumes(volumes.volumes, size, s, folder and folder / "training", on_scan)
    return NeighbourObjective(model, scans, held_out, s)


def _network(n_latents: int, s: NeighbourSettings) -> UNet2DModel:
    """A small UNet without attention, for what it is to tell lies beside it; it begins by correcting nothing."""
    n = len(s.channels)
    with torch.random.fork_rng():
        torch.manual_seed(s.run.seed)
        unet = UNet2DModel(
            in_channels=SHOWN * n_latents,
            out_channels=n_latents,
            block_out_channels=tuple(s.channels),
            layers_per_block=s.layers_per_block,
            down_block_types=("DownBlock2D",) * n,
            up_block_types=("UpBlock2D",) * n,
            add_attention=False,
            norm_num_groups=math.gcd(32, *s.channels),
        )
    torch.nn.init.zeros_(unet.conv_out.weight)
    torch.nn.init.zeros_(unet.conv_out.bias)
    return unet
