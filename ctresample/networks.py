"""Autoencoders and denoisers of diffusers classes: what is known of them, and how they are read from a folder."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Union

import torch

from ctresample.errors import PriorError
from ctresample.paths import StrPath, as_path

if TYPE_CHECKING:  # diffusers takes seconds to import, which methods without a prior need not wait for
    from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DModel, VQModel

Autoencoder: TypeAlias = Union["AutoencoderKL", "AutoencoderTiny", "VQModel"]
AUTOENCODERS = ("AutoencoderKL", "AutoencoderTiny", "VQModel")
Network = TypeVar("Network", "AutoencoderKL", "AutoencoderTiny", "VQModel", "UNet2DModel")
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
        name = json.loads((folder / "config.json").read_text(encoding="utf-8"))["_class_name"]
        return load_network({known: getattr(diffusers, known) for known in AUTOENCODERS}[name], folder)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise PriorError(f"{folder} holds no autoencoder ({', '.join(AUTOENCODERS)}): {reason_of(error)}") from None


def load_network(kind: type[Network], folder: StrPath) -> Network:
    """A diffusers network in single precision with all of its weights and no others.

    diffusers would leave weights that a file lacks at random values, and pass over others, with no more than a warning.

    Raises:
        PriorError: the weights are those of another network.
        OSError: there is none, or it cannot be read; diffusers also has `ValueError` and `RuntimeError` for that.
    """
    folder = as_path(folder, "folder")
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


def reason_of(error: Exception) -> str:
    """What diffusers says first, without its advice."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(". If you want")[0].split(". Make sure")[0]
