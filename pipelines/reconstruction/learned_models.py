"""The learned models of methods, by name or folder."""

from __future__ import annotations

import os

import torch

from ctresample.choices import ModelKind
from ctresample.errors import UsageError
from ctresample.learned import LearnedModel
from ctresample.learned.image_unet import ImageUNet
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.pixel_prior import PixelPrior
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.reconstruction.methods import Method
from ctresample.result import ModelIdentity


def load_model(
    name_or_folder: StrPath, device: torch.device | str = "cpu", kind: ModelKind = "latent prior"
) -> LearnedModel:
    """Load a bundled model of that kind by name, or one from a folder; `PriorError` if there is none."""
    place = as_path(name_or_folder, "prior")
    if kind == "fbp-unet":
        return ImageUNet.from_pretrained(place, device)
    return (PixelPrior if kind == "pixel prior" else LatentPrior).from_pretrained(place, device)


def learned_model(
    given: StrPath | LearnedModel | None, method: Method, device: torch.device | str
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
    model = load_model(given, device, method.needs) if isinstance(given, str | os.PathLike) else given
    kind = getattr(model, "kind", type(model).__name__)
    if kind != method.needs:
        raise UsageError(f"method {method.name} needs a {method.needs}; the model given is a {kind}")
    return model, ModelIdentity(model.name, model.sha256)
