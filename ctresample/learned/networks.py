"""Autoencoders and denoisers of diffusers classes: what is known of them, and how they are read from a folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Union

import torch

from ctresample.bounded_files import read_json
from ctresample.errors import PriorError
from ctresample.paths import StrPath, as_path

if TYPE_CHECKING:  # diffusers takes seconds to import, which methods without a prior need not wait for
    from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, UNet2DModel, VQModel

Autoencoder: TypeAlias = Union["AutoencoderKL", "AutoencoderTiny", "VQModel"]
AUTOENCODERS = ("AutoencoderKL", "AutoencoderTiny", "VQModel")
Network = TypeVar("Network", "AutoencoderKL", "AutoencoderTiny", "VQModel", "UNet2DModel")
_WIDEST, _MOST_LAYERS, _MOST_STEPS = 65_536, 1000, 100_000
# AutoencoderTiny writes an entry into its own config that it then complains about when reading
logging.getLogger("diffusers.configuration_utils").setLevel(logging.ERROR)
# what it says of weights that do not fit is refused here: see load_network
logging.getLogger("diffusers.models.modeling_utils").setLevel(logging.CRITICAL)


def latent_channels(vae: Autoencoder) -> int:
    """Channels of what the autoencoder hands to the denoiser; a VQModel's codebook may have its own number."""
    return vae.config.get("vq_embed_dim") or vae.config["latent_channels"]


def downsampling(vae: Autoencoder) -> int:
    """How many times smaller the autoencoder's latents are than its input, along a side."""
    levels = vae.config.get("block_out_channels") or vae.config["encoder_block_out_channels"]
    return 2 ** (len(levels) - 1)


def load_autoencoder(folder: StrPath) -> Autoencoder:
    """An autoencoder of any of the known diffusers classes; `PriorError` if there is none in ``folder``."""
    import diffusers

    folder = as_path(folder, "folder")
    try:
        name = read_json(folder / "config.json")["_class_name"]
        return load_network({known: getattr(diffusers, known) for known in AUTOENCODERS}[name], folder)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise PriorError(f"{folder} holds no autoencoder ({', '.join(AUTOENCODERS)}): {reason_of(error)}") from None


def load_network(kind: type[Network], folder: StrPath) -> Network:
    """A diffusers network in single precision with all of its weights and no others.

    diffusers would leave weights that a file lacks at random values, and pass over others, with no more than a warning.

    Raises:
        PriorError: the weights are those of another network, or there are far too few of them for it.
        OSError: there is none, or it cannot be read; diffusers also has `ValueError` and `RuntimeError` for that.
    """
    folder = as_path(folder, "folder")
    _check_size(kind, folder)
    network, found = kind.from_pretrained(
        folder, torch_dtype=torch.float32, local_files_only=True, output_loading_info=True
    )
    for problem, names in (("lack", found["missing_keys"]), ("have more than", found["unexpected_keys"])):
        if names:
            raise PriorError(
                f"{folder}: the weights {problem} what config.json describes ({len(names)}, such as {min(names)}); "
                "expected the config that they were trained with"
            )
    return network


def _check_size(kind: type[Network], folder: Path) -> None:
    """Refuse a config that describes a network much larger than its weights, before it is built.

    Raises:
        PriorError: it does.
        OSError: there is no config.
        ValueError: it is no JSON.
    """
    config = read_json(folder / "config.json")
    if isinstance(config, dict):
        for name, value in config.items():
            numbers = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int)]
            most = _MOST_LAYERS if name.startswith(("layers_per", "num_", "down_block", "up_block")) else _WIDEST
            if len(numbers) > _MOST_LAYERS or any(abs(number) > most for number in numbers):
                raise PriorError(f"{folder}/config.json: {name} is too large for any network; expected up to {most}")
    try:
        with torch.device("meta"):
            described = sum(parameter.numel() for parameter in kind.from_config(config).parameters())
    except Exception as error:  # whatever a class makes of entries that it was never meant to get
        raise PriorError(f"{folder}/config.json describes no {kind.__name__}: {reason_of(error)}") from None
    n_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    if n_bytes and described > n_bytes:  # of half a number each, the least there is
        raise PriorError(
            f"{folder}/config.json describes a network of {described:,} weights, but its file has {n_bytes:,} bytes; "
            "expected the config that they were trained with"
        )


def load_scheduler(folder: StrPath) -> DDIMScheduler:
    """A noise schedule; `PriorError` if it has more steps than any, or entries of which none can be made."""
    folder = as_path(folder, "folder")
    config = read_json(folder / "scheduler_config.json")
    n_steps = config.get("num_train_timesteps") if isinstance(config, dict) else None
    if not isinstance(n_steps, int) or not 0 < n_steps <= _MOST_STEPS:
        raise PriorError(f"{folder}: num_train_timesteps is {n_steps}; expected 1 to {_MOST_STEPS:,}")
    from diffusers import DDIMScheduler

    try:
        return DDIMScheduler.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever it makes of entries that it was never meant to get
        raise PriorError(f"{folder}/scheduler_config.json describes no schedule: {reason_of(error)}") from None


def reason_of(error: Exception) -> str:
    """What diffusers says first, without its advice."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(". If you want")[0].split(". Make sure")[0]
