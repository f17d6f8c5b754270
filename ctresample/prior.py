"""Diffusion priors of diffusers classes: what all have in common, and the latent one with its autoencoder."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F

from ctresample.choices import ModelKind
from ctresample.coarse import CoarseDenoiser
from ctresample.conditioning import estimate_around
from ctresample.errors import PriorError
from ctresample.networks import (
    Autoencoder,
    downsampling,
    latent_channels,
    load_autoencoder,
    load_network,
    load_scheduler,
    reason_of,
)
from ctresample.paths import StrPath, as_path
from ctresample.prior_config import CONFIG_NAME, PriorConfig
from ctresample.units import hu_to_model, model_to_hu

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import DDIMScheduler, UNet2DModel

BUNDLED = Path(__file__).parent / "priors"


class DiffusionPrior:
    """A denoiser of noisy ``z_t = sqrt(alpha_bar) z_0 + sqrt(1 - alpha_bar) epsilon``, and what ``z`` is of an image.

    Args:
        unet: the denoiser.
        scheduler: holds the noise schedule and the kind of prediction.
        config: see `PriorConfig`.
    """

    kind: ClassVar[ModelKind]
    sha256: str | None = None  # over the weights of one that was loaded, for provenance

    def __init__(self, unet: UNet2DModel, scheduler: DDIMScheduler, config: PriorConfig) -> None:
        self.unet = unet.eval().requires_grad_(False)
        self.scheduler, self.config = scheduler, config
        self.alpha_bar: torch.Tensor = scheduler.alphas_cumprod.double()
        self._steps = torch.arange(len(self.alpha_bar))  # on the device, where a number would be sent at every pass
        self.device = torch.device("cpu")

    def encode(self, hu: torch.Tensor) -> torch.Tensor:
        """``z`` of images ``(B, 1, H, W)`` in HU."""
        raise NotImplementedError

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Images ``(B, 1, H, W)`` in HU of ``z``."""
        raise NotImplementedError

    @property
    def size_multiple(self) -> int:
        """Image sides must be multiples of this: the product of all down-samplings."""
        halvings = len(self.unet.config["block_out_channels"]) - 1
        return self.config.patch_size * int(2**halvings)

    @property
    def unet_steps(self) -> int:
        """Steps of the schedule that the UNet denoises, from the cleanest on."""
        return len(self.alpha_bar)

    @property
    def name(self) -> str:
        """As its config calls it."""
        return self.config.name

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """`PriorError` if the networks cannot take images of ``(rows, columns)``; those of a volume are padded."""
        if len(shape) == 2 and any(side % self.size_multiple for side in shape):
            raise PriorError(
                f"prior {self.config.name} takes images whose sides are multiples of {self.size_multiple}; the image "
                f"grid is {shape[0]} x {shape[1]}; choose another size"
            )

    @property
    def is_conditioned(self) -> bool:
        """Whether the denoiser also takes the latents of an image that agrees with the measurement."""
        return self.config.condition_spread is not None

    def predict(
        self, z_t: torch.Tensor, t: int, condition: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tweedie's estimate of the clean ``z`` and the noise, from the noisy one at schedule step ``t``.

        Differentiable with respect to ``z_t``, as `encode` and `decode` are with respect to what they take.

        Args:
            z_t: noisy ``(B, C, h, w)``.
            t: step of the schedule.
            condition: `encode` of images that agree with the measurement, of the shape of ``z_t``; only for a prior
                that `is_conditioned`, which without it is a prior of images alone.

        Returns:
            ``(z_0, epsilon)`` with ``z_t = sqrt(alpha_bar) z_0 + sqrt(1 - alpha_bar) epsilon``.
        """
        if condition is not None:
            alpha_bar = float(self.alpha_bar[t])
            z_0 = self._around(condition, z_t, t, alpha_bar)
            return z_0, (z_t - alpha_bar**0.5 * z_0) / (1 - alpha_bar) ** 0.5
        out = self._asked(torch.cat([z_t, torch.zeros_like(z_t)], 1) if self.is_conditioned else z_t, t)
        a, s = float(self.alpha_bar[t]) ** 0.5, float(1 - self.alpha_bar[t]) ** 0.5
        kind = self.scheduler.config["prediction_type"]
        if kind == "v_prediction":  # Salimans and Ho, ICLR 2022: v = a epsilon - s z_0
            return a * z_t - s * out, a * out + s * z_t
        if kind == "sample":
            return out, (z_t - a * out) / s
        return (z_t - s * out) / a, out

    def estimate(self, condition: torch.Tensor) -> torch.Tensor:
        """The clean ``z`` expected from the condition alone, without noise: see `predict`."""
        return self._around(condition, torch.zeros_like(condition), len(self.alpha_bar) - 1, 0.0)

    def _around(self, condition: torch.Tensor, z_t: torch.Tensor, t: int, alpha_bar: float) -> torch.Tensor:
        spread = self.config.condition_spread
        if spread is None:
            raise PriorError(f"prior {self.config.name} takes no condition; use one that was trained on scans")
        return estimate_around(z_t, condition, spread, alpha_bar, self._asked(torch.cat([z_t, condition], 1), t))

    def _asked(self, seen: torch.Tensor, t: int) -> torch.Tensor:
        out: torch.Tensor = self.unet(seen, self._steps[t]).sample
        return out

    def spread_hu(self, t: int) -> float:
        """How far the decoded estimate at step ``t`` lies from the truth in HU: the error seen on validation."""
        alpha_bar, rmse_hu = zip(*sorted(self.config.denoising_rmse_hu), strict=True)
        return float(np.interp(float(self.alpha_bar[t]), alpha_bar, rmse_hu))

    def to(self, device: torch.device | str) -> Self:
        """Move the denoiser; returns self."""
        self.unet.to(device)
        self._steps = self._steps.to(device)
        self.device = torch.device(device)
        return self

    def save_pretrained(self, folder: StrPath) -> None:
        """Write ``unet/`` (half precision safetensors), ``scheduler/`` and ``prior.json``."""
        folder = as_path(folder, "folder")
        folder.mkdir(parents=True, exist_ok=True)
        copy.deepcopy(self.unet).half().save_pretrained(folder / "unet")
        self.scheduler.save_pretrained(folder / "scheduler")
        self.config.save(folder)


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
    """

    kind: ClassVar[ModelKind] = "latent prior"

    def __init__(
        self,
        vae: Autoencoder,
        unet: UNet2DModel,
        scheduler: DDIMScheduler,
        config: PriorConfig,
        coarse: UNet2DModel | None = None,
    ) -> None:
        conditioned = config.condition_spread is not None
        channels = unet.config["out_channels"]
        if unet.config["in_channels"] != (2 if conditioned else 1) * channels:
            raise PriorError(
                f"prior {config.name}: the denoiser takes {unet.config['in_channels']} channels and gives {channels}; "
                f"expected {'twice as many, for its condition' if conditioned else 'the same number'}, as its "
                f"condition_spread is {config.condition_spread}"
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
        except (OSError, ValueError, RuntimeError) as error:
            raise PriorError(
                f"{folder} cannot be loaded as a prior (vae, unet, scheduler): {reason_of(error)}"
            ) from None
        prior = cls(**parts, config=config, coarse=load_coarse(folder, config)).to(device)
        prior.sha256 = weights_sha256(folder)
        return prior

    def save_pretrained(self, folder: StrPath) -> None:
        """Write ``vae/``, ``unet/``, ``coarse/`` (half precision safetensors), ``scheduler/`` and ``prior.json``."""
        folder = as_path(folder, "folder")
        super().save_pretrained(folder)
        copy.deepcopy(self.vae).half().save_pretrained(folder / "vae")
        if self.coarse:
            copy.deepcopy(self.coarse.unet).half().save_pretrained(folder / "coarse")

    def to(self, device: torch.device | str) -> Self:
        """Move all networks; returns self."""
        self.vae.to(device)
        if self.coarse:
            self.coarse.unet.to(device)
        self._mean, self._std = self._mean.to(device), self._std.to(device)
        return super().to(device)

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


def load_coarse(folder: Path, config: PriorConfig) -> UNet2DModel | None:
    """The network of a prior's coarse denoiser, if its config says that there is one; `PriorError` if it is broken."""
    if config.coarse_from_step is None:
        return None
    from diffusers import UNet2DModel

    try:
        return load_network(UNet2DModel, folder / "coarse")
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise PriorError(f"{folder / 'coarse'} cannot be loaded as a UNet2DModel: {reason_of(error)}") from None


def find_prior(name_or_folder: StrPath) -> Path:
    """Folder of a prior, bundled or the user's; `PriorError` if there is none."""
    for folder in (Path(name_or_folder), BUNDLED / str(name_or_folder)):
        if (folder / CONFIG_NAME).is_file():
            return folder
    if Path(name_or_folder).exists():
        PriorConfig.load(Path(name_or_folder))
    bundled = sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG_NAME}"))
    raise PriorError(f"no prior {str(name_or_folder)!r}: expected a folder with {CONFIG_NAME} or one of {bundled}")


def weights_sha256(folder: StrPath) -> str:
    """One hash over all weight files of a prior, for provenance."""
    folder = as_path(folder, "folder")
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*/*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
