"""A diffusion prior of latents: an autoencoder, a denoiser and a noise schedule, all diffusers classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
import torch.nn.functional as F

from ctresample.choices import ModelKind
from ctresample.errors import PriorError
from ctresample.learned.coarse import CoarseDenoiser, load_coarse
from ctresample.learned.diffusion_prior import DiffusionPrior
from ctresample.learned.folders import find_prior, weights_sha256
from ctresample.learned.networks import (
    Autoencoder,
    downsampling,
    latent_channels,
    load_autoencoder,
    load_network,
    load_scheduler,
    reason_of,
)
from ctresample.learned.prior_config import PriorConfig
from ctresample.learned.save_network import save_network
from ctresample.paths import StrPath, as_path
from ctresample.units import hu_to_model, model_to_hu

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import DDIMScheduler, UNet2DModel


class LatentPrior(DiffusionPrior):
    """Encode, decode and denoise normalised latents of CT images in HU.

    Example:
        >>> prior = LatentPrior.from_pretrained("ct256")
        >>> z = prior.encode(torch.zeros(1, 1, 64, 64))
        >>> z.shape, prior.decode(z).shape
        (torch.Size([1, 12, 16, 16]), torch.Size([1, 1, 64, 64]))

    Args:
        vae: the autoencoder, on stacked patches of images in [-1, 1].
        unet: the denoiser of normalised latents.
        scheduler: holds the noise schedule and the kind of prediction.
        config: see `PriorConfig`.
        coarse: denoises in place of ``unet`` from the config's ``coarse_from_step`` on.
        scan_unet: denoises in place of ``unet`` where there is a condition; by default ``unet`` serves for both, if
            the config has a ``condition_spread``.
    """

    kind: ClassVar[ModelKind] = "latent prior"

    def __init__(
        self,
        vae: Autoencoder,
        unet: UNet2DModel,
        scheduler: DDIMScheduler,
        config: PriorConfig,
        coarse: UNet2DModel | None = None,
        scan_unet: UNet2DModel | None = None,
    ) -> None:
        conditioned = config.condition_spread is not None
        channels = unet.config["out_channels"]
        if scan_unet is not None and not conditioned:
            raise PriorError(
                f"prior {config.name}: there is a denoiser of scans (scan_unet), but no condition_spread in the "
                "config; expected both or neither"
            )
        _check_channels(config, "denoiser", unet, conditioned and scan_unet is None)
        if scan_unet is not None:
            _check_channels(config, "denoiser of scans", scan_unet, takes_condition=True)
            if scan_unet.config["out_channels"] != channels:
                raise PriorError(
                    f"prior {config.name}: its two denoisers give {channels} and {scan_unet.config['out_channels']} "
                    "channels; these must agree"
                )
        if not channels == latent_channels(vae) == len(config.latent_mean) == len(config.latent_std):
            raise PriorError(
                f"prior {config.name}: the denoiser takes {channels} latent channels, the autoencoder makes "
                f"{latent_channels(vae)} and the config describes {len(config.latent_mean)}; these must agree"
            )
        colours = vae.config["in_channels"]
        # models of natural images see grey as red, green and blue alike
        self._rgb = colours == 3 and config.patch_size == 1
        if colours != vae.config["out_channels"] or (colours != config.patch_size**2 and not self._rgb):
            raise PriorError(
                f"prior {config.name}: the autoencoder takes {colours} channels and gives "
                f"{vae.config['out_channels']}, but patches of {config.patch_size} x {config.patch_size} pixels have "
                f"{config.patch_size**2}; these must agree"
            )
        super().__init__(unet, scheduler, config)
        self.coarse = self._coarse_denoiser(coarse)
        self.scan_unet = scan_unet.eval().requires_grad_(False) if scan_unet is not None else None
        self.vae = vae.eval().requires_grad_(False)
        self._mean = torch.tensor(config.latent_mean).view(1, -1, 1, 1)
        self._std = torch.tensor(config.latent_std).view(1, -1, 1, 1)

    def _coarse_denoiser(self, unet: UNet2DModel | None) -> CoarseDenoiser | None:
        step, n_steps = self.config.coarse_from_step, len(self.alpha_bar)
        if unet is None and step is None:
            return None
        if unet is None or step is None or not 0 < step < n_steps:
            there = "missing" if unet is None else "there"
            raise PriorError(
                f"prior {self.config.name}: coarse_from_step is {step} and a coarse denoiser is {there}; expected both "
                f"or neither, and a step from 1 to {n_steps - 1}"
            )
        if unet.config["in_channels"] != len(self.config.latent_mean):
            raise PriorError(
                f"prior {self.config.name}: the coarse denoiser takes {unet.config['in_channels']} latent channels, "
                f"the config describes {len(self.config.latent_mean)}; these must agree"
            )
        return CoarseDenoiser(unet, step)

    def with_denoisers(
        self, unet: UNet2DModel, scan_unet: UNet2DModel | None = None, *, config: PriorConfig | None = None
    ) -> LatentPrior:
        """The same autoencoder, schedule and coarse denoiser with other denoisers, and perhaps another config.

        Raises:
            PriorError: they do not fit.
        """
        coarse = self.coarse.unet if self.coarse else None
        return type(self)(self.vae, unet, self.scheduler, config or self.config, coarse, scan_unet).to(self.device)

    @classmethod
    def from_pretrained(cls, name_or_folder: StrPath, device: torch.device | str = "cpu") -> LatentPrior:
        """Load a bundled prior by name, or one from a folder that `save_pretrained` wrote.

        Raises:
            PriorError: no such prior, or one that is incomplete.
        """
        from diffusers import UNet2DModel

        folder = find_prior(name_or_folder)
        config = PriorConfig.load(folder)
        if not config.latent_mean and not (folder / "vae").is_dir():
            raise PriorError(f"{folder} is a prior of pixels; expected a latent one, with an autoencoder")
        try:
            parts: dict[str, Any] = {
                "vae": load_autoencoder(folder / "vae"),
                "unet": load_network(UNet2DModel, folder / "unet"),
                "scheduler": load_scheduler(folder / "scheduler"),
            }
            if (folder / "scan_unet").is_dir():
                parts["scan_unet"] = load_network(UNet2DModel, folder / "scan_unet")
        except (OSError, ValueError, RuntimeError) as error:
            raise PriorError(
                f"{folder} cannot be loaded as a prior (vae, unet, scan_unet, scheduler): {reason_of(error)}"
            ) from None
        prior = cls(**parts, config=config, coarse=load_coarse(folder, config)).to(device)
        prior.sha256 = weights_sha256(folder)
        return prior

    def save_pretrained(self, folder: StrPath) -> None:
        """Write its networks (half precision safetensors), each in a folder, ``scheduler/`` and ``prior.json``."""
        folder = as_path(folder, "folder")
        super().save_pretrained(folder)
        save_network(self.vae, folder / "vae")
        if self.coarse:
            save_network(self.coarse.unet, folder / "coarse")
        if self.scan_unet is not None:
            save_network(self.scan_unet, folder / "scan_unet")

    def to(self, device: torch.device | str) -> Self:
        """Move all networks; returns self."""
        self.vae.to(device)
        if self.coarse:
            self.coarse.unet.to(device)
        if self.scan_unet is not None:
            self.scan_unet.to(device)
        self._mean, self._std = self._mean.to(device), self._std.to(device)
        return super().to(device)

    @property
    def conditioned_unet(self) -> UNet2DModel:
        """The denoiser that takes a condition, of a prior that `is_conditioned`."""
        return self.unet if self.scan_unet is None else self.scan_unet

    @property
    def size_multiple(self) -> int:
        """Image sides must be multiples of this: the product of all down-samplings."""
        blocks = self.config.patch_size * self.coarse.side_multiple if self.coarse else 1
        return downsampling(self.vae) * max(blocks, super().size_multiple)  # all are powers of two times patch_size

    @property
    def unet_steps(self) -> int:
        """Steps of the schedule that the UNet denoises, from the cleanest on; the others are the coarse denoiser's."""
        return self.coarse.from_step if self.coarse else super().unet_steps

    def predict(
        self, z_t: torch.Tensor, t: int, condition: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As that of all priors; without a condition, above the UNet's steps by the coarse denoiser."""
        if self.coarse is None or t < self.coarse.from_step or condition is not None:
            return super().predict(z_t, t, condition)
        alpha_bar = float(self.alpha_bar[t])
        z_0 = self.coarse.estimate(z_t, alpha_bar)
        return z_0, (z_t - alpha_bar**0.5 * z_0) / (1 - alpha_bar) ** 0.5

    def encode(self, hu: torch.Tensor) -> torch.Tensor:
        """Normalised latents ``(B, C, h, w)`` of images ``(B, 1, H, W)`` in HU."""
        x = F.pixel_unshuffle(hu_to_model(hu, self.config.hu_range), self.config.patch_size)
        x = x.expand(-1, 3, -1, -1) if self._rgb else x
        encoded = self.vae.encode(x)
        z = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
        return (z - self._mean) / self._std

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Images ``(B, 1, H, W)`` in HU of normalised latents."""
        x = self.vae.decode(z * self._std + self._mean).sample
        x = x.mean(1, keepdim=True) if self._rgb else x
        return model_to_hu(F.pixel_shuffle(x, self.config.patch_size), self.config.hu_range)


def _check_channels(config: PriorConfig, what: str, unet: UNet2DModel, takes_condition: bool) -> None:
    taken, given = unet.config["in_channels"], unet.config["out_channels"]
    if taken != (2 if takes_condition else 1) * given:
        raise PriorError(
            f"prior {config.name}: the {what} takes {taken} channels and gives {given}; expected "
            f"{'twice as many, for its condition' if takes_condition else 'the same number'}, as its condition_spread "
            f"is {config.condition_spread}"
        )
