"""A learned model with the name and the hash by which results refer to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch

from ctresample.errors import UsageError
from ctresample.image_unet import ImageUNet, find_image_unet
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.methods import Method, Needs
from ctresample.pixel_prior import PixelPrior
from ctresample.prior import LatentPrior, find_prior, weights_sha256
from ctresample.result import ModelIdentity

LearnedModel = LatentPrior | PixelPrior | ImageUNet


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
        cls, name_or_folder: StrPath, device: torch.device | str = "cpu", kind: Needs = "latent prior"
    ) -> LoadedPrior:
        """Load a bundled model of that kind by name, or one from a folder; `PriorError` if there is none."""
        folder = (find_image_unet if kind == "fbp-unet" else find_prior)(name_or_folder)
        model = _KINDS[kind].from_pretrained(folder, device)
        return cls(model, model.config.name, weights_sha256(folder))


def learned_model(
    given: StrPath | LearnedModel | LoadedPrior | None, method: Method, device: torch.device | str
) -> tuple[LearnedModel | None, ModelIdentity | None]:
    """The learned model of a method, and which one it is; neither of a method that needs none.

    Args:
        given: the name or folder of one, itself, or None for the one that comes with the package.
        method: the method.
        device: where to load it to.

    Raises:
        PriorError: there is no such model.
        UsageError: none comes with the package, or the one given is of another kind.
    """
    if not method.needs:
        return None, None
    if given is None:
        given = method.bundled_model()
    if isinstance(given, str | os.PathLike):
        given = LoadedPrior.load(as_path(given, "prior"), device, method.needs)
    model = given.model if isinstance(given, LoadedPrior) else given
    kind = getattr(model, "kind", type(model).__name__)
    if kind != method.needs:
        raise UsageError(f"method {method.name} needs a {method.needs}; the model given is a {kind}")
    return model, ModelIdentity(model.config.name, given.sha256)


_KINDS: dict[Needs, Any] = {"latent prior": LatentPrior, "pixel prior": PixelPrior, "fbp-unet": ImageUNet}
