"""What is known of a prior beside its weights, as ``prior.json`` keeps it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ctresample.bounded_files import read_json
from ctresample.errors import PriorError, UsageError
from ctresample.learned.trained_scans import TrainedScans
from ctresample.paths import StrPath, as_path
from ctresample.units import check_hu_range

CONFIG_NAME = "prior.json"
WEIGHT_FILES = (".ckpt", ".pt", ".pth", ".safetensors")


@dataclass(frozen=True)
class PriorConfig:
    """What is needed to use a prior rightly, kept beside its weights.

    Attributes:
        name: short name.
        hu_range: HU at model values -1 and 1.
        image_size: rows and columns it was trained on; images must be a multiple of ``patch_size`` times the
            networks' own factors.
        patch_size: pixels along the edge of a patch that is stacked into channels before the autoencoder.
        latent_mean: mean of each latent channel over the training data; empty for a prior of pixels.
        latent_std: standard deviation of each latent channel; latents are normalised with both.
        denoising_rmse_hu: ``[alpha_bar, error]`` pairs, noisiest first: root mean square error in HU of the decoded
            one-step estimate on validation patients. It tells a solver how far to trust the prior.
        provenance: training data, licences, figures: whatever a reader should know.
        coarse_from_step: first step of the schedule at which a `CoarseDenoiser` takes over; None if there is none.
        condition_spread: root mean square distance in normalised latents between an image that agrees with a scan and
            the truth. Where it is stated, the denoiser takes the latents of such an image as its condition, in as many
            channels again; see `ctresample.learned.conditioning`.
        condition_scans: the scans that such a denoiser was trained on; None where that is not known.
    """

    name: str
    hu_range: tuple[float, float]
    image_size: int
    patch_size: int
    latent_mean: tuple[float, ...]
    latent_std: tuple[float, ...]
    denoising_rmse_hu: tuple[tuple[float, float], ...]
    provenance: dict[str, Any] = field(default_factory=dict)
    coarse_from_step: int | None = None
    condition_spread: float | None = None
    condition_scans: TrainedScans | None = None

    @classmethod
    def of(cls, raw: dict[str, Any]) -> PriorConfig:
        """As ``prior.json`` and a pipeline's config keep them; ctresample's or Python's error where not whole."""
        return cls(
            name=str(raw["name"]),
            hu_range=check_hu_range((float(raw["hu_range"][0]), float(raw["hu_range"][1]))),
            image_size=int(raw["image_size"]),
            patch_size=int(raw["patch_size"]),
            latent_mean=tuple(map(float, raw["latent_mean"])),
            latent_std=tuple(map(float, raw["latent_std"])),
            denoising_rmse_hu=tuple((float(a), float(b)) for a, b in raw["denoising_rmse_hu"]),
            provenance=dict(raw["provenance"]),
            coarse_from_step=None if raw.get("coarse_from_step") is None else int(raw["coarse_from_step"]),
            condition_spread=None if raw.get("condition_spread") is None else float(raw["condition_spread"]),
            condition_scans=TrainedScans.of(raw["condition_scans"]) if raw.get("condition_scans") else None,
        )

    @classmethod
    def load(cls, folder: StrPath) -> PriorConfig:
        """Read ``prior.json``; `PriorError` if it is missing or incomplete."""
        folder = as_path(folder, "folder")
        path = folder / CONFIG_NAME
        if not path.is_file():
            raise PriorError(f"{folder} is not a prior: it has no {CONFIG_NAME}; {how_to_import(folder)}")
        try:
            config = cls.of(read_json(path))
        except (OSError, UsageError, ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
            raise PriorError(f"{path} cannot be used: {type(error).__name__} {error}; expected a full config") from None
        if config.condition_spread is not None and not 0 < config.condition_spread < math.inf:
            raise PriorError(f"{path} cannot be used: condition_spread is {config.condition_spread}; expected above 0")
        if not config.denoising_rmse_hu:
            raise PriorError(f"{path} cannot be used: denoising_rmse_hu is empty; expected [alpha_bar, error] pairs")
        return config

    def save(self, folder: StrPath) -> None:
        """Write ``prior.json``."""
        folder = as_path(folder, "folder")
        (folder / CONFIG_NAME).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def how_to_import(path: Path) -> str:
    """What to do with a file or folder that is no prior: the end of an error's line."""
    if (path / "model_index.json").is_file() or (path / "unet").is_dir():
        kind = "a diffusers pipeline"
    elif path.is_file() and path.suffix in WEIGHT_FILES:
        kind = "a checkpoint"
    else:
        return "expected a folder made by training or by `ctresample prior import`"
    return f"it looks like {kind}: make a prior of it with `ctresample prior import`"
