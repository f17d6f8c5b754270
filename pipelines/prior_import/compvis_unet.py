"""The UNet of CompVis latent diffusion as diffusers' `UNet2DModel`."""

from __future__ import annotations

import torch
from diffusers import UNet2DModel

from ctresample.errors import PriorError
from ctresample.pipelines.prior_import.original_config import OriginalConfig
from ctresample.pipelines.prior_import.renaming import Weights, load, rename

_LAYERS = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
    "norm": "group_norm",
    "q": "to_q",
    "k": "to_k",
    "v": "to_v",
    "proj_out": "to_out.0",
}


def convert_unet(weights: Weights, config: OriginalConfig, latent_size: int) -> UNet2DModel:
    """The same network, its shape read off the weights.

    Args:
        weights: by their original names, such as ``input_blocks.0.0.weight``.
        config: asked for the attention heads, which leave no mark in the weights.
        latent_size: rows and columns of the latents it was trained on.

    Raises:
        PriorError: a conditional network, or one of another build.
    """
    if any(".transformer_blocks." in key for key in weights):
        raise PriorError("the UNet is conditioned on text or images (cross-attention); expected an unconditional model")
    if any(key.startswith("label_emb.") for key in weights):
        raise PriorError("the UNet is conditioned on classes (label_emb); expected an unconditional model")
    levels = _levels(weights)
    first = [level[0] for level in levels]
    channels = tuple(_weight(weights, f"input_blocks.{i}.0.in_layers.2.weight").shape[0] for i in first)
    attention = [f"input_blocks.{i}.1.qkv.weight" in weights for i in first]
    # with scale and shift the time embedding is twice as wide
    wide = _weight(weights, "middle_block.0.emb_layers.1.weight").shape[0] == 2 * channels[-1]
    widths = {c for c, has in zip(channels, attention, strict=True) if has} | {channels[-1]}
    head_width = _head_width(config, widths)
    unet = UNet2DModel(
        sample_size=latent_size,
        in_channels=_weight(weights, "input_blocks.0.0.weight").shape[1],
        out_channels=_weight(weights, "out.2.weight").shape[0],
        block_out_channels=channels,
        layers_per_block=len(levels[0]),
        down_block_types=tuple("AttnDownBlock2D" if has else "DownBlock2D" for has in attention),
        up_block_types=tuple("AttnUpBlock2D" if has else "UpBlock2D" for has in reversed(attention)),
        attention_head_dim=head_width,
        resnet_time_scale_shift="scale_shift" if wide else "default",
        attn_norm_num_groups=32,
    )
    new_order = bool(config.get("model.params.unet_config.params.use_new_attention_order", False, "is false"))
    split = _split_qkv(weights, head_width, new_order)
    load(unet, rename(split, _modules(weights, levels), _LAYERS), "UNet")
    return unet


def _weight(weights: Weights, key: str) -> torch.Tensor:
    if key not in weights:
        raise PriorError(f"the UNet is not built as latent diffusion's: it has no {key}")
    return weights[key]


def _levels(weights: Weights) -> list[list[int]]:
    """Numbers of the input blocks at each resolution, down-sampling blocks left out."""
    levels: list[list[int]] = [[]]
    numbers = {int(key.split(".")[1]) for key in weights if key.startswith("input_blocks.")}
    for i in range(1, max(numbers, default=0) + 1):
        if f"input_blocks.{i}.0.op.weight" in weights:
            levels.append([])
        else:
            levels[-1].append(i)
    if not levels[0] or len({len(level) for level in levels}) > 1:
        raise PriorError("the UNet is not built as latent diffusion's: its levels are of different depths")
    return levels


def _modules(weights: Weights, levels: list[list[int]]) -> dict[str, str]:
    modules = {
        "time_embed.0": "time_embedding.linear_1",
        "time_embed.2": "time_embedding.linear_2",
        "input_blocks.0.0": "conv_in",
        "middle_block.0": "mid_block.resnets.0",
        "middle_block.1": "mid_block.attentions.0",
        "middle_block.2": "mid_block.resnets.1",
        "out.0": "conv_norm_out",
        "out.2": "conv_out",
    }
    depth = len(levels[0])
    for level, blocks in enumerate(levels):
        for j, i in enumerate(blocks):
            modules[f"input_blocks.{i}.0"] = f"down_blocks.{level}.resnets.{j}"
            modules[f"input_blocks.{i}.1"] = f"down_blocks.{level}.attentions.{j}"
        modules[f"input_blocks.{blocks[-1] + 1}.0.op"] = f"down_blocks.{level}.downsamplers.0.conv"
    for i in range(len(levels) * (depth + 1)):
        level, j = divmod(i, depth + 1)
        modules[f"output_blocks.{i}.0"] = f"up_blocks.{level}.resnets.{j}"
        modules[f"output_blocks.{i}.1"] = f"up_blocks.{level}.attentions.{j}"
        # up-sampling comes after the attention, where there is one
        for place in (1, 2):
            modules[f"output_blocks.{i}.{place}.conv"] = f"up_blocks.{level}.upsamplers.0.conv"
    return modules


def _head_width(config: OriginalConfig, widths: set[int]) -> int | None:
    """Channels of an attention head; None for one head."""
    place = "model.params.unet_config.params"
    width = int(config.get(f"{place}.num_head_channels", -1))
    if width != -1:
        return width
    heads = int(config.get(f"{place}.num_heads"))
    if heads == 1:
        return None
    if len(widths) > 1:
        raise PriorError(
            f"the UNet has {heads} attention heads at {len(widths)} different widths; diffusers' UNet2DModel can only "
            "have heads of one width"
        )
    return widths.pop() // heads


def _split_qkv(weights: Weights, head_width: int | None, new_order: bool) -> Weights:
    """Query, key and value apart: first in each head by the original order, first of all by the new one."""
    split = {}
    for key, weight in weights.items():
        stem, _, kind = key.rpartition(".")
        matrix = weight.flatten(1) if stem.endswith((".qkv", ".proj_out")) and kind == "weight" else weight
        if not stem.endswith(".qkv"):
            split[key] = matrix
            continue
        n = len(matrix) // 3
        heads = 1 if new_order or head_width is None else n // head_width
        parts = matrix.reshape(heads, 3, n // heads, *matrix.shape[1:])
        for place, name in enumerate("qkv"):
            split[f"{stem.removesuffix('qkv')}{name}.{kind}"] = parts[:, place].reshape(n, *matrix.shape[1:])
    return split
