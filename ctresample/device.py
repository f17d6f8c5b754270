"""Choose the compute device that was asked for, or say why it cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctresample.errors import DeviceError, UsageError

if TYPE_CHECKING:
    import torch


def pick_device(name: str) -> torch.device:
    """``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``; never a silent fall-back.

    Raises:
        UsageError: another name.
        DeviceError: CUDA was asked for and is not there.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, colon, number = name.partition(":")
    if kind != "cuda" or (colon and not number.isdigit()):
        raise UsageError(f"device is {name!r}; expected auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise DeviceError(f"device {name} was asked for, but torch {torch.__version__} sees no CUDA device; use cpu")
    if int(number or 0) >= torch.cuda.device_count():
        raise DeviceError(f"device {name} was asked for; there are {torch.cuda.device_count()}, counted from 0")
    return torch.device(name)
