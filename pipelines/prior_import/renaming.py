"""Weights from one network's names to another's that computes the same."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ctresample.errors import PriorError

Weights = dict[str, torch.Tensor]


def rename(weights: Mapping[str, torch.Tensor], modules: Mapping[str, str], layers: Mapping[str, str]) -> Weights:
    """Each weight ``MODULE.LAYER.weight`` or ``MODULE.weight`` under its new name.

    Args:
        weights: by their old names.
        modules: new names of modules by their old ones, in full.
        layers: new names of the layers inside modules by their old ones.

    Raises:
        PriorError: a weight of no known module or layer, which leaves the network unknown.
    """
    renamed = {}
    for key, weight in weights.items():
        name, _, kind = key.rpartition(".")
        if name in modules:
            new = modules[name]
        else:
            module, layer = next(
                ((name.removesuffix(f".{end}"), end) for end in layers if name.endswith(f".{end}")), ("", "")
            )
            if module not in modules:
                raise PriorError(f"{key} is no part of a network of latent diffusion that ctresample knows")
            new = f"{modules[module]}.{layers[layer]}"
        renamed[f"{new}.{kind}"] = weight
    return renamed


def load(network: torch.nn.Module, weights: Weights, what: str) -> None:
    """Give the network its weights; `PriorError` in one line if one is missing, unknown or of another shape."""
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise PriorError(f"the {what} is not built as latent diffusion's: {lines[min(1, len(lines) - 1)]}") from None
