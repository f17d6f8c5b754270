"""What diffusion priors of diffusers classes have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch

from ctresample.choices import ModelKind
from ctresample.errors import PriorError
from ctresample.learned.conditioning import estimate_around
from ctresample.learned.prior_config import PriorConfig
from ctresample.learned.save_network import save_network
from ctresample.paths import StrPath, as_path

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import DDIMScheduler, UNet2DModel


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
            fits = self.size_multiple * round(max(shape) / self.size_multiple + 0.49)
            raise PriorError(
                f"prior {self.config.name} takes images whose sides are multiples of {self.size_multiple}; the image "
                f"grid is {shape[0]} x {shape[1]}; choose another size, such as --size {fits}"
            )

    @property
    def is_conditioned(self) -> bool:
        """Whether it also denoises with the latents of an image that agrees with the measurement at hand."""
        return self.config.condition_spread is not None

    @property
    def conditioned_unet(self) -> UNet2DModel:
        """The denoiser that takes them, of a prior that `is_conditioned`: the only one, where it serves for both."""
        return self.unet

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
        both = self.is_conditioned and self.conditioned_unet is self.unet
        out = self._asked(self.unet, torch.cat([z_t, torch.zeros_like(z_t)], 1) if both else z_t, t)
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
        velocity = self._asked(self.conditioned_unet, torch.cat([z_t, condition], 1), t)
        return estimate_around(z_t, condition, spread, alpha_bar, velocity)

    def _asked(self, unet: UNet2DModel, seen: torch.Tensor, t: int) -> torch.Tensor:
        out: torch.Tensor = unet(seen, self._steps[t]).sample
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
        save_network(self.unet, folder / "unet")
        self.scheduler.save_pretrained(folder / "scheduler")
        self.config.save(folder)
