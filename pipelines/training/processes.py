"""This process among those that train together."""

from __future__ import annotations

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState

from ctresample.errors import UsageError
from ctresample.pipelines.training.settings import Precision


def this_process() -> PartialState:
    """Its number, its device and whether it is the main one; joins the others on the first call."""
    return PartialState(cpu=not torch.accelerator.is_available())


def accelerator(precision: Precision) -> Accelerator:
    """An accelerator of that precision on this process's device.

    Raises:
        UsageError: fp16 was asked for where there is no GPU.
    """
    gpu = torch.accelerator.is_available()
    if precision == "auto":
        precision = "bf16" if gpu else "fp32"
    if precision == "fp16" and not gpu:
        raise UsageError("training: run.precision is fp16, which needs a GPU, and there is none; use auto or fp32")
    this_process()
    # accelerate keeps the precision that a process asked for first; its next run may want another
    AcceleratorState._reset_state()
    return Accelerator(mixed_precision="no" if precision == "fp32" else precision, cpu=not gpu)
