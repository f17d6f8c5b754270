"""Low-rank updates of a denoiser: little to train, and little that new slices can make it forget."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from diffusers import UNet2DModel

from ctresample.errors import UsageError


def add_lora(unet: UNet2DModel, rank: int, seed: int) -> Any:
    """The network with a low-rank update beside each convolution and linear layer, which alone is trained.

    Updates start at zero (Hu et al., LoRA, ICLR 2022), so the network does at first what it did.

    Args:
        unet: changed in place: it computes with the updates, too.
        rank: of the updates.
        seed: of their random half.

    Returns:
        The network around ``unet``; its ``merge_and_unload()`` gives the plain UNet with the updates added in.

    Raises:
        UsageError: peft is not installed.
    """
    if find_spec("peft") is None:
        raise UsageError(
            "low-rank fine-tuning needs the package peft; install it with: pip install 'ctresample[train]'"
        )
    from peft import LoraConfig, get_peft_model

    layers = [name for name, m in unet.named_modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return get_peft_model(unet, LoraConfig(r=rank, lora_alpha=rank, target_modules=layers))
