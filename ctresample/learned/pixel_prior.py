"""A diffusion prior of images themselves: a denoiser of pixels and a noise schedule, both diffusers classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F

from ctresample.choices import ModelKind
from ctresample.errors import PriorError
from ctresample.learned.diffusion_prior import DiffusionPrior
from ctresample.learned.folders import find_prior, weights_sha256
from ctresample.learned.networks import load_network, load_scheduler, reason_of
from ctresample.learned.prior_config import PriorConfig
from ctresample.paths import StrPath
from ctresample.units import hu_to_model, model_to_hu

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import DDIMScheduler, UNet2DModel


class PixelPrior(DiffusionPrior):
    """Denoise CT images, in the model's values of -1 to 1 over the HU range.

    ``z`` is the image with its patches of ``patch_size`` pixels stacked into channels: the same values in another
    order, so that white noise stays white and nothing is lost; a denoiser then works on fewer, wider pixels. A model
    of natural images sees grey as red, green and blue alike.

    Args:
        unet: the denoiser.
        scheduler: holds the noise schedule and the kind of prediction.
        config: see `PriorConfig`; its latent mean and standard deviation are empty.
    """

    kind: ClassVar[ModelKind] = "pixel prior"

    def __init__(self, unet: UNet2DModel, scheduler: DDIMScheduler, config: PriorConfig) -> None:
        if config.latent_mean:
            raise PriorError(
                f"prior {config.name} is a latent one, of {len(config.latent_mean)} channels; expected one of pixels"
            )
        channels, stacked = unet.config["in_channels"], config.patch_size**2
        self._rgb = channels == 3 and config.patch_size == 1
        if channels != unet.config["out_channels"] or (channels != stacked and not self._rgb):
            raise PriorError(
                f"prior {config.name}: the denoiser takes {channels} channels and gives {unet.config['out_channels']}, "
                f"but patches of {config.patch_size} x {config.patch_size} pixels have {stacked}; these must agree"
            )
        super().__init__(unet, scheduler, config)

    @classmethod
    def from_pretrained(cls, name_or_folder: StrPath, device: torch.device | str = "cpu") -> PixelPrior:
        """Load a prior from a folder with ``unet``, ``scheduler`` and ``prior.json``, or a bundled one by name.

        That is a DDPM or DDIM pipeline's folder of diffusers with a config of ours beside.

        Raises:
            PriorError: no such prior, one that is incomplete, or a latent one.
        """
        from diffusers import UNet2DModel

        folder = find_prior(name_or_folder)
        config = PriorConfig.load(folder)
        try:
            unet = load_network(UNet2DModel, folder / "unet")
            scheduler = load_scheduler(folder / "scheduler")
        except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
            raise PriorError(
                f"{folder} cannot be loaded as a prior of pixels (unet, scheduler): {reason_of(error)}"
            ) from None
        prior = cls(unet, scheduler, config).to(device)
        prior.sha256 = weights_sha256(folder)
        return prior

    def encode(self, hu: torch.Tensor) -> torch.Tensor:
        """The model's values of images ``(B, 1, H, W)`` in HU, patches stacked into channels."""
        z = F.pixel_unshuffle(hu_to_model(hu, self.config.hu_range), self.config.patch_size)
        return z.expand(-1, 3, -1, -1) if self._rgb else z

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Images ``(B, 1, H, W)`` in HU; of colours their mean."""
        x = z.mean(1, keepdim=True) if self._rgb else z
        return model_to_hu(F.pixel_shuffle(x, self.config.patch_size), self.config.hu_range)
