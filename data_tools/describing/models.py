"""What a learned model is, by its config alone: the class that checks it in full comes with torch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ctresample
from ctresample.bounded_files import read_json
from ctresample.data_tools.describing.words import Facts, by, in_range
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import PriorError

# as in ctresample.learned, apart from which this describes
PRIOR_CONFIG = "prior.json"
UNET_CONFIG = "fbp-unet.json"
WEIGHT_FILES = (".ckpt", ".pt", ".pth", ".safetensors")
BUNDLED_PRIORS = Path(ctresample.__file__).parent / "priors"


def bundled_priors() -> list[str]:
    """Names of the priors that come with ctresample."""
    return sorted(config.parent.name for config in BUNDLED_PRIORS.glob(f"*/{PRIOR_CONFIG}"))


def bundled_models() -> list[str]:
    """Names of all models that come with ctresample, those that are no priors too."""
    return sorted(one.name for one in BUNDLED_PRIORS.glob("*"))


def model_facts(folder: Path) -> Facts | None:
    """Of a folder of ctresample's own; None of any other. `PriorError` where its config cannot be read."""
    if (folder / PRIOR_CONFIG).is_file():
        return _prior(folder)
    return _unet(folder) if (folder / UNET_CONFIG).is_file() else None


def bundled_facts(name: Path) -> Facts | None:
    """Of the bundled model of that name; None where there is none."""
    return model_facts(BUNDLED_PRIORS / name) if len(name.parts) == 1 else None


def _prior(folder: Path) -> Facts:
    def facts_of(config: dict[str, Any]) -> Facts:
        low, high = map(float, config["hu_range"])
        errors = [float(error) for _, error in sorted(config["denoising_rmse_hu"])]
        return {
            "kind": "latent diffusion prior",
            "name": str(config["name"]),
            "image size": by((int(config["image_size"]), int(config["image_size"]))),
            "HU range": f"{low:g} to {high:g}",
            "latents": f"{len(config['latent_mean'])} channels, patches of {int(config['patch_size'])} pixels",
            "denoising error": f"{errors[0]:.4g} HU (most noise) to {errors[-1]:.4g} HU (least)",
            "weights": _weights(folder),
        }

    return _of_config(folder / PRIOR_CONFIG, facts_of)


def _unet(folder: Path) -> Facts:
    def facts_of(config: dict[str, Any]) -> Facts:
        photons, side = config["photons"], int(config["image_size"])
        dose = "no noise" if photons is None else f"{in_range(np.array(photons, float))} photons a ray"
        return {
            "kind": "U-Net on FBP images, of one kind of scan",
            "name": str(config["name"]),
            "scan": f"{config['beam']}, {int(config['n_views'])} views over {math.degrees(config['arc_rad']):.4g} "
            f"degrees, {dose}",
            "image size": by((side, side)),
            "weights": _weights(folder, ("network",)),
        }

    return _of_config(folder / UNET_CONFIG, facts_of)


def _of_config(path: Path, facts_of: Callable[[dict[str, Any]], Facts]) -> Facts:
    """What a model's config says, and where it is from; `PriorError` if it is not whole."""
    try:
        config: dict[str, Any] = read_json(path)
        facts = facts_of(config)
        for name, value in dict(config["provenance"]).items():
            facts.setdefault(str(name), value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        raise PriorError(
            f"{path} cannot be used: {type(error).__name__} {one_line(str(error))}; expected a full config"
        ) from error
    return facts


def _weights(folder: Path, parts: tuple[str, ...] = ("vae", "unet")) -> str:
    files = {part: sorted((folder / part).glob("*.safetensors")) for part in parts}
    missing = [part for part, found in files.items() if not found]
    if missing:
        return f"missing: {' and '.join(missing)}"
    n_bytes = sum(file.stat().st_size for found in files.values() for file in found)
    return f"{n_bytes / 1e6:,.1f} MB"
