"""What a prior is made of, read from its networks and its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctresample.learned.folders import weights_sha256
from ctresample.learned.latent_prior import LatentPrior
from ctresample.pipelines.sampling import latent_shape


@dataclass(frozen=True)
class Part:
    """One network.

    Attributes:
        role: what it does.
        kind: its diffusers class.
        channels: width at each resolution.
        n_parameters: number of weights.
        megabytes: of its weights on disk, in millions of bytes.
    """

    role: str
    kind: str
    channels: tuple[int, ...]
    n_parameters: int
    megabytes: float


@dataclass(frozen=True)
class Anatomy:
    """A whole prior.

    Attributes:
        name: of the prior.
        parts: its networks.
        hu_range: HU at model values -1 and 1.
        image_size: rows and columns it was trained on.
        patch_size: pixels along a patch that is stacked into channels.
        latent_shape: channels, rows and columns of the latents.
        schedule: of the noise, entry by entry, and noise over signal at its last step.
        sha256: one hash over all weights.
        provenance: what the prior's own config says of its making.
        coarse_from_step: first step of the schedule that the coarse denoiser takes; None if there is none.
    """

    name: str
    parts: tuple[Part, ...]
    hu_range: tuple[float, float]
    image_size: int
    patch_size: int
    latent_shape: tuple[int, int, int]
    schedule: dict[str, Any]
    sha256: str
    provenance: dict[str, Any]
    coarse_from_step: int | None = None


def anatomy(prior: LatentPrior, folder: Path) -> Anatomy:
    """Describe a prior that was loaded from ``folder``."""
    config = prior.config
    schedule = {
        name: prior.scheduler.config[name]
        for name in ("num_train_timesteps", "beta_schedule", "beta_start", "beta_end", "prediction_type")
    }
    last = float(prior.alpha_bar[-1])
    schedule["noise_over_signal_at_the_end"] = ((1 - last) / last) ** 0.5
    parts = [_part("autoencoder", prior.vae, folder / "vae"), _part("denoiser", prior.unet, folder / "unet")]
    if prior.coarse:
        parts.append(_part("coarse denoiser", prior.coarse.unet, folder / "coarse"))
    if prior.scan_unet is not None:
        parts.append(_part("denoiser of scans", prior.scan_unet, folder / "scan_unet"))
    return Anatomy(
        name=config.name,
        parts=tuple(parts),
        hu_range=config.hu_range,
        image_size=config.image_size,
        patch_size=config.patch_size,
        latent_shape=latent_shape(prior, config.image_size),
        schedule=schedule,
        sha256=weights_sha256(folder),
        provenance=config.provenance,
        coarse_from_step=config.coarse_from_step,
    )


def _part(role: str, network: Any, folder: Path) -> Part:
    channels = network.config.get("block_out_channels") or network.config["encoder_block_out_channels"]
    return Part(
        role=role,
        kind=type(network).__name__,
        channels=tuple(channels),
        n_parameters=sum(parameter.numel() for parameter in network.parameters()),
        megabytes=sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6,
    )
