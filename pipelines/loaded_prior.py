"""A learned model with the name and the hash by which results refer to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ctresample.image_unet import ImageUNet, find_image_unet
from ctresample.pipelines.methods import Needs
from ctresample.pixel_prior import PixelPrior
from ctresample.prior import LatentPrior, find_prior, weights_sha256


@dataclass(frozen=True)
class LoadedPrior:
    """A learned model ready to use.

    Attributes:
        model: the networks, on their device.
        name: as its config calls it.
        sha256: one hash over all its weights.
    """

    model: Any
    name: str
    sha256: str

    @classmethod
    def load(
        cls, name_or_folder: str | Path, device: torch.device | str = "cpu", kind: Needs = "latent prior"
    ) -> LoadedPrior:
        """Load a bundled model of that kind by name, or one from a folder; `PriorError` if there is none."""
        folder = (find_image_unet if kind == "fbp-unet" else find_prior)(name_or_folder)
        model = _KINDS[kind].from_pretrained(folder, device)
        return cls(model, model.config.name, weights_sha256(folder))


_KINDS: dict[Needs, Any] = {"latent prior": LatentPrior, "pixel prior": PixelPrior, "fbp-unet": ImageUNet}
