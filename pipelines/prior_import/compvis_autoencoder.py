"""The first stage of CompVis latent diffusion as diffusers' `VQModel` or `AutoencoderKL`."""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderKL, VQModel

from ctresample.errors import PriorError
from ctresample.pipelines.prior_import.renaming import Weights, load, rename

_CODEBOOK = "quantize.embedding.weight"
_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
_LAYERS = {name: name for name in ("norm1", "conv1", "norm2", "conv2")} | {"nin_shortcut": "conv_shortcut"} | _ATTENTION


def convert_autoencoder(weights: Weights) -> VQModel | AutoencoderKL:
    """The same network, its shape read off the weights; one with a codebook is a `VQModel`.

    Args:
        weights: by their original names, such as ``encoder.conv_in.weight``; those of the training loss are left out.

    Raises:
        PriorError: an autoencoder of another build.
    """
    weights = {k: v for k, v in weights.items() if k.split(".")[0] in _PARTS}
    try:
        encoder_levels = _count(weights, "encoder.down.")
        common: dict[str, Any] = {
            "in_channels": weights["encoder.conv_in.weight"].shape[1],
            "out_channels": weights["decoder.conv_out.weight"].shape[0],
            "block_out_channels": tuple(
                weights[f"encoder.down.{i}.block.0.conv1.weight"].shape[0] for i in range(encoder_levels)
            ),
            "layers_per_block": _count(weights, "encoder.down.0.block."),
            "down_block_types": tuple(
                f"{_attn(weights, f'encoder.down.{i}.attn')}DownEncoderBlock2D" for i in range(encoder_levels)
            ),
            "up_block_types": tuple(
                f"{_attn(weights, f'decoder.up.{i}.attn')}UpDecoderBlock2D" for i in reversed(range(encoder_levels))
            ),
        }
        n_latent = weights["decoder.conv_in.weight"].shape[1]
    except KeyError as error:
        raise PriorError(f"the first stage is not built as latent diffusion's: it has no {error.args[0]}") from None
    vae: VQModel | AutoencoderKL
    if _CODEBOOK in weights:
        n_codes, width = weights[_CODEBOOK].shape
        vae = VQModel(latent_channels=n_latent, num_vq_embeddings=n_codes, vq_embed_dim=width, **common)
    else:
        vae = AutoencoderKL(latent_channels=n_latent, **common)
    renamed = rename(weights, _modules(encoder_levels, common["layers_per_block"]), _LAYERS)
    for key, weight in renamed.items():
        if ".attentions." in key and weight.ndim == 4:  # convolutions of one pixel there, matrices here
            renamed[key] = weight.flatten(1)
    load(vae, renamed, "first stage")
    return vae


_PARTS = ("encoder", "decoder", "quantize", "quant_conv", "post_quant_conv")


def _count(weights: Weights, prefix: str) -> int:
    return len({key.removeprefix(prefix).split(".")[0] for key in weights if key.startswith(prefix)})


def _attn(weights: Weights, prefix: str) -> str:
    return "Attn" if any(key.startswith(f"{prefix}.") for key in weights) else ""


def _modules(n_levels: int, depth: int) -> dict[str, str]:
    modules = {name: name for name in ("quant_conv", "post_quant_conv", "quantize.embedding")}
    for half in ("encoder", "decoder"):
        modules |= {
            f"{half}.conv_in": f"{half}.conv_in",
            f"{half}.mid.block_1": f"{half}.mid_block.resnets.0",
            f"{half}.mid.attn_1": f"{half}.mid_block.attentions.0",
            f"{half}.mid.block_2": f"{half}.mid_block.resnets.1",
            f"{half}.norm_out": f"{half}.conv_norm_out",
            f"{half}.conv_out": f"{half}.conv_out",
        }
    for i in range(n_levels):
        # the decoder's levels are numbered by resolution there, in the order of use here
        for old, new in (
            (f"encoder.down.{i}", f"encoder.down_blocks.{i}"),
            (f"decoder.up.{i}", f"decoder.up_blocks.{n_levels - 1 - i}"),
        ):
            for j in range(depth + 1):
                modules[f"{old}.block.{j}"] = f"{new}.resnets.{j}"
                modules[f"{old}.attn.{j}"] = f"{new}.attentions.{j}"
            modules[f"{old}.downsample.conv"] = f"{new}.downsamplers.0.conv"
            modules[f"{old}.upsample.conv"] = f"{new}.upsamplers.0.conv"
    return modules
