"""Weights of a file without running anything that it may hold."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ctresample.errors import PriorError
from ctresample.learned.networks import reason_of

# Lightning writes the names of its callbacks into checkpoints. They are of no use here, and known.
_KNOWN_TO_BE_LEFT_OUT = ("pytorch_lightning.", "lightning.pytorch.", "lightning_fabric.")


class _LeftOut:
    """Stands where a file names a class that is not loaded."""

    def __init__(self, *_args: object) -> None:
        pass


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a ``.safetensors`` file or of what `torch.save` wrote, by name.

    A training checkpoint's weights are those under its key ``state_dict``.

    Raises:
        PriorError: no such file, one that is cut short, or one that holds more than weights.
    """
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _load_pickle(path)
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError, KeyError, IndexError, TypeError) as error:
        raise PriorError(f"{path} cannot be read as weights ({reason_of(error)}); get the file again") from None
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    found = {str(k): v for k, v in content.items() if isinstance(v, torch.Tensor)} if isinstance(content, dict) else {}
    if not found:
        raise PriorError(f"{path} holds no weights by name; expected a state_dict of tensors")
    return found


def check_safe(path: Path) -> None:
    """`PriorError` if a file that `torch.save` wrote names anything that is neither a tensor nor plain data."""
    _left_out(path)


def _load_pickle(path: Path) -> Any:
    with torch.serialization.safe_globals([(_LeftOut, name) for name in _left_out(path)]):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _left_out(path: Path) -> list[str]:
    """Names in a checkpoint that may be left out."""
    if not zipfile.is_zipfile(path):
        raise PriorError(
            f"{path} is not whole, or not a checkpoint of PyTorch 1.6 or later; get the file again, or save it anew: "
            "torch.save(state_dict, FILE)"
        )
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception as error:  # whatever a broken pickle makes the reader trip over
        raise PriorError(f"{path} cannot be read as weights ({reason_of(error)}); get the file again") from None
    unknown = sorted(name for name in names if not name.startswith(_KNOWN_TO_BE_LEFT_OUT))
    if unknown:
        raise PriorError(
            f"{path} holds more than weights ({', '.join(unknown[:3])}), and loading that could run code; if you trust "
            "it, keep its weights alone: torch.save(torch.load(FILE, weights_only=False)['state_dict'], NEW_FILE)"
        )
    return names
